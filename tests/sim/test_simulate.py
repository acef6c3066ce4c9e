"""One network on every target: they agree, and what does not agree is said."""

import dataclasses
import json

import numpy as np
import pytest

from hw.config import PRESETS
from hw.regmap import Window
from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.simulate import TARGETS, accuracy, first_difference, simulate
from sim.walk import walk
from sw.pack import pack

RECIPE = Recipe(sizes=[30, 20, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, PRESETS["tiny"])
X = random_inputs(RECIPE, 20, 1)  # more than the walk of an image takes at once
EXPECTED = golden.run(NETWORK, X)[-1]
REPORT_KEYS = {
    "target",
    "vectors",
    "cycles_per_vector",
    "macs_per_vector",
    "limit_cycles",
    "utilisation",
    "agrees_with_golden",
    "accuracy",
    "seconds",
    "simulated_cycles_per_second",
}


@pytest.fixture(scope="module", params=TARGETS)
def simulation(request):
    steps = []
    result = simulate(NETWORK, IMAGE, X, request.param, steps.append)
    return result, steps


def test_all_targets_agree(simulation):
    result, _ = simulation
    np.testing.assert_array_equal(result.outputs, EXPECTED)
    assert result.agrees
    assert result.difference is None


@pytest.mark.parametrize("target", TARGETS)
def test_all_targets_agree_on_planes(target):
    """Padding, pooling, a sum and a concatenation."""
    network = random_graph(Limits(channels=6, side=5, layers=5, kernel=3), 4256)
    layers = network.layers
    assert any(layer.convolution.padding for layer in layers)
    assert any(layer.convolution.pool > 1 for layer in layers)
    assert any(layer.added for layer in layers)
    assert any(len(layer.sources) > 1 and not layer.added for layer in layers)
    x = random_planes(network, 3, 1)
    result = simulate(network, pack(network, PRESETS["tiny"]), x, target)
    assert result.agrees, result.difference


def test_progress_counts_every_vector(simulation):
    result, steps = simulation
    assert sum(steps) == len(X)
    ready, counted = (steps[0], steps[1:]) if result.target == "verilator" else (0, steps)
    assert ready == 0
    assert min(counted) > 0


def test_cycles_only_where_there_is_a_clock(simulation):
    result, _ = simulation
    if result.target != "verilator":
        assert result.cycles is None
        assert result.simulated_cycles == 0
        return
    assert result.cycles.shape == (len(X),)
    # No element takes more than an entry a cycle.
    busiest = sum(layer.entries.max(axis=1) for layer in walk(IMAGE, X))
    assert (result.cycles > busiest).all()
    assert result.simulated_cycles > result.cycles.sum()


def test_report(simulation):
    result, _ = simulation
    labels = EXPECTED.argmax(axis=1)
    labels[:5] = (labels[:5] + 1) % 10
    report = json.loads(json.dumps(result.report(labels), allow_nan=False))
    assert set(report) == REPORT_KEYS
    assert report["target"] == result.target
    assert report["vectors"] == 20
    assert report["agrees_with_golden"] is True
    assert report["accuracy"] == 0.75
    products = golden.products(NETWORK, X, golden.run(NETWORK, X)).mean()
    assert report["macs_per_vector"] == pytest.approx(products)
    assert report["limit_cycles"] == pytest.approx(products / 4)
    assert report["seconds"] > 0
    cycles = report["cycles_per_vector"]
    if result.target == "verilator":
        assert cycles == {"mean": result.cycles.mean(), "max": result.cycles.max()}
        assert report["utilisation"] == pytest.approx(products / 4 / cycles["mean"])
        assert 0 < report["utilisation"] < 1
        speed = result.simulated_cycles / result.seconds
        assert report["simulated_cycles_per_second"] == pytest.approx(speed)
    else:
        assert cycles == {"mean": None, "max": None}
        assert report["utilisation"] is None
        assert report["simulated_cycles_per_second"] is None
    assert result.report(None)["accuracy"] is None


@pytest.mark.parametrize("target", ["image", "verilator"])
def test_an_image_of_another_network_is_found_out(target):
    """The last output row's bias is wrong, by one output step."""
    row = 9
    lane_row, lane = divmod(int(IMAGE.output.slots[row]), 4)
    place = len(IMAGE.contents[Window.BIAS][0]) - IMAGE.output.words + lane_row
    biases = [items.copy() for items in IMAGE.contents[Window.BIAS]]
    biases[lane][place] += np.uint32(1 << NETWORK.layers[-1].shift)
    contents = {**IMAGE.contents, Window.BIAS: tuple(biases)}
    result = simulate(NETWORK, dataclasses.replace(IMAGE, contents=contents), X, target)
    assert not result.agrees
    differing = np.flatnonzero(result.outputs[:, row] != EXPECTED[:, row])
    np.testing.assert_array_equal(np.delete(result.outputs, row, 1), np.delete(EXPECTED, row, 1))
    vector = differing[0]
    assert result.difference == (
        f"{len(differing)} of 200 outputs differ, the first in vector {vector}, output {row}: "
        f"{EXPECTED[vector, row] + 1} instead of {EXPECTED[vector, row]}"
    )
    assert result.report(None)["agrees_with_golden"] is False


def test_first_difference_in_shape():
    assert first_difference(EXPECTED[:3], EXPECTED) == "shape (3, 10) instead of (20, 10)"


def test_accuracy_takes_the_first_of_equals():
    outputs = np.array([[5, 5, 1], [0, 0, 0], [1, 2, 2], [3, 4, 9]])
    assert accuracy(outputs, np.array([0, 0, 2, 2])) == 0.75
