"""The whole of compression: errors of its integers, corners, and the real networks."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import fire, graphs, pictures, residual

from sim import golden
from sw import format as thr
from sw.compress import compress
from sw.compress.recipe import Coding, Recipe, load
from sw.compressed import NumberFormat
from sw.errors import BadInput
from sw.network import Layer, Network
from sw.numbers import prove
from sw.read import read_network
from sw.read.idx import read_mnist


def random_network(shape, seed=1, scale=1.0) -> Network:
    rng = np.random.default_rng(seed)
    return Network(
        tuple(
            Layer(
                f"ip{i}",
                rng.normal(size=(outputs, inputs)) * scale / np.sqrt(inputs),
                rng.normal(size=outputs) * 0.1,
                relu=i + 2 < len(shape),
            )
            for i, (inputs, outputs) in enumerate(itertools.pairwise(shape))
        )
    )


def recipe(density: float | None = None, code_bits: int | None = None, **coding: int) -> Recipe:
    """The recipe without training, changed in these."""
    plain = load("no-training").override(density, code_bits)
    return plain.model_copy(update={"code": Coding(**coding)})


def shared_network(network: Network, compressed) -> Network:
    """The float network with the weights that were chosen, still unrounded in its sums."""
    return Network(
        tuple(
            dataclasses.replace(f, weights=np.ldexp(c.codebook[c.codes], -c.weight_fraction))
            for f, c in zip(network.layers, compressed.layers, strict=True)
        )
    )


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("shape", [(20, 10), (30, 40, 10), (64, 50, 40, 30, 5)])
def test_integers_stay_close_to_the_float_network_with_the_same_weights(shape, calibrated):
    network = random_network(shape)
    x = np.random.default_rng(2).integers(0, 256, (200, shape[0])) / 256
    compressed = compress(network, recipe(code_bits=6), calibration=x if calibrated else None)
    outputs = golden.run(compressed, golden.quantise(compressed, x))[-1]
    expected = shared_network(network, compressed).predict(x)
    error = np.abs(golden.dequantise(compressed, outputs) - expected).max()
    assert error < 0.005 * np.abs(expected).max()


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("make", [residual, fire])
@pytest.mark.parametrize("density", [None, 0.3])
def test_integers_of_graphs_stay_close_to_the_floats(make, density, calibrated):
    network, x = make(), pictures()
    compressed = compress(network, recipe(density, 5), calibration=x if calibrated else None)
    outputs = golden.run(compressed, golden.quantise(compressed, x))[-1]
    expected = shared_network(network, compressed).predict(x)
    error = np.abs(golden.dequantise(compressed, outputs) - expected).max()
    assert error < 0.005 * np.abs(expected).max()
    for layer, before in zip(compressed.layers, network.layers, strict=True):
        assert (layer.sources, layer.added) == (before.sources, before.added)
        left = np.count_nonzero(layer.codes) / layer.codes.size
        assert (left == 1.0) if before.fixed or density is None else left <= 0.5
        if before.fixed:
            weights = np.ldexp(layer.codebook[layer.codes], -layer.weight_fraction)
            np.testing.assert_array_equal(weights, before.weights)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(graphs(), st.booleans(), st.sampled_from([None, 5]), st.sampled_from([16, 24, 48]))
def test_whatever_comes_out_of_a_graph_is_sound(network, fold, bias_bits, accumulator):
    x = np.random.default_rng(1).normal(size=(5, network.inputs))
    options = {"fold_dead": fold, "bias_bits": bias_bits, "accumulator_bits": accumulator}
    try:
        compressed = compress(network, recipe(0.5, 3, **options), calibration=x)
    except BadInput as error:
        assert "leave them" in str(error)  # noqa: PT017 (allowed, not awaited)
        return
    prove(compressed)
    thr.from_bytes(thr.to_bytes(compressed))


@pytest.mark.parametrize("code_bits", range(1, 9))
def test_codes_use_the_bits_asked_for(code_bits):
    compressed = compress(random_network((40, 30, 20)), recipe(code_bits=code_bits))
    for layer in compressed.layers:
        assert layer.code_bits == code_bits
        assert len(layer.codebook) <= 2**code_bits


def test_density_and_zeros():
    network = random_network((40, 30, 20))
    network.layers[0].weights[3] = 0.0
    compressed = compress(network, recipe(0.1))
    assert [np.count_nonzero(layer.codes) for layer in compressed.layers] == [120, 60]
    assert not compressed.layers[0].codes[3].any()
    assert not compress(network, recipe()).layers[0].codes[3].any()


def test_without_calibration_inputs_are_0_to_1_in_steps_of_1_256():
    network = random_network((20, 10))
    assert compress(network, recipe()).input == NumberFormat(8, 0, 256)
    narrow = recipe(activation_bits=8, weight_bits=8)
    assert compress(network, narrow).input == NumberFormat(6, 0, 64)


def test_the_same_every_time():
    network = random_network((20, 10, 5))
    assert thr.to_bytes(compress(network, recipe())) == thr.to_bytes(compress(network, recipe()))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    shape=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 1e-30, 1e-6, 1.0, 30.0, 1e6]),
    inputs=st.sampled_from([None, 1e-9, 1.0, 1e9]),
    coding=st.fixed_dictionaries(
        {
            "activation_bits": st.integers(4, 16),
            "weight_bits": st.integers(4, 16),
            "accumulator_bits": st.sampled_from([16, 24, 32, 48]),
            "bias_bits": st.sampled_from([None, 2, 7]),
            "fold_dead": st.booleans(),
        }
    ),
)
def test_what_comes_out_is_always_sound(shape, seed, scale, inputs, coding):
    network = random_network(shape, seed, scale)
    x = None
    if inputs is not None:
        x = np.random.default_rng(seed).normal(size=(5, shape[0])) * inputs
    try:
        compressed = compress(network, recipe(code_bits=3, **coding), calibration=x)
    except BadInput as error:
        assert "no number format" in str(error)  # noqa: PT017 (allowed, not awaited)
        return
    prove(compressed)
    thr.from_bytes(thr.to_bytes(compressed))


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (np.zeros((5, 20)), "all 0"),
        (np.full((5, 20), np.nan), "calibration input has a value nan"),
        (np.full((5, 20), 1e30), "calibration input has a value 1e[+]30"),
        (np.ones((5, 19)), r"shape \(5, 19\); this network takes \(n, 20\)"),
        (np.ones((0, 20)), r"shape \(0, 20\)"),
        (np.ones(20), r"shape \(20,\)"),
    ],
)
def test_bad_calibration(calibration, message):
    with pytest.raises(BadInput, match=message):
        compress(random_network((20, 10)), recipe(), calibration=calibration)


def test_a_recipe_that_trains_needs_data():
    with pytest.raises(BadInput, match=r"trains the network further: name the folder .*--data"):
        compress(random_network((20, 10)), load("best"))


def test_widths_are_the_recipes():
    compressed = compress(
        random_network((20, 10)), recipe(activation_bits=9, weight_bits=7, accumulator_bits=24)
    )
    widths = (compressed.activation_bits, compressed.weight_bits, compressed.accumulator_bits)
    assert widths == (9, 7, 24)


@pytest.mark.parametrize("bits", [2, 3, 7, 12])
@pytest.mark.parametrize("seed", range(5))
def test_biases_have_the_bits_asked_for(bits, seed):
    network = random_network((20, 30, 10), seed)
    network.layers[0].bias[3] = 0.9999  # would round to a power of two, which takes a bit more
    for layer, before in zip(
        compress(network, recipe(bias_bits=bits)).layers, network.layers, strict=True
    ):
        used = int(np.bitwise_or.reduce(layer.bias[layer.bias != 0]))
        left = layer.bias // (used & -used)
        assert np.abs(left).max() < 1 << (bits - 1)
        scale = np.abs(layer.bias).max() / np.abs(before.bias).max()
        step = np.abs(before.bias).max() / 2 ** (bits - 2)
        np.testing.assert_allclose(layer.bias / scale, before.bias, rtol=0, atol=1.5 * step)


def test_short_biases_of_0_stay_0():
    network = random_network((20, 10))
    network.layers[0].bias[:] = 0
    assert not compress(network, recipe(bias_bits=4)).layers[0].bias.any()


def test_dead_units_are_folded_if_the_recipe_says_so():
    network = random_network((20, 30, 10))
    network.layers[0].weights[:15] = 0
    network.layers[0].bias[:15] = np.linspace(-1, 1, 15)
    x = np.random.default_rng(2).integers(0, 256, (200, 20)) / 256
    expected = network.predict(x)
    for fold, weights in ((True, 150), (False, 300)):
        compressed = compress(network, recipe(None, 8, fold_dead=fold), calibration=x)
        assert np.count_nonzero(compressed.layers[1].codes) == weights
        outputs = golden.run(compressed, golden.quantise(compressed, x))[-1]
        error = np.abs(golden.dequantise(compressed, outputs) - expected).max()
        assert error < 0.02 * np.abs(expected).max()


def test_values_that_no_weight_has_are_left_out():
    network = random_network((20, 30, 10))
    network.layers[0].weights[:15] = np.sign(network.layers[0].weights[:15]) * 3
    network.layers[1].weights[:, :15] = 0  # so the values 3 and -3 have no weights when folded
    layer = compress(network, recipe(None, 4, fold_dead=True)).layers[0]
    np.testing.assert_array_equal(np.unique(layer.codes), np.arange(len(layer.codebook)))
    assert len(layer.codebook) == 14


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_bad_weights_name_the_layer(value):
    network = random_network((20, 10))
    network.layers[0].bias[3] = value
    with pytest.raises(BadInput, match="layer 'ip0' has a value"):
        compress(network, recipe())


def test_outputs_that_overflow_name_the_layer():
    network = random_network((20,) * 60, scale=1e8)
    with pytest.raises(BadInput, match=r"layer 'ip.*': its outputs are too large"):
        compress(network, recipe())


@pytest.fixture(scope="module")
def mnist(mnist_folder):
    """Calibration images, test images, test labels."""
    train, _ = read_mnist(mnist_folder, "train")
    images, labels = read_mnist(mnist_folder, "test")
    return train[:2000].reshape(-1, 784) / 256, images.reshape(-1, 784) / 256, labels


@pytest.mark.parametrize(
    ("name", "code_bits", "calibrated", "most"),
    [
        ("pruned", 4, True, 2.2),
        ("pruned", 4, False, 2.2),
        ("dense", 4, True, 2.5),
        ("dense", 6, True, 2.35),
    ],
)
def test_error_of_real_networks_on_all_test_images(
    shared_models, mnist, name, code_bits, calibrated, most
):
    path = shared_models / f"lenet300100_{name}.npz"
    calibration, images, labels = mnist
    compressed = compress(
        read_network(path),
        recipe(code_bits=code_bits),
        calibration=calibration if calibrated else None,
    )
    x = golden.quantise(compressed, images)
    outputs = golden.run(compressed, x)[-1]
    assert 100 * np.mean(outputs.argmax(axis=1) != labels) <= most
