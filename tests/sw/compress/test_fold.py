"""Dead units are folded away, and nothing else changes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import graphs, shared

from sim import golden
from sw.compress import compress
from sw.compress.fold import fold_dead
from sw.compress.recipe import load
from sw.compress.shared import Shared
from sw.convolution import Convolution
from sw.network import Network


def run(layers: list[Shared], x: np.ndarray) -> np.ndarray:
    return Network(tuple(layer.layer for layer in layers)).predict(x)


def weights(layers: list[Shared]) -> list[int]:
    return [int(np.count_nonzero(layer.codes)) for layer in layers]


def dense(codes, bias, relu=True) -> Shared:
    centroids = np.array([0.0, 1.0, -0.5, 2.0])
    return Shared("ip", np.array(codes, np.uint8), centroids, np.array(bias, np.float64), relu)


@st.composite
def networks(draw) -> list[Shared]:
    """Layers of which rows, and columns, are dead by lot."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    planes = (draw(st.integers(1, 3)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    layers: list[Shared] = []
    for index in range(draw(st.integers(1, 4))):
        geometry = None
        if draw(st.booleans()) and min(planes[1:]) >= 1:
            kernel = [draw(st.integers(1, min(3, side))) for side in planes[1:]]
            padding = draw(st.integers(0, min(kernel) - 1))
            whole = Convolution(*planes, *kernel, draw(st.integers(1, 2)), padding)
            pool = draw(st.integers(1, min(2, *whole.positions)))
            geometry = dataclasses.replace(whole, pool=pool)
        columns = math.prod(planes) if geometry is None else geometry.columns
        rows = draw(st.integers(1, 5))
        codes = rng.integers(0, 4, (rows, columns))
        codes[rng.random(rows) < draw(st.sampled_from([0, 0.5, 1]))] = 0
        blocks = codes.reshape(rows, planes[0], -1)
        blocks[:, rng.random(planes[0]) < draw(st.sampled_from([0, 0.5]))] = 0
        layers.append(
            Shared(
                f"layer{index}",
                blocks.reshape(rows, columns).astype(np.uint8),
                np.concatenate([[0.0], rng.normal(size=3)]),
                rng.normal(size=rows) * rng.integers(0, 2, rows),
                draw(st.booleans()),
                geometry,
            )
        )
        planes = (rows, 1, 1) if geometry is None else (rows, *geometry.plane)
    return layers


@settings(derandomize=True, deadline=None, max_examples=300)
@given(networks())
def test_it_computes_the_same_with_no_more(layers):
    before = [(layer.codes.copy(), layer.bias.copy()) for layer in layers]
    folded = fold_dead(layers)
    x = np.random.default_rng(1).normal(size=(6, layers[0].layer.inputs))
    np.testing.assert_allclose(run(folded, x), run(layers, x), rtol=1e-9, atol=1e-9)
    for layer, now, (codes, bias) in zip(layers, folded, before, strict=True):
        np.testing.assert_array_equal(layer.codes, codes)
        np.testing.assert_array_equal(layer.bias, bias)
        assert now.codes.dtype == np.uint8
        assert ((now.codes == codes) | (now.codes == 0)).all()
        np.testing.assert_array_equal(now.centroids, layer.centroids)
        assert (now.name, now.relu, now.convolution) == (layer.name, layer.relu, layer.convolution)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(networks())
def test_nothing_is_left_to_fold(layers):
    folded = fold_dead(layers)
    for one, other in zip(folded, fold_dead(folded), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.bias, other.bias)


def test_a_constant_unit_goes_into_the_biases():
    layers = [dense([[1, 2], [0, 0]], [0.0, 3.0]), dense([[1, 2], [0, 3]], [0.5, 0.25], relu=False)]
    first, second = fold_dead(layers)
    np.testing.assert_array_equal(second.codes, [[1, 0], [0, 0]])
    np.testing.assert_array_equal(second.bias, [0.5 - 0.5 * 3, 0.25 + 2 * 3])
    np.testing.assert_array_equal(first.codes, layers[0].codes)
    np.testing.assert_array_equal(first.bias, [0.0, 0.0])


@pytest.mark.parametrize(("relu", "bias"), [(True, 0.5), (False, 0.5 - 0.5 * -3)])
def test_of_a_negative_constant_relu_leaves_nothing(relu, bias):
    layers = [dense([[1, 2], [0, 0]], [0.0, -3.0], relu), dense([[1, 2]], [0.5], relu=False)]
    assert fold_dead(layers)[1].bias[0] == bias


def test_a_unit_that_nothing_meets_loses_all():
    layers = [dense([[1, 2], [2, 3]], [1.0, 3.0]), dense([[1, 0], [2, 0]], [0.0, 0.0], relu=False)]
    first, second = fold_dead(layers)
    np.testing.assert_array_equal(first.codes, [[1, 2], [0, 0]])
    np.testing.assert_array_equal(first.bias, [1.0, 0.0])
    np.testing.assert_array_equal(second.codes, layers[1].codes)


def test_it_goes_on_until_nothing_changes():
    # The last layer meets nothing of the third, so nothing of the others matters.
    full = [dense(np.ones((3, 3)), np.ones(3)) for _ in range(3)]
    assert weights(fold_dead([*full, dense(np.zeros((2, 3)), [1.0, 2.0])])) == [0, 0, 0, 0]
    # The first gives constants, so all do.
    last = dense(np.ones((2, 3)), [1.0, 2.0], relu=False)
    folded = fold_dead([dense(np.zeros((3, 3)), np.ones(3)), *full, last])
    assert weights(folded) == [0, 0, 0, 0, 0]
    np.testing.assert_array_equal(folded[-1].bias, [1 + 120, 2 + 120])


def test_rows_of_the_last_layer_stay():
    layers = [dense([[1, 1]], [0.0]), dense([[1], [0]], [0.0, 2.0], relu=False)]
    folded = fold_dead(layers)
    np.testing.assert_array_equal(folded[1].bias, [0.0, 2.0])
    assert weights(folded) == [2, 1]


@pytest.mark.parametrize(
    ("padding", "bias", "left"), [(0, 1.0, 4), (1, 1.0, 8), (1, -1.0, 4), (1, 0.0, 4)]
)
def test_a_constant_plane_before_padding_is_kept_unless_it_is_0(padding, bias, left):
    first = Convolution(1, 4, 4, 1, 1)
    second = Convolution(2, 4, 4, 2, 2, padding=padding)
    layers = [
        dataclasses.replace(dense([[1], [0]], [0.0, bias]), convolution=first),
        dataclasses.replace(dense([[1] * 8], [0.0]), convolution=second),
    ]
    assert weights(fold_dead(layers)) == [1, left]


def test_one_layer_is_left_as_it_is():
    layer = dense([[0, 0], [1, 2]], [1.0, 2.0])
    (folded,) = fold_dead([layer])
    np.testing.assert_array_equal(folded.codes, layer.codes)
    np.testing.assert_array_equal(folded.bias, layer.bias)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(graphs())
def test_graphs_compute_the_same_with_no_more(network):
    layers = shared(network)
    folded = fold_dead(layers)
    x = np.random.default_rng(1).integers(-8, 9, (6, network.inputs)) / 4
    expected = network.predict(x)
    bound = 1e-9 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(run(folded, x), expected, rtol=0, atol=bound)
    for layer, now in zip(layers, folded, strict=True):
        assert ((now.codes == layer.codes) | (now.codes == 0)).all()
        assert dataclasses.replace(now, codes=layer.codes, bias=layer.bias) == layer
        if layer.fixed:
            assert now is layer


@settings(derandomize=True, deadline=None, max_examples=60)
@given(graphs(fixed=False))
def test_integers_of_graphs_are_the_same_within_rounding(network):
    recipe = load("no-training").override(None, 8)
    x = np.random.default_rng(1).integers(-16, 17, (20, network.inputs)) / 16
    outputs = []
    for fold in (False, True):
        code = recipe.code.model_copy(update={"fold_dead": fold, "accumulator_bits": 40})
        made = compress(network, recipe.model_copy(update={"code": code}), calibration=x)
        outputs.append(golden.dequantise(made, golden.run(made, golden.quantise(made, x))[-1]))
    greatest = max(1.0, np.abs(outputs[0]).max())
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=0.01 * greatest)


def block(*codes, convolution=None, bias=(0.0, 0.0), **wiring) -> Shared:
    layer = dense(codes, bias, relu=False)
    return dataclasses.replace(layer, convolution=convolution, **wiring)


def test_a_constant_goes_into_all_layers_that_take_it():
    layers = [
        block([1, 2], [0, 0], bias=(0.0, 3.0)),
        block([1, 3], [2, 0]),
        block([2, 1], [1, 1], sources=(2,)),
        block([1, 1, 1, 1], [1, 1, 1, 1], sources=(2, 1)),
    ]
    first, *takers, _ = fold_dead(layers)
    assert weights([first]) == [2]
    np.testing.assert_array_equal(first.bias, [0, 0])
    np.testing.assert_array_equal(takers[0].bias, [6, 0])
    np.testing.assert_array_equal(takers[1].bias, [3, 3])
    assert weights(takers) == [2, 2]


def test_a_unit_that_one_of_two_layers_meets_stays():
    layers = [
        block([1, 2], [2, 3], bias=(1.0, 3.0)),
        block([1, 0], [2, 0]),
        block([0, 1], [0, 0], sources=(2,)),
        block([1, 1], [1, 1], sources=(2, 1), added=True),
    ]
    assert weights(fold_dead(layers)[:2]) == [4, 2]


@pytest.mark.parametrize("kept", [{"added": True, "sources": (1, 2)}, {"fixed": True}])
def test_what_is_added_or_fixed_takes_constants_as_they_are(kept):
    layers = [
        block([1, 2], [3, 1], bias=(1.0, 3.0)),
        block([1, 2], [0, 0], bias=(1.0, 3.0)),
        block([1, 1], [0, 1], **kept),
    ]
    folded = fold_dead(layers)
    assert weights(folded) == [4, 2, 3]
    np.testing.assert_array_equal(folded[1].bias, [1, 3])
    np.testing.assert_array_equal(folded[2].bias, [0, 0])


def test_concatenated_outputs_are_told_apart():
    layers = [
        block([1, 2], [0, 0], bias=(0.0, 3.0)),
        block([0, 0], [1, 2], bias=(5.0, 0.0), sources=(2,)),
        block([1, 2, 3, 1], [2, 1, 0, 2], sources=(1, 2)),  # 5, y, z, 3
    ]
    folded = fold_dead(layers)
    np.testing.assert_array_equal(folded[2].codes, [[0, 2, 3, 0], [0, 1, 0, 0]])
    np.testing.assert_array_equal(folded[2].bias, [5 + 3, -2.5 - 1.5])


def test_groups_meet_their_own_channels():
    """Four channels in two groups, of which the second and the third are constant."""
    first = Convolution(1, 2, 2, 1, 1)
    second = Convolution(4, 2, 2, 1, 1, groups=2)
    layers = [
        block([1], [0], [0], [2], convolution=first, bias=(0.0, 2.0, 4.0, 0.0)),
        block([1, 1], [3, 3], convolution=second),
    ]
    folded = fold_dead(layers)
    np.testing.assert_array_equal(folded[1].codes, [[1, 0], [0, 3]])
    np.testing.assert_array_equal(folded[1].bias, [2, 8])
    np.testing.assert_array_equal(folded[0].bias, [0, 0, 0, 0])


def test_planes_that_are_made_of_single_outputs_are_left_alone():
    """A fully connected layer's four outputs are one channel of the next."""
    layers = [
        block([1], [0], [0], [2], bias=(0.0, 2.0, 4.0, 0.0)),
        block([1, 2], convolution=Convolution(1, 2, 2, 1, 2), bias=(0.0,)),
    ]
    folded = fold_dead(layers)
    assert weights(folded) == [2, 2]
    np.testing.assert_array_equal(folded[0].bias, [0, 2, 4, 0])
