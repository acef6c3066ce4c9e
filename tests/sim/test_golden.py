"""The golden model against one written the slow way: Python integers, one number at a time."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import golden
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


def slow_convolution(layer, vector, activation_bits):
    """Index by index: the definition of convolution, padding and max pooling."""
    geometry = layer.convolution
    planes = np.reshape(vector, (geometry.channels, geometry.height, geometry.width)).tolist()

    def pixel(channel, y, x):
        inside = 0 <= y < geometry.height and 0 <= x < geometry.width
        return planes[channel][y][x] if inside else 0

    def at(y, x):
        patch = [
            pixel(
                channel,
                y * geometry.stride + v - geometry.padding,
                x * geometry.stride + u - geometry.padding,
            )
            for channel in range(geometry.channels)
            for v in range(geometry.kernel_height)
            for u in range(geometry.kernel_width)
        ]
        return slow_layer(layer, patch, activation_bits)

    height, width = geometry.positions
    every = {(y, x): at(y, x) for y in range(height) for x in range(width)}
    pool = geometry.pool
    return [
        max(every[y * pool + v, x * pool + u][row] for v in range(pool) for u in range(pool))
        for row in range(layer.rows)
        for y in range(height // pool)
        for x in range(width // pool)
    ]


def slow_products(network, vector):
    count = 0
    for layer in network.layers:
        for row in range(layer.outputs):
            for column, x in enumerate(vector):
                count += x != 0 and layer.codebook[layer.codes[row, column]] != 0
        vector = slow_layer(layer, vector, network.activation_bits)
    return count


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
    outputs = golden.run(network, x)
    assert len(outputs) == len(network.layers)
    before = x
    for layer, found in zip(network.layers, outputs, strict=True):
        slow = [slow_layer(layer, vector, recipe.activation_bits) for vector in before]
        assert found.tolist() == slow
        before = found
    counted = golden.products(network, x, outputs)
    assert counted.tolist() == [slow_products(network, vector) for vector in x]


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
    return dataclasses.replace(geometry, pool=pool)


@repeatable
@given(geometry=convolutions(), rows=st.integers(1, 4), relu=st.booleans(), seed=st.integers(0, 99))
def test_convolutions(geometry, rows, relu, seed):
    assert geometry.fault() is None
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
