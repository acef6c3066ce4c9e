"""The cycle model against the engine's own counters: exact, for every layer of every network."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
from engines import ENGINES, widths

from hw.regmap import Window
from sim import golden
from sim.cycles import predict
from sim.engine import open_engine
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sw import datasets, networks
from sw import format as thr
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import pack

ARTY = "arty_a7_35t"
NARROW = "three lanes, two groups"  # its queues have hardly any place


@functools.cache
def engine(name: str) -> Accelerator:
    return Accelerator(open_simulations.enter_context(open_engine(ENGINES[name])))


open_simulations = contextlib.ExitStack()


@pytest.fixture(scope="module", autouse=True)
def close_simulations():
    yield
    open_simulations.close()
    engine.cache_clear()


def agree(name, image, *runs):
    """Every counter of every layer, and the cycles of the run; returns the last prediction."""
    accelerator = engine(name)
    accelerator.load(image)
    for x in runs:
        accelerator.run(x)
        prediction = predict(image, x)
        assert [layer.counts for layer in prediction.layers] == accelerator.counters()
        assert prediction.cycles == accelerator.cycles
        for layer in prediction.layers:
            assert layer.counts.cycles > max(layer.feeding, layer.working)
        # The last positions of two layers are drained while the next is fed.
        assert prediction.cycles > sum(layer.draining for layer in prediction.layers)
    return prediction


@pytest.mark.parametrize("name", networks.NAMES)
def test_shipped_networks(name):
    network = thr.read(networks.path(name))
    image = pack(network, ENGINES[ARTY])
    x = golden.quantise(network, datasets.load("mnist", 8)[0])
    agree(ARTY, image, *(x[n : n + 1] for n in range(6)), x[6 : 6 + image.vectors])


def packed(network, name):
    """The image, or None if the engine is too small for it."""
    try:
        return pack(network, ENGINES[name])
    except BadInput:
        return None


@pytest.mark.parametrize("name", ENGINES)
def test_random_graphs(name):
    channels = {"tiny": 9, NARROW: 40, ARTY: 40}.get(name, 12)
    graphs = 120 if channels != 12 else 40
    rng = np.random.default_rng(channels)
    ran = 0
    for seed in range(graphs):
        limits = Limits(
            channels=int(rng.integers(1, channels + 1)),
            side=int(rng.integers(1, 13)),
            layers=int(rng.integers(1, 7)),
            **widths(name),
        )
        network = random_graph(limits, seed)
        image = packed(network, name)
        if image is not None:
            x = random_planes(network, 4, seed)
            agree(name, image, x[:1], x[: image.vectors])
            ran += 1
    assert ran >= graphs // 3


@pytest.mark.parametrize("name", [NARROW, ARTY])
def test_random_networks(name):
    rng = np.random.default_rng(0)
    blocked = stalled = 0
    for seed in range(40):
        recipe = Recipe(
            sizes=rng.integers(1, 200, 4).tolist(),
            density=float(rng.choice([0.0, 0.005, 0.08, 0.5])),
            activation_density=float(rng.choice([0.0, 0.05, 0.3, 1.0])),
        )
        image = packed(random_network(recipe, seed), name)
        if image is not None:
            x = random_inputs(recipe, 5, seed)
            layers = agree(name, image, x[: image.vectors]).layers
            blocked += sum(layer.counts.blocked for layer in layers)
            stalled += sum(layer.counts.stalled for layer in layers)
    assert blocked
    assert stalled


def dense(rows, columns, kept):
    """A layer of ones, and zeros beyond the first `kept` columns."""
    network = random_network(Recipe(sizes=[columns, rows]), 0)
    codes = np.ones((rows, columns), np.uint8)
    codes[:, kept:] = 0
    changes = {"codes": codes, "codebook": np.arange(2), "bias": np.full(rows, 1)}
    layer = dataclasses.replace(network.layers[0], **changes)
    return dataclasses.replace(network, layers=(layer,))


def test_a_layer_of_several_instructions():
    network = dense(200, 10, 10)  # more rows than the accumulators of both buffers hold
    image = pack(network, ENGINES["tiny"])
    assert image.steps == (0, 0)
    (layer,) = agree("tiny", image, np.ones((1, 10), np.int64)).layers
    assert layer.counts.activations == 2 * 10
    assert layer.counts.busy == 200 * 10


class TestBounds:
    def test_a_feeder_by_itself(self):
        """Elements that have hardly anything to do leave the feeder's cycles and a constant."""
        overheads = set()
        for columns in (60, 120):
            image = pack(dense(4, columns, 1), ENGINES["tiny"])
            (layer,) = agree("tiny", image, np.ones((1, columns), np.int64)).layers
            assert layer.bound == "feeding"
            assert layer.working == 2  # one entry, and the marker
            overheads.add(layer.counts.cycles - layer.feeding)
        assert overheads == {21}

    def test_words_of_zeros_are_fed_too(self):
        image = pack(dense(4, 80, 1), ENGINES["tiny"])
        x = np.zeros((1, 80), np.int64)
        (layer,) = agree("tiny", image, x).layers
        assert layer.counts.activations == 0
        assert layer.feeding == pytest.approx(20, abs=8)

    def test_elements_by_themselves(self):
        image = pack(dense(40, 40, 40), ENGINES["tiny"])
        (layer,) = agree("tiny", image, np.ones((1, 40), np.int64)).layers
        assert layer.bound == "working"
        assert layer.working == 400

    def test_write_back_by_itself(self):
        image = pack(dense(60, 1, 1), ENGINES["tiny"])
        x = np.ones((min(4, image.vectors), 1), np.int64)
        (layer,) = agree("tiny", image, x).layers
        assert layer.draining == 15 * len(x)


def test_deeper_queues_are_no_slower():
    network = thr.read(networks.LENET5)
    image = pack(network, ENGINES[ARTY])
    x = golden.quantise(network, datasets.load("mnist", 1)[0])
    cycles = []
    for depth in (6, 8, 32, 1024):
        config = dataclasses.replace(image.config, queue_depth=depth)
        cycles.append(predict(dataclasses.replace(image, config=config), x).cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


def test_it_is_the_image_that_counts():
    """A column that has lost its entries costs nothing any more."""
    image = pack(dense(40, 40, 40), ENGINES["tiny"])
    x = np.ones((1, 40), np.int64)
    pointers = [items.copy() for items in image.contents[Window.POINTERS]]
    for items in pointers:
        items[7] = 0
    contents = {**image.contents, Window.POINTERS: tuple(pointers)}
    changed = agree("tiny", dataclasses.replace(image, contents=contents), x)
    assert predict(image, x).layers[0].working - changed.layers[0].working == 10
