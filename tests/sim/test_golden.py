"""The golden model against one written the slow way: Python integers, one number at a time."""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution


def slow_layer(layer, vector, activation_bits):
    outputs = []
    for row in range(layer.rows):
        total = int(layer.bias[row])
        for column, x in enumerate(vector):
            total += int(layer.codebook[layer.codes[row, column]]) * int(x)
        y = math.floor(Fraction(total, 1 << layer.shift) + Fraction(1, 2))
        least, greatest = -(2 ** (activation_bits - 1)), 2 ** (activation_bits - 1) - 1
        if layer.relu and y < 0:
            y = 0
        outputs.append(min(max(y, least), greatest))
    return outputs


def slow_patch(geometry, vector, at, group):
    """What a group's rows meet at a position, index by index, zeros in the padding."""
    planes = np.reshape(vector, (geometry.channels, geometry.height, geometry.width)).tolist()
    share = geometry.channels // geometry.groups

    def pixel(channel, y, x):
        inside = 0 <= y < geometry.height and 0 <= x < geometry.width
        return planes[channel][y][x] if inside else 0

    top, left = (place * geometry.stride - geometry.padding for place in at)
    return [
        pixel(group * share + channel, top + v, left + u)
        for channel in range(share)
        for v in range(geometry.kernel_height)
        for u in range(geometry.kernel_width)
    ]


def slow_outputs(layer, vector, compute):
    """(row, y, x) -> what `compute` makes of the row and of what it meets there."""
    geometry = layer.convolution
    height, width = geometry.positions
    return {
        (row, y, x): compute(
            row, slow_patch(geometry, vector, (y, x), row * geometry.groups // layer.rows)
        )
        for row in range(layer.rows)
        for y in range(height)
        for x in range(width)
    }


def slow_convolution(layer, vector, activation_bits):
    """The definition of convolution, padding and pooling."""
    geometry = layer.convolution

    def compute(row, patch):
        one = dataclasses.replace(
            layer, codes=layer.codes[row : row + 1], bias=layer.bias[row : row + 1]
        )
        return slow_layer(one, patch, activation_bits)[0]

    every = slow_outputs(layer, vector, compute)
    window = [(v, u) for v in range(geometry.pool) for u in range(geometry.pool)]
    step = geometry.pool - geometry.overlap
    height, width = ((side - geometry.pool) // step + 1 for side in geometry.positions)
    outputs = []
    for row in range(layer.rows):
        for y in range(height):
            for x in range(width):
                values = [every[row, y * step + v, x * step + u] for v, u in window]
                mean = math.floor(Fraction(sum(values), len(values)) + Fraction(1, 2))
                outputs.append(mean if geometry.average else max(values))
    return outputs


def sources_of(layer, tensors):
    """What a layer is given, source by source where these are added."""
    parts = [tensors[-distance] for distance in layer.sources]
    return parts if layer.added else [list(itertools.chain(*parts))]


def slow_run(network, vector):
    """The input, and what every layer makes of it."""
    tensors = [list(map(int, vector))]
    for layer in network.layers:
        taken = [sum(each) for each in zip(*sources_of(layer, tensors), strict=True)]
        slow = slow_layer if layer.convolution is None else slow_convolution
        tensors.append(slow(layer, taken, network.activation_bits))
    return tensors


def slow_products(network, tensors):
    """Multiplications of non-zeros in each layer."""
    counts = []
    for place, layer in enumerate(network.layers):

        def meets(row, patch, layer=layer):
            weights = layer.codebook[layer.codes[row]]
            return sum(x != 0 and weight != 0 for weight, x in zip(weights, patch, strict=True))

        count = 0
        for taken in sources_of(layer, tensors[: place + 1]):
            if layer.convolution is None:
                count += sum(meets(row, taken) for row in range(layer.rows))
            else:
                count += sum(slow_outputs(layer, taken, meets).values())
        counts.append(count)
    return counts


repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=60)


@st.composite
def recipes(draw):
    return Recipe(
        sizes=draw(st.lists(st.integers(1, 14), min_size=2, max_size=4)),
        density=draw(st.sampled_from([0.0, 0.2, 1.0])),
        code_bits=draw(st.integers(1, 8)),
        activation_density=draw(st.sampled_from([0.0, 0.5, 1.0])),
        activation_bits=draw(st.integers(4, 16)),
    )


@repeatable
@given(recipe=recipes(), seed=st.integers(0, 1 << 30))
def test_networks(recipe, seed):
    network, x = random_network(recipe, seed), random_inputs(recipe, 3, seed)
    agree(network, x)


def agree(network, x):
    outputs = golden.run(network, x)
    slow = [slow_run(network, vector) for vector in x]
    for number, tensors in enumerate(slow):
        assert [found[number].tolist() for found in outputs] == tensors[1:]
    layers = golden.layer_products(network, x, outputs)
    assert np.array(layers).T.tolist() == [slow_products(network, tensors) for tensors in slow]
    assert golden.products(network, x, outputs).tolist() == np.sum(layers, axis=0).tolist()


@repeatable
@given(
    limits=st.builds(
        Limits,
        channels=st.sampled_from([2, 6]),
        side=st.sampled_from([1, 4, 5]),
        layers=st.sampled_from([2, 4]),
        activation_bits=st.integers(4, 16),
    ),
    seed=st.integers(0, 1 << 30),
)
def test_graphs(limits, seed):
    """Convolutions of every kind, sources concatenated and added."""
    network = random_graph(limits, seed)
    agree(network, random_planes(network, 2, seed))


def layer_of(weight, *, bias=0, shift=0, relu=False):
    """One output, one input."""
    codes, codebook = np.ones((1, 1), np.uint8), np.array([0, weight])
    return CompressedLayer("only", codes, codebook, 0, np.array([bias]), shift, relu)


def output(layer, x, activation_bits=8):
    return golden.run_layer(layer, np.array([[x]]), activation_bits).item()


@pytest.mark.parametrize(
    ("total", "shift", "rounded"),
    [
        # Halves go up, which for negative ones is towards zero.
        (1, 1, 1), (3, 1, 2), (-1, 1, 0), (-3, 1, -1), (-5, 1, -2),
        (2, 2, 1), (-2, 2, 0), (6, 2, 2), (-6, 2, -1), (5, 2, 1), (-5, 2, -1), (-7, 2, -2),
        (7, 0, 7), (-7, 0, -7),
        (128, 8, 1), (127, 8, 0), (-128, 8, 0), (-129, 8, -1),
    ],
)  # fmt: skip
def test_halves_round_up(total, shift, rounded):
    assert output(layer_of(0, bias=total, shift=shift), 0) == rounded


@pytest.mark.parametrize(
    ("total", "relu", "clamped"),
    [
        (127, False, 127), (128, False, 127), (1 << 40, False, 127),
        (-128, False, -128), (-129, False, -128), (-(1 << 40), False, -128),
        (127, True, 127), (128, True, 127), (0, True, 0), (-1, True, 0), (-(1 << 40), True, 0),
    ],
)  # fmt: skip
def test_outputs_saturate(total, relu, clamped):
    assert output(layer_of(0, bias=total, relu=relu), 0) == clamped


def test_relu_comes_after_rounding():
    assert output(layer_of(1, shift=1, relu=True), -1) == 0
    assert output(layer_of(1, shift=1), -3) == -1


def test_sums_beyond_32_bits_are_exact():
    codes = np.ones((1, 1000), np.uint8)
    layer = dataclasses.replace(
        layer_of(-32768, shift=31), codes=codes, bias=np.array([-(1 << 45)])
    )
    y = golden.run_layer(layer, np.full((1, 1000), -32768), 16)
    exact = Fraction(1000 * 32768 * 32768 - (1 << 45), 1 << 31) + Fraction(1, 2)
    assert y.item() == math.floor(exact)


def one_layer_network(layer, fmt, activation_bits=8):
    return CompressedNetwork(fmt, activation_bits, 16, 32, (layer,))


@pytest.mark.parametrize(
    ("x", "q"),
    [
        (0.5, 2),
        (0.125, 1),
        (-0.125, 0),
        (-0.375, -1),
        (0.124, 0),
        (-0.126, -1),
        (5.0, 7),
        (-5.0, -8),
    ],
)
def test_inputs_round_half_up_and_clamp(x, q):
    network = one_layer_network(layer_of(1), NumberFormat(fraction=2, low=-8, high=7))
    assert golden.quantise(network, np.array([[x]])).tolist() == [[q]]


def test_inputs_of_any_float_type_become_int64():
    network = one_layer_network(layer_of(1), NumberFormat(fraction=-1, low=-8, high=7))
    for kind in (np.float16, np.float32, np.float64):
        q = golden.quantise(network, np.array([[7.0, -3.0]], kind))
        assert q.dtype == np.int64
        assert q.tolist() == [[4, -1]]


def test_outputs_as_floats_have_the_scale_of_the_last_layer():
    layer = dataclasses.replace(layer_of(3, shift=2), weight_fraction=5)
    network = one_layer_network(layer, NumberFormat(fraction=4, low=-8, high=7))
    assert golden.dequantise(network, np.array([[64, -3]])).tolist() == [[0.5, -3 / 128]]


def test_products_leave_out_zeros_of_every_kind():
    """Pruned weights, a codebook value that is 0 without being code 0, and zero activations."""
    codes = np.array([[0, 1, 2], [1, 1, 1]], np.uint8)
    layer = dataclasses.replace(
        layer_of(1), codes=codes, codebook=np.array([0, 4, 0]), bias=np.zeros(2, np.int64)
    )
    network = one_layer_network(layer, NumberFormat(0, -8, 7))
    x = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    assert golden.products(network, x, golden.run(network, x)).tolist() == [4, 2, 0]


@st.composite
def convolutions(draw):
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, min(kernel) - 1))
    geometry = Convolution(
        channels=draw(st.integers(1, 3)),
        height=draw(st.integers(max(1, kernel[0] - 2 * padding), 7)),
        width=draw(st.integers(max(1, kernel[1] - 2 * padding), 7)),
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        stride=draw(st.integers(1, 3)),
        padding=padding,
    )
    pool = draw(st.integers(1, min(geometry.positions)))
    return dataclasses.replace(
        geometry,
        pool=pool,
        overlap=draw(st.integers(0, pool - 1)),
        average=pool in (1, 2, 4) and draw(st.booleans()),
        groups=draw(st.sampled_from([1, geometry.channels])),
    )


@repeatable
@given(geometry=convolutions(), rows=st.integers(1, 4), relu=st.booleans(), seed=st.integers(0, 99))
def test_convolutions(geometry, rows, relu, seed):
    assert geometry.fault() is None
    rows *= geometry.groups
    rng = np.random.default_rng(seed)
    layer = CompressedLayer(
        name="conv",
        codes=rng.integers(0, 4, (rows, geometry.columns)).astype(np.uint8),
        codebook=np.array([0, -300, 7, 1000]),
        weight_fraction=8,
        bias=rng.integers(-9000, 9000, rows),
        shift=4,
        relu=relu,
        convolution=geometry,
    )
    x = rng.integers(-900, 900, (2, geometry.inputs)) * rng.integers(0, 2, (2, geometry.inputs))
    outputs = golden.run_layer(layer, x, 12)
    assert outputs.shape == (2, layer.outputs)
    np.testing.assert_array_equal(outputs, [slow_convolution(layer, vector, 12) for vector in x])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"height": 2}, "the kernel of 3 × 3 is larger than the input of 2 × 6"),
        ({"pool": 5}, "the pooling window of 5 is larger than 4 × 4"),
        ({"stride": 0}, "stride is 0; it must be 1 or more"),
        ({"padding": 4}, "the padding of 4 is more than the kernel"),
    ],
)
def test_impossible_convolutions(change, fault):
    geometry = Convolution(2, 6, 6, 3, 3)
    assert geometry.fault() is None
    assert dataclasses.replace(geometry, **change).fault() == fault
