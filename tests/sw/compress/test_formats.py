"""Number formats: grids of inputs, and layers that use the widths they have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import fire, graphs, identity, layer, pictures, residual
from wired import shared as all_shared

from sim import golden
from sw.compress.formats import (
    Shared,
    Statistics,
    Widths,
    choose,
    input_format,
    measure,
    suit_input,
)
from sw.compressed import CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer, Network
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


WIDE = Widths()
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


def whole(network, x, widths=WIDE, margin=2.0) -> CompressedNetwork:
    """A float network in integers, with all its weights."""
    layers = all_shared(network)
    seen = measure(layers, x)
    fmt = suit_input(layers, seen, margin, input_format(x, widths.activation), widths)
    chosen = choose(layers, seen, margin, fmt, widths)
    made = CompressedNetwork(fmt, widths.activation, widths.weight, widths.accumulator, chosen)
    prove(made)
    return made


def error(network, made, x) -> float:
    """Greatest error of the integers, of the greatest output."""
    got = golden.dequantise(made, golden.run(made, golden.quantise(made, x))[-1])
    expected = network.predict(x)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("make", [residual, fire])
@pytest.mark.parametrize(
    ("widths", "most"),
    [(Widths(), 0.001), (Widths(16, 16, 24), 0.05), (Widths(8, 8, 32), 0.15)],
)
def test_graphs_stay_close_to_the_float_network(make, widths, most):
    network, x = make(), pictures()
    with_all = Network(tuple(each.layer for each in all_shared(network)))
    assert error(with_all, whole(network, x, widths), x) < most


def test_tensors_that_meet_have_the_fraction_bits_of_the_largest():
    """The second block is made a thousand times larger than the first."""
    network = residual()
    layers = list(network.layers)
    layers[1] = dataclasses.replace(layers[1], weights=layers[1].weights * 1000)
    fractions = whole(Network(tuple(layers)), pictures()).fractions
    assert fractions[1] == fractions[3]  # stem and conv1b meet in add1
    assert fractions[1] < whole(network, pictures()).fractions[1] - 6
    assert fractions[6] == fractions[7]


def test_tensors_that_meet_by_way_of_others_are_all_alike():
    rng = np.random.default_rng(1)
    ips = [layer(rng, f"ip{i}", 6, 6) for i in range(3)]
    both = identity("add1", 6, 1, (2, 1))
    last = layer(rng, "last", 4, 12, relu=False, sources=(2, 3))
    network = Network((*ips, both, last))  # ip2 + ip3, and ip2 beside ip3
    made = whole(network, rng.random((50, 6)))
    assert made.fractions[2] == made.fractions[3]
    assert error(network, made, rng.random((50, 6))) < 0.01


def test_those_before_give_way_where_the_accumulator_leaves_a_layer_fewer():
    rng = np.random.default_rng(1)
    small = layer(rng, "small", 4, 4, relu=False)
    many = Layer("many", np.full((4, 4), 200.0), np.zeros(4), False, sources=(2,))
    few = dataclasses.replace(many, weights=many.weights / 2**20)
    x = np.linspace(0, 1, 40).reshape(10, 4)
    for second in (many, few):
        network = Network((small, second, identity("add", 4, 1, (2, 1))))
        made = whole(network, x, Widths(16, 16, 16))
        assert made.fractions[1] == made.fractions[2]
    assert made.fractions[1] > 4  # what is small does not hold the others up


def skipped(scale=1.0) -> Network:
    """A layer whose outputs are added to the network's input."""
    rng = np.random.default_rng(1)
    first = layer(rng, "ip1", 6, 6, relu=False)
    first = dataclasses.replace(first, weights=first.weights * scale)
    both = identity("add", 6, 1, (2, 1))
    return Network((first, both, layer(rng, "ip2", 3, 6, relu=False)))


@pytest.mark.parametrize(("scale", "coarser"), [(1.0, False), (100.0, True)])
def test_what_meets_the_input_has_its_fraction_bits(scale, coarser):
    network = skipped(scale)
    x = np.random.default_rng(1).integers(0, 256, (50, 6)) / 256
    made = whole(network, x)
    assert made.fractions[0] == made.fractions[1]
    assert (made.fractions[0] < 8) is coarser
    assert made.input.high == np.ceil(255 / 2 ** (8 - made.input.fraction))
    assert error(network, made, x) < (0.05 if coarser else 0.002)


def test_an_input_that_what_meets_it_does_not_suit():
    layers = all_shared(skipped(1e3))
    seen = measure(layers, np.ones((2, 6)))
    with pytest.raises(BadInput) as refused:
        choose(layers, seen, 2.0, INPUT, Widths())
    assert str(refused.value).startswith(
        "layer 'ip1': its outputs meet the network's inputs in layer 'add', so both must have 8 "
        "fraction bits; 16 activation bits and 32 accumulator bits leave them "
    )
    with pytest.raises(BadInput, match="16 accumulator bits leave them 6"):
        choose(all_shared(skipped(100.0)), [CALM] * 3, 2.0, INPUT, Widths(16, 16, 16))


def test_what_is_clamped_before_a_mean_is_what_must_fit():
    """One pixel of sixteen is 1, so the mean is 1 / 16, which alone would have 18 bits."""
    where = Convolution(1, 4, 4, 1, 1, pool=4, average=True)
    network = Network((Layer("conv", np.ones((1, 1)), np.zeros(1), True, where),))
    x = np.eye(16)
    layers = all_shared(network)
    (seen,) = measure(layers, x)
    assert seen == Statistics(1.0, 1 / 256, 1.0)
    np.testing.assert_array_equal(
        golden.dequantise(made := whole(network, x), golden.run(made, golden.quantise(made, x))[0]),
        np.full((16, 1), 1 / 16),
    )


def test_statistics_are_those_of_the_floats():
    network, x = residual(), pictures()
    tensors = {0: x}
    for end in range(1, len(network.layers) + 1):
        tensors[end] = Network(network.layers[:end]).predict(x)
    for place, seen in enumerate(measure(all_shared(network), x), 1):
        y = tensors[place]
        assert seen.peak == pytest.approx(np.abs(y).max(), rel=0.1)
        assert seen.active == pytest.approx(np.count_nonzero(y) / y.size, rel=0.05)
        assert seen.power == pytest.approx(np.square(y).mean(), rel=0.05)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    graphs(),
    st.sampled_from([Widths(), Widths(8, 8, 24), Widths(5, 4, 16)]),
    st.sampled_from([1.0, 1e-6, 1e6]),
)
def test_integers_of_any_graph_are_sound(network, widths, scale):
    x = np.random.default_rng(1).normal(size=(5, network.inputs)) * scale
    try:
        whole(network, x, widths)
    except BadInput as refused:
        known = "leave them" in str(refused) or "no number format" in str(refused)
        assert known, refused  # noqa: PT017 (allowed, not awaited)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(graphs())
def test_integers_of_any_graph_are_close(network):
    x = np.random.default_rng(1).integers(-256, 257, (20, network.inputs)) / 256
    made = whole(network, x, Widths(16, 16, 40))
    if np.abs(network.predict(x)).max() > 0:
        assert error(network, made, x) < 0.02
