"""`thresher bench packing`: layers like the published ones, coded, decoded and compared."""

import dataclasses
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from sim import large_networks
from sw.cli import bench_packing
from sw.cli.bench_packing import packing
from sw.errors import BadInput
from sw.numbers import prove


def run(*arguments):
    return CliRunner().invoke(packing, arguments)


@pytest.mark.parametrize(("name", "weights"), [("alexnet", 60_954_656), ("vgg16", 138_344_128)])
def test_shapes_are_the_published_ones(name, weights):
    models = large_networks.models(name)
    assert sum(model.weights for model in models) == weights
    for model in models:
        # As printed: thousands, or millions rounded down.
        assert 0.84 * model.weights < model.figures.weights < 1.2 * model.weights
        if model.convolution is not None:
            assert model.convolution.fault() is None
            assert model.convolution.columns == model.columns


@pytest.mark.parametrize("name", large_networks.NAMES)
def test_layers_follow_one_another(name):
    models = large_networks.models(name)
    outputs = [
        model.rows * (1 if model.convolution is None else math.prod(model.convolution.plane))
        for model in models
    ]
    inputs = [
        model.columns if model.convolution is None else model.convolution.inputs for model in models
    ]
    assert outputs[:-1] == inputs[1:]


@pytest.mark.parametrize("name", large_networks.NAMES)
def test_random_layers_are_like_the_published_ones(name):
    """Scaled down to some thousand weights."""
    for model in large_networks.models(name):
        small = dataclasses.replace(model, rows=400, columns=300, convolution=None)
        layer = large_networks.random_layer(small, 1)
        kept = layer.codes[layer.codes != 0]
        assert kept.size / layer.codes.size == pytest.approx(model.figures.density, abs=0.005)
        shares = np.bincount(kept) / kept.size
        shares = shares[shares > 0]
        entropy = -(shares * np.log2(shares)).sum()
        assert entropy == pytest.approx(model.figures.code_bits_huffman, abs=0.05)
        assert layer.code_bits == model.figures.code_bits
        # The commonest code is one of the middle, as in a bell.
        assert abs(np.bincount(kept).argmax() / len(layer.codebook) - 0.5) < 0.2
        density = kept.size / layer.codes.size
        bits = density * entropy - sum(p * math.log2(p) for p in (density, 1 - density))
        assert large_networks.entropy_bytes(layer) == pytest.approx(layer.codes.size * bits / 8)
        prove(large_networks.alone(layer))


@pytest.mark.parametrize("name", large_networks.NAMES)
def test_widest_sums_fit(name):
    """Though all weights be the greatest there is."""
    for model in large_networks.models(name):
        layer = large_networks.random_layer(dataclasses.replace(model, rows=2), 1)
        layer.codes[:] = len(layer.codebook) - 1
        prove(large_networks.alone(layer))


def test_seeds_and_places_make_layers():
    model = dataclasses.replace(large_networks.models("vgg16")[0], rows=20)
    same = [large_networks.random_layer(model, 1).codes for _ in range(2)]
    np.testing.assert_array_equal(*same)
    for other in (
        large_networks.random_layer(model, 2),
        large_networks.random_layer(dataclasses.replace(model, place=1), 1),
    ):
        assert np.any(other.codes != same[0])


@pytest.mark.parametrize("coder", ["packed", "huffman"])
def test_report(coder):
    result = run("--net", "alexnet", "--layer", "conv1", "--coder", coder, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    (row,) = record["layers"]
    assert row["name"] == "conv1"
    assert row["weights"] == record["weights"] == 34848
    assert row["paper_bytes"] == round(4 * 34848 * 0.2053)
    assert row["entropy_bytes"] < row["bytes"] < 2 * row["entropy_bytes"]
    assert row["agrees"]
    assert record["agrees"]
    assert record["coder"] == coder
    assert min(row["seconds_code"], row["seconds_decode"]) > 0
    assert record["ratio"] == pytest.approx(4 * (34848 + 96) / row["bytes"])
    assert 2**24 < record["peak_bytes"] < 2**34


def test_huffman_is_near_the_entropy_and_the_paper():
    """Deep Compression's coder on codes like Deep Compression's."""
    record = json.loads(run("--layer", "conv1_2", "--layer", "conv2_1", "--json").stdout)
    assert [row["name"] for row in record["layers"]] == ["conv1_2", "conv2_1"]
    for row in record["layers"]:
        assert 1 < row["bytes"] / row["entropy_bytes"] < 1.1
        assert 0.9 < row["bytes"] / row["paper_bytes"] < 1.15


def test_table():
    result = run("--net", "vgg16", "--layer", "conv1_1")
    assert result.exit_code == 0
    for part in ("conv1_1", "paper's", "times less than 32-bit floats", "MiB"):
        assert part in result.stdout


def test_what_is_decoded_is_compared():
    model = dataclasses.replace(large_networks.models("vgg16")[0], rows=4)
    layer = large_networks.random_layer(model, 1)
    assert bench_packing._same(layer, dataclasses.replace(layer, codes=layer.codes.copy()))
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if isinstance(value, np.ndarray):
            other = value.copy()
            other.flat[-1] ^= 1
        else:
            other = {str: "another", bool: not value, int: 3}.get(type(value))
        assert not bench_packing._same(layer, dataclasses.replace(layer, **{field.name: other}))


def test_unknown_layer():
    result = run("--net", "alexnet", "--layer", "conv9")
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith("alexnet has no layer 'conv9'; it has conv1, conv2")


def test_a_seed_below_0_is_refused():
    result = run("--net", "alexnet", "--layer", "conv1", "--seed", "-1")
    assert result.exit_code == 2
    assert "Invalid value for '--seed': -1 is not in the range x>=0" in result.stderr
