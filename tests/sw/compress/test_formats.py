"""Number formats: grids of inputs, and layers that use the widths they have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sw.compress.formats import Shared, Statistics, Widths, choose, input_format
from sw.compressed import CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.numbers import prove


@pytest.mark.parametrize(
    ("values", "bits", "expected"),
    [
        (np.arange(256) / 256, 16, NumberFormat(8, 0, 255)),
        (np.arange(256) / 256, 9, NumberFormat(8, 0, 255)),
        (np.arange(256) / 256, 8, NumberFormat(6, 0, 64)),
        (np.arange(256), 16, NumberFormat(0, 0, 255)),
        ([0, 2, 4], 16, NumberFormat(0, 0, 4)),
        ([-0.75, 0.5], 16, NumberFormat(2, -3, 2)),
        ([-0.75, -0.5], 16, NumberFormat(2, -3, 0)),
        ([0.1, 0.9999], 16, NumberFormat(15, 0, 32765)),
        ([0.1, 1.0], 16, NumberFormat(14, 0, 16384)),
        ([0.1, -1.0], 16, NumberFormat(14, -16384, 1638)),
        ([100_000.0, 1.5], 16, NumberFormat(-2, 0, 25000)),
        # Fits exactly before rounding, but would round to 2**15.
        ([0.1, 32767.6 / 32768], 16, NumberFormat(14, 0, 16384)),
    ],
)
def test_input_format(values, bits, expected):
    assert input_format(np.array([values], np.float64), bits) == expected


def test_inputs_that_are_all_zero_say_nothing():
    with pytest.raises(BadInput, match="all 0"):
        input_format(np.zeros((3, 2)), 16)


def shared(name="ip1", weights=((1.0, -0.5), (0.25, 0.0)), bias=None, relu=True) -> Shared:
    weights = np.array(weights)
    centroids, codes = np.unique(np.append(weights, 0.0), return_inverse=True)
    order = np.argsort(centroids != 0, kind="stable")
    place = np.argsort(order).astype(np.uint8)
    codes = place[codes[:-1]].reshape(weights.shape)
    bias = np.zeros(len(weights)) if bias is None else np.array(bias, np.float64)
    return Shared(name, codes, centroids[order], bias, relu)


INPUT = NumberFormat(8, 0, 255)
CALM = Statistics(peak=1.0, power=0.2, active=0.5)


def build(layers, widths, fmt=INPUT, statistics=CALM) -> CompressedNetwork:
    chosen = choose(layers, [statistics] * len(layers), 2.0, fmt, widths)
    network = CompressedNetwork(fmt, widths.activation, widths.weight, widths.accumulator, chosen)
    prove(network)
    return network


def test_weights_take_the_whole_of_their_width():
    layer = build([shared()], Widths(16, 16, 48)).layers[0]
    assert layer.weight_fraction == 14  # 1.0 is 2**14; 2**15 does not fit
    np.testing.assert_array_equal(sorted(layer.codebook), [-8192, 0, 4096, 16384])
    assert layer.codebook[0] == 0


def test_weights_take_what_the_accumulator_leaves():
    widths = Widths(16, 16, 16)
    network = build([shared(weights=[[1.0, 1.0]])], widths)
    fraction = network.layers[0].weight_fraction
    finer = dataclasses.replace(
        network.layers[0],
        codebook=network.layers[0].codebook * 2,
        weight_fraction=fraction + 1,
        shift=network.layers[0].shift + 1,
    )
    with pytest.raises(BadInput, match="16 accumulator bits"):
        prove(dataclasses.replace(network, layers=(finer,)))
    assert fraction == 6  # 2 × 255 × 2**6 = 32640


def test_outputs_take_margin_times_the_peak_or_their_bound():
    wide = Widths(16, 16, 48)
    # Bound: 255 / 256; margin × peak: 1; both fit with 15 bits but not with 16.
    assert build([shared()], wide, statistics=Statistics(0.4, 1, 1)).fractions == (8, 15)
    assert build([shared()], wide, statistics=Statistics(90.0, 1, 1)).fractions == (8, 15)
    assert build([shared()], wide, statistics=Statistics(0.1, 1, 1)).fractions == (8, 17)


def test_biases_are_rounded_in_the_scale_of_the_accumulator():
    network = build([shared(bias=[0.7, -0.3])], Widths())
    scale = 2.0 ** (network.layers[0].weight_fraction + 8)
    np.testing.assert_array_equal(network.layers[0].bias, np.rint(np.array([0.7, -0.3]) * scale))


def test_weights_that_round_to_the_same_integer_are_merged_and_to_0_pruned():
    weights = [[1.0, 0.999, 1e-4], [-1e-4, 0.5, 0.0]]
    layer = build([shared(weights=weights)], Widths(16, 4, 32)).layers[0]
    assert layer.weight_fraction == 2
    np.testing.assert_array_equal(layer.codebook, [0, 2, 4])
    np.testing.assert_array_equal(layer.codes, [[2, 2, 0], [0, 1, 0]])


def test_a_layer_of_zeros_gives_its_bias():
    network = build([shared(weights=[[0.0, 0.0]], bias=[0.75])], Widths())
    layer = network.layers[0]
    np.testing.assert_array_equal(layer.codebook, [0])
    assert layer.bias[0] == 0.75 * 2.0 ** (layer.weight_fraction + 8)


def test_outputs_give_way_to_the_next_layer_when_the_accumulator_is_narrow():
    rng = np.random.default_rng(1)
    first = shared("ip1", rng.integers(-8, 9, (200, 20)) / 8)
    second = shared("ip2", rng.integers(-8, 9, (10, 200)) / 8, relu=False)
    peak = Statistics(peak=4.0, power=2.0, active=0.5)
    wide, narrow = (build([first, second], Widths(16, 16, b), statistics=peak) for b in (48, 24))
    assert wide.fractions[1] == 11  # 2 × 4 × 2**12 would be 2**15
    assert narrow.fractions[1] < 11
    # Both operands of the product keep some bits.
    assert narrow.layers[1].weight_fraction > 3
    assert narrow.fractions[1] > 3


def test_no_format_that_fits_names_the_layer():
    with pytest.raises(BadInput, match="layer 'ip1': no number format"):
        build([shared(bias=[1e300, 0.0])], Widths())
