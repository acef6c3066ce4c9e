"""The .thr file: round trips, an independent reader, the account of bits, files on disk."""

from __future__ import annotations

import dataclasses

import book
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same, networks, repeatable

from sw import format as thr
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.errors import BadInput

PARTS = ("header", "codebook", "tables", "bias", "codes", "gaps", "filling")
FAST, SLOW = thr.CODERS[:2], thr.CODERS[2:]


def layer(name="ip1", **change) -> CompressedLayer:
    codes = np.zeros((3, 7), np.uint8)
    codes[0, 0], codes[0, 6], codes[2, 5] = 1, 3, 2
    whole = CompressedLayer(
        name=name,
        codes=codes,
        codebook=np.array([0, -7, 5, 300]),
        weight_fraction=9,
        bias=np.array([0, 77, -1234]),
        shift=4,
        relu=True,
    )
    return dataclasses.replace(whole, **change)


def network(*layers: CompressedLayer) -> CompressedNetwork:
    last = layer("ip2", codes=np.array([[1, 2, 3]], np.uint8), bias=np.array([5]), relu=False)
    return CompressedNetwork(NumberFormat(8, -3, 255), 16, 12, 32, layers or (layer(), last))


def sparse(rows: int, columns: int, density: float, seed: int = 1) -> CompressedLayer:
    """Layer of 15 weights that are near a normal distribution, as trained ones are."""
    rng = np.random.default_rng(seed)
    codes = np.clip(np.rint(rng.normal(8, 2, (rows, columns))), 1, 15).astype(np.uint8)
    codes[rng.random(codes.shape) >= density] = 0
    codebook = np.array([0, *range(-80, 0, 10), *range(10, 80, 10)])
    return layer(codes=codes, codebook=codebook, bias=rng.integers(-50, 50, rows))


@repeatable
@given(networks(convolutions=True, wired=True), st.sampled_from(FAST))
def test_round_trip(network, coder):
    check_round_trip(network, coder)


@settings(repeatable, max_examples=25)
@given(networks(most=6, convolutions=True, wired=True), st.sampled_from(SLOW))
def test_round_trip_of_slow_coders(network, coder):
    check_round_trip(network, coder)


def check_round_trip(network: CompressedNetwork, coder: str) -> None:
    """Reader, reader by the book, and account of bits."""
    data, account = thr.encode(network, coder)
    again = thr.from_bytes(data)
    assert_same(again, network)
    assert thr.to_bytes(again, coder) == data
    assert_same(book.read(data), network)
    head, *rest = book.sections(data)
    assert book.assemble([head, *rest]) == data
    for stored, (_, payload), layer in zip(account, rest, network.layers, strict=True):
        assert stored.bytes == len(book.assemble([(2, payload)])) - 9
        assert sum(getattr(stored, part) for part in PARTS) == 8 * stored.bytes
        assert min(getattr(stored, part) for part in PARTS) >= 0
        assert stored.padding == stored.entries - np.count_nonzero(layer.codes)
        assert stored.fixed_codes == stored.entries * layer.code_bits
        assert stored.fixed_gaps == stored.entries * stored.gap_bits
    assert tuple(stored.coder for stored in account) == thr.coders(data)
    assert len(book.assemble([head])) + sum(stored.bytes for stored in account) == len(data)


def test_the_account_by_hand():
    stored = thr.storage(layer())
    # Type, length, checksum; fields, length and name, rows, entries.
    assert stored.header == 8 * (1 + 1 + 4 + 6 + 1 + 3 + 1 + 1)
    assert stored.codebook == 3 * 10
    # All biases of 0, 77 and -1234 in 12 bits; gaps 0, 5, and 12 zeros more: 4 bits.
    assert (stored.bias, stored.gap_bits, stored.entries, stored.padding) == (3 * 12, 4, 3, 0)
    assert (stored.codes, stored.gaps, stored.tables) == (3 * 2, 3 * 4, 0)
    assert stored.filling == 2 + 4 + 6
    assert stored.bytes == 18 + 4 + 5 + 3


def test_a_dense_layer_has_no_gaps():
    stored = thr.storage(sparse(3, 50, density=1.0))
    assert (stored.gap_bits, stored.entries, stored.padding) == (0, 150, 0)


def test_the_smallest_coder_is_chosen_layer_by_layer():
    uniform = np.random.default_rng(1).integers(0, 256, (20, 3)).astype(np.uint8)
    bias = np.zeros(20, np.int64)
    dense = layer(codes=uniform, codebook=np.arange(256), bias=bias)
    chosen = []
    for one in (sparse(16, 60, 0.08), dense):
        sizes = {coder: thr.storage(one, coder) for coder in thr.CODERS}
        smallest = sizes.pop("smallest")
        assert all(sizes[coder].coder == coder for coder in sizes)
        assert smallest == min(sizes.values(), key=lambda stored: stored.bytes)
        chosen.append(smallest.coder)
    # Nothing is shorter than the bytes of a uniform distribution.
    assert chosen[1] == "packed" != chosen[0]


def test_each_layer_has_the_coder_that_it_is_given():
    chosen = ["huffman", "packed"]
    data, account = thr.encode(network(), chosen)
    assert thr.coders(data) == ("huffman", "packed")
    assert [stored.coder for stored in account] == chosen
    assert_same(thr.from_bytes(data), network())


def test_an_unknown_coder_is_refused():
    with pytest.raises(BadInput, match="1 coders are given for 2 layers: there must be one each"):
        thr.to_bytes(network(), ["packed"])
    with pytest.raises(BadInput, match="'zip' is unknown; there are packed, huffman, arithmetic"):
        thr.to_bytes(network(), "zip")


@pytest.mark.parametrize("coder", thr.CODERS)
def test_nothing_but_zeros(coder):
    for shape in ((1, 1), (30, 20), (2, 1 << 18)):
        for codebook in (np.zeros(1, np.int64), np.array([0, 5])):
            whole = network(
                layer(codes=np.zeros(shape, np.uint8), codebook=codebook, bias=np.arange(shape[0]))
            )
            assert_same(thr.from_bytes(thr.to_bytes(whole, coder)), whole)


@pytest.mark.parametrize(
    ("codebook", "bits"),
    [
        ([0], 0),
        ([0, -300], 10),
        ([0, 300], 10),
        ([0, -3, -2, 1, 2], 4 * 3),
        ([0, -2000, -1990, -1985, 1, 2000], 16 + 4 * 11),
        ([0, *range(-128, 127)], 16 + 254 * 1),
        ([0, 5, -5, 2000], 3 * 12),
    ],
)
def test_a_codebook_takes_the_shorter_form(codebook, bits):
    whole = network(layer(codes=np.zeros((3, 7), np.uint8), codebook=np.array(codebook)))
    data, account = thr.encode(whole)
    assert account[0].codebook == bits
    assert_same(thr.from_bytes(data), whole)


@pytest.mark.parametrize(
    ("bias", "bits"),
    [
        ([0, 0, 0], 0),
        ([1, 0, -1], 3 * 2),
        ([1 << 20, 0, -3 << 20], 3 * 3),
        ([-(1 << 30), 0, 0], 3 * 1),
        ([(1 << 30) - 1, 0, 0], 3 * 31),
    ],
)
def test_biases_are_stored_without_the_zero_bits_that_end_all(bias, bits):
    whole = network(layer(bias=np.array(bias)))
    data, account = thr.encode(whole)
    assert account[0].bias == bits
    assert_same(thr.from_bytes(data), whole)


def test_a_convolution_knows_its_width_from_the_layer_before():
    geometry = Convolution(1, 7, 4, 3, 2, pool=2)
    first = layer(codes=np.ones((3, 6), np.uint8), convolution=geometry)
    second = Convolution(3, 2, 1, 2, 1)
    layers = (
        first,
        layer(codes=np.ones((2, 6), np.uint8), bias=np.array([1, 2]), convolution=second),
        layer(codes=np.array([[1, 2]], np.uint8), bias=np.array([5])),
    )
    data, account = thr.encode(network(*layers))
    assert_same(thr.from_bytes(data), network(*layers))
    dense = thr.storage(dataclasses.replace(first, convolution=None))
    assert account[0].header - dense.header == 8 * 7


@pytest.mark.parametrize("coder", ["packed", "huffman"])
def test_many_entries(coder):
    codes = np.random.default_rng(1).integers(0, 16, (300, 784)).astype(np.uint8)
    codes[20:200] = 0
    whole = network(layer(codes=codes, codebook=np.arange(16), bias=np.zeros(300, np.int64)))
    assert_same(thr.from_bytes(thr.to_bytes(whole, coder)), whole)


def test_write_and_read(tmp_path):
    path = tmp_path / "model.thr"
    thr.write(path, network(), coder="huffman")
    assert_same(thr.read(path), network())
    assert thr.coders(path.read_bytes()) == ("huffman", "huffman")
    assert [p.name for p in tmp_path.iterdir()] == ["model.thr"]
    thr.write(path, network(layer()))
    assert_same(thr.read(path), network(layer()))


def test_a_network_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.thr"
    thr.write(path, network())
    before = path.read_bytes()
    for bad in (layer(shift=32), layer(name="x" * 256), layer(name="\ud800")):
        with pytest.raises(BadInput, match=r"^layer '"):
            thr.write(path, network(bad))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_more_activations_than_a_file_holds_are_not_written():
    wide = Convolution(1, 2049, 2048, 1, 1)
    whole = network(layer(codes=np.ones((3, 1), np.uint8), convolution=wide))
    with pytest.raises(BadInput, match=r"16785408 activations in all layers; .* at most 16777216"):
        thr.to_bytes(whole)


def test_places_that_cannot_be_written_or_read(tmp_path):
    places = (tmp_path, tmp_path / "none" / "model.thr", tmp_path / ("x" * 300))
    for path in places:
        with pytest.raises(BadInput, match=f"^{path} cannot be written: "):
            thr.write(path, network())
        with pytest.raises(BadInput, match=f"^{path} cannot be read: "):
            thr.read(path)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_named(tmp_path):
    path = tmp_path / "model.thr"
    path.write_bytes(b"hello")
    with pytest.raises(BadInput, match=f"^{path}: this is not a .thr file"):
        thr.read(path)


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "link.thr").symlink_to("model.thr")
    thr.write(tmp_path / "link.thr", network())
    assert (tmp_path / "link.thr").is_symlink()
    assert_same(thr.read(tmp_path / "model.thr"), network())
