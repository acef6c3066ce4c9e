"""What other coders need: never less than the information there is, and the best of their ways."""

import dataclasses
import importlib
import sys
import zlib

import numpy as np
import pytest

from sim.random_network import Recipe, random_network
from sw import format as thr
from sw import networks, rivals
from sw.compress.share import share
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.errors import BadInput

GENERAL = [name for name in rivals.RIVALS if name != "nncodec"]
EVERY = list(rivals.RIVALS)


def network(*codes, bias=0):
    """Layers of the given codes, an ascending codebook with 0 for the pruned ones."""
    layers = []
    for number, matrix in enumerate(codes):
        codebook = 3 * np.arange(int(matrix.max()) + 1) - 3 * (int(matrix.max()) // 2) - 1
        layers.append(
            CompressedLayer(
                name=f"layer{number}",
                codes=matrix.astype(np.uint8),
                codebook=np.concatenate([[0], codebook[1:]]),
                weight_fraction=0,
                bias=np.full(len(matrix), bias),
                shift=0,
                relu=True,
            )
        )
    return CompressedNetwork(NumberFormat(0, -1, 1), 16, 16, 48, tuple(layers))


def sparse(density, values, shape=(64, 96), seed=0):
    """Codes of which each is kept by itself, all as likely."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.integers(1, values, shape), 0)


def entropy_bytes(matrix):
    """Bytes of a matrix by the frequencies of its codes."""
    share_of = np.bincount(matrix.ravel()) / matrix.size
    share_of = share_of[share_of > 0]
    return -(share_of * np.log2(share_of)).sum() * matrix.size / 8


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize(("density", "values"), [(0.05, 16), (0.3, 9), (1.0, 256)])
def test_no_coder_beats_the_entropy(name, density, values):
    """A form that lost something would."""
    codes = sparse(density, values)
    assert rivals.RIVALS[name](network(codes)) > 0.98 * entropy_bytes(codes)


@pytest.mark.parametrize(("density", "values"), [(0.05, 16), (0.3, 9), (1.0, 256)])
def test_nncodec_comes_near_the_entropy(density, values):
    codes = sparse(density, values)
    size = rivals.nncodec_bytes(network(codes)) - 2 * values - 16
    assert 0.93 < size / entropy_bytes(codes) < 1.1


@pytest.mark.parametrize("name", GENERAL)
def test_the_best_form_counts(name):
    """Columns of one kind each, rows without order: long runs only if read by columns."""
    codes = np.tile(np.random.default_rng(1).integers(0, 12, 120), (120, 1))
    of_rows = rivals.RIVALS[name](network(codes.T.copy()))
    assert rivals.RIVALS[name](network(codes)) == pytest.approx(of_rows, rel=0.05)
    assert of_rows < 800


@pytest.mark.parametrize("name", GENERAL)
def test_no_form_alone_is_better(name):
    layers = [sparse(0.05, 16, seed=1), sparse(0.9, 16, (50, 40), seed=2)]
    whole = rivals.RIVALS[name](network(*layers))
    assert whole <= sum(rivals.RIVALS[name](network(layer)) for layer in layers) + 8


def test_plain_zlib_of_rows_needs_more():
    codes = sparse(0.08, 16)
    assert rivals.zlib_bytes(network(codes)) < 0.9 * len(zlib.compress(codes.tobytes(), 9))


@pytest.mark.parametrize("name", EVERY)
def test_codebook_and_biases_are_counted(name):
    codes = sparse(0.2, 16, (200, 30))
    little, much = network(codes), network(codes, bias=1)
    noise = np.random.default_rng(2).integers(-(1 << 40), 1 << 40, 200)
    layer = dataclasses.replace(much.layers[0], bias=noise)
    size = rivals.RIVALS[name]
    more = size(dataclasses.replace(much, layers=(layer,))) - size(little)
    assert 200 * 41 / 8 - 60 < more <= 200 * 42 / 8 + 8
    # Low bits that no bias has cost nothing.
    shifted = dataclasses.replace(layer, bias=noise >> 20 << 20)
    even = size(dataclasses.replace(much, layers=(shifted,))) - size(little)
    assert even <= 200 * 22 / 8 + 8


def test_nncodec_does_not_mind_orientation_or_the_order_of_the_codebook():
    """Rows have weights of one sign: only its ranks by value, read along rows, show that."""
    codes = sparse(0.5, 6, (80, 80))
    codes[::2][codes[::2] != 0] += 6
    one = network(codes)
    size = rivals.nncodec_bytes(one)
    assert rivals.nncodec_bytes(network(codes.T.copy())) == size
    layer = one.layers[0]
    order = np.concatenate([[0], 1 + np.random.default_rng(3).permutation(codes.max())])
    shuffled = dataclasses.replace(
        layer, codes=np.argsort(order)[layer.codes].astype(np.uint8), codebook=layer.codebook[order]
    )
    np.testing.assert_array_equal(shuffled.codebook[shuffled.codes], layer.codebook[layer.codes])
    other = rivals.nncodec_bytes(dataclasses.replace(one, layers=(shuffled,)))
    assert abs(other - size) <= 12  # the codebook itself, in another order


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)])
@pytest.mark.parametrize("name", EVERY)
def test_small_layers(name, shape):
    for codes in (np.zeros(shape, np.uint8), np.ones(shape, np.uint8), sparse(0.5, 200, shape)):
        assert 0 < rivals.RIVALS[name](network(codes)) < 600


def test_what_nncodec_decodes_is_compared():
    """A codebook too small for the codes: it codes them, and other ones come out."""
    cabac = importlib.import_module("nncodec.extensions.deepCABAC")
    codes = np.random.default_rng(0).integers(-5, 6, (40, 50))
    wrong = rivals._Settings(size=3, zero=1)
    with pytest.raises(RuntimeError, match="does not decode what it coded"):
        rivals._checked(cabac, codes, wrong)
    assert rivals._checked(cabac, codes, rivals._Settings(size=11, zero=5)) > 0


def test_without_nncodec(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncodec.extensions.deepCABAC", None)
    with pytest.raises(BadInput, match="pip install --no-deps nncodec"):
        rivals.nncodec_bytes(network(sparse(0.2, 16)))


def test_signed_ranks_are_the_codes_again():
    layer = random_network(Recipe(sizes=[30, 20], code_bits=5), 4).layers[0]
    for integers in rivals._signed(layer):
        assert integers[0] == 0
        assert len(set(integers.tolist())) == len(layer.codebook)
        assert integers.max() - integers.min() == len(layer.codebook) - 1


def test_shipped_network():
    """The order that is known of these coders, and room for the project's own."""
    shipped = thr.read(networks.LENET300100)
    sizes = {name: rivals.RIVALS[name](shipped) for name in ("nncodec", "zstd", "lzw")}
    assert sizes["nncodec"] < sizes["zstd"] < sizes["lzw"] < shipped.parameters / 8


@pytest.mark.models
@pytest.mark.parametrize("file", ["lenet300100_pruned.npz", "lenet5_pruned.npz"])
def test_real_networks(shared_models, file):
    with np.load(shared_models / file) as arrays:
        weights = [arrays[name] for name in arrays if name.endswith("_w")]
    layers = []
    for index, matrix in enumerate(weights):
        codes, centroids = share(matrix.reshape(len(matrix), -1).astype(np.float64), 4)
        layer = network(codes).layers[0]
        codebook = np.rint(centroids * 4096).astype(np.int64)
        layers.append(dataclasses.replace(layer, name=str(index), codebook=codebook))
    real = CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, tuple(layers))
    assert rivals.nncodec_bytes(real) < 1.02 * rivals.zstd_bytes(real) < 6000
