"""The proof that accumulators hold, against brute force and the golden model."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, repeatable

from sim import golden
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.numbers import FRACTION_MAX, check, prove, signed_bits


def small_network() -> CompressedNetwork:
    layers = (
        CompressedLayer(
            name="ip1",
            codes=np.array([[1, 0, 2], [2, 3, 1]], np.uint8),
            codebook=np.array([0, -7, 5, 2]),
            weight_fraction=3,
            bias=np.array([4, -9]),
            shift=2,
            relu=True,
        ),
        CompressedLayer(
            name="ip2",
            codes=np.array([[1, 2]], np.uint8),
            codebook=np.array([0, 100, -100]),
            weight_fraction=5,
            bias=np.array([1000]),
            shift=3,
            relu=False,
        ),
    )
    return CompressedNetwork(NumberFormat(2, -3, 2), 8, 8, 32, layers)


@repeatable
@given(networks(most=12), st.integers(0, 2**32 - 1))
def test_extreme_inputs_reach_the_bounds_of_the_first_layer(network, seed):
    bounds, layer, fmt = prove(network)[0], network.layers[0], network.input
    weights = layer.codebook[layer.codes]
    highest = np.where(weights > 0, fmt.high, fmt.low)
    lowest = np.where(weights > 0, fmt.low, fmt.high)
    half = (1 << layer.shift) >> 1
    for row in range(layer.outputs):
        assert weights[row] @ highest[row] == bounds.sum_high[row]
        assert weights[row] @ lowest[row] == bounds.sum_low[row]
        assert weights[row] @ highest[row] + layer.bias[row] + half == bounds.total_high[row]
        assert weights[row] @ lowest[row] + layer.bias[row] == bounds.total_low[row]
    bits = network.activation_bits
    outputs = golden.run_layer(layer, np.concatenate([highest, lowest]), bits)
    np.testing.assert_array_equal(np.diagonal(outputs[: layer.outputs]), bounds.output_high)
    np.testing.assert_array_equal(np.diagonal(outputs[layer.outputs :]), bounds.output_low)


@repeatable
@given(networks(most=12), st.integers(0, 2**32 - 1))
def test_no_input_leaves_the_bounds_of_any_layer(network, seed):
    rng = np.random.default_rng(seed)
    fmt = network.input
    x = rng.integers(fmt.low, fmt.high + 1, (20, network.layers[0].inputs))
    # The corners of the input range are where a wrong bound would show.
    x[::2] = rng.choice([fmt.low, 0, fmt.high], x[::2].shape)
    for layer, bounds in zip(network.layers, prove(network), strict=True):
        order = rng.permutation(layer.inputs)
        products = (layer.codebook[layer.codes] * x[:, None, :])[:, :, order]
        partial = np.cumsum(products, axis=2)
        assert (partial >= bounds.sum_low[:, None]).all()
        assert (partial <= bounds.sum_high[:, None]).all()
        total = partial[:, :, -1] + layer.bias
        assert (total >= bounds.total_low).all()
        assert (total + ((1 << layer.shift) >> 1) <= bounds.total_high).all()
        x = golden.run_layer(layer, x, network.activation_bits)
        assert (x >= bounds.output_low).all()
        assert (x <= bounds.output_high).all()


def test_bounds_are_the_extremes_over_all_inputs_orders_and_prefixes():
    network = small_network()
    layer, fmt, bounds = network.layers[0], network.input, prove(network)[0]
    weights = layer.codebook[layer.codes]
    inputs = np.array(list(itertools.product(range(fmt.low, fmt.high + 1), repeat=3)))
    for row in range(2):
        sums = [
            np.cumsum((weights[row] * inputs)[:, order], axis=1)
            for order in itertools.permutations(range(3))
        ]
        assert np.max(sums) == bounds.sum_high[row]
        assert np.min(sums) == bounds.sum_low[row]


def test_an_interval_that_does_not_hold_zero_still_bounds_partial_sums():
    network = small_network()
    # Outputs of ip1 are at least 50: only the partial sum, not the whole, reaches 100 × 127.
    first = dataclasses.replace(network.layers[0], bias=np.array([400, 400]))
    network = dataclasses.replace(network, layers=(first, network.layers[1]))
    first_bounds, second_bounds = prove(network)
    assert (first_bounds.output_low > 0).all()
    assert second_bounds.sum_high[0] == 100 * first_bounds.output_high[0]
    assert second_bounds.sum_low[0] == -100 * first_bounds.output_high[1]


@repeatable
@given(networks())
def test_the_width_that_is_said_to_fit_is_the_least_that_does(network):
    for layer, bounds in zip(network.layers, prove(network), strict=True):
        alone = dataclasses.replace(network, layers=(layer,))
        width = prove(alone)[0].accumulator_bits
        prove(alone, width)
        with pytest.raises(BadInput, match=f"does not fit in {width - 1} .*; {width} bits would"):
            prove(alone, width - 1)
        extremes = [bounds.sum_low, bounds.sum_high, bounds.total_low, bounds.total_high]
        most = bounds.accumulator_bits
        assert all(-(1 << (most - 1)) <= e.min() <= e.max() < 1 << (most - 1) for e in extremes)


def test_an_overflow_names_layer_row_sum_and_width():
    layers = small_network().layers
    second = dataclasses.replace(layers[1], bias=np.array([32000]))
    network = dataclasses.replace(small_network(), layers=(layers[0], second), accumulator_bits=16)
    reach = prove(network, 32)[1].total_high[0]
    with pytest.raises(BadInput) as error:
        prove(network)
    assert str(error.value) == (
        f"layer 'ip2', row 0: a sum can reach {reach}, which does not fit in 16 accumulator bits; "
        "17 bits would fit"
    )


@pytest.mark.parametrize(
    ("value", "bits"), [(0, 1), (-1, 1), (1, 2), (-2, 2), (127, 8), (-128, 8), (128, 9), (-129, 9)]
)
def test_signed_bits(value, bits):
    assert signed_bits(value) == bits


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_bits": 3}, "activation_bits is 3; it must be from 4 to 16"),
        ({"weight_bits": 17}, "weight_bits is 17"),
        ({"accumulator_bits": 49}, "accumulator_bits is 49"),
        ({"input": NumberFormat(0, 1, 5)}, "input range 1..5 must hold 0"),
        ({"input": NumberFormat(0, -5, -1)}, "must hold 0"),
        ({"input": NumberFormat(0, 0, 128)}, "lie in -128..127"),
        ({"input": NumberFormat(0, -129, 0)}, "lie in -128..127"),
        ({"input": NumberFormat(FRACTION_MAX + 1, 0, 1)}, "65 fraction bits are not within ±64"),
        ({"layers": ()}, "no layers"),
        ({"layers": small_network().layers[:1] * 2}, "takes 3 inputs but its sources give 2"),
    ],
)
def test_check_refuses_a_network(change, message):
    with pytest.raises(BadInput, match=message):
        check(dataclasses.replace(small_network(), **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.full((2, 3), 4, np.uint8)}, "code 4 but 4 codebook values"),
        ({"codes": np.zeros((2, 0), np.uint8)}, "codes of shape"),
        ({"codes": np.zeros((2, 3), np.int64)}, "codes of shape"),
        ({"codebook": np.array([1, -7, 5, 2])}, "the first 0"),
        ({"codebook": np.array([0, -7, 128, 2])}, "codebook value 128 does not fit in 8 bits"),
        ({"codebook": np.array([0, -129, 5, 2])}, "codebook value -129 does not fit in 8 bits"),
        ({"codebook": np.zeros(257, np.int64)}, "1 to 256 values"),
        ({"bias": np.array([0, 1 << 31])}, "bias value 2147483648 does not fit in 32 bits"),
        ({"bias": np.zeros(3, np.int64)}, "bias of shape"),
        ({"name": "ip1\n"}, "a name is printable"),
        ({"name": "ip1\ud800"}, "a name is printable"),
        ({"name": "ip1" + "é" * 127}, "at most 255 bytes"),
        ({"shift": 32}, "shift is 32; it must be from 0 to 31"),
        ({"shift": -1}, "shift is -1"),
        ({"weight_fraction": -65}, "-65 weight fraction bits"),
    ],
)
def test_check_refuses_a_layer_and_names_it(change, message):
    network = small_network()
    broken = dataclasses.replace(network.layers[0], **change)
    with pytest.raises(BadInput, match=f"^layer 'ip1.*'.*{message}"):
        check(dataclasses.replace(network, layers=(broken, network.layers[1])))
