"""The engine's RTL against the golden model and the image walk, to the bit."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
from aborts import run_after_aborts
from engines import ENGINES, widths
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from hw.regmap import Window
from sim import golden
from sim.engine import open_engine
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.walk import walk
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import pack


@functools.cache
def engine(name: str) -> Accelerator:
    """One simulation for all tests of this process: no state may leak from one to the next."""
    return Accelerator(open_simulations.enter_context(open_engine(ENGINES[name])))


open_simulations = contextlib.ExitStack()


@pytest.fixture(scope="module", autouse=True)
def close_simulations():
    yield
    open_simulations.close()
    engine.cache_clear()  # the same process may come back to this module


def agree(name, network, x):
    """Run on golden model, image walk and RTL; returns the packed image and the accelerator."""
    config, accelerator = ENGINES[name], engine(name)
    image = pack(network, config)
    expected = golden.run(network, x)
    for walked, port, outputs in zip(walk(image, x), image.layer_ports, expected, strict=True):
        np.testing.assert_array_equal(walked.outputs[:, port.slots], outputs)
    accelerator.load(image)
    np.testing.assert_array_equal(accelerator.run(x), expected[-1])
    return image, accelerator


@st.composite
def recipes(draw, greatest):
    sizes = draw(st.lists(st.integers(1, greatest), min_size=2, max_size=5))
    return Recipe(
        sizes=sizes,
        density=draw(st.sampled_from([0.0, 0.005, 0.02, 0.08, 0.2, 0.5, 1.0])),
        code_bits=draw(st.integers(1, 8)),
        activation_density=draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0])),
    )


# Of random networks and random graphs for each engine: the greatest number of inputs or channels of
# a layer, and how many are run.
RANDOM = {
    "tiny": ((60, 600), (9, 300)),
    "one lane": ((600, 60), (40, 60)),
    "three lanes, two groups": ((600, 150), (40, 250)),
    "five lanes, three groups, 8-bit activations": ((600, 150), (40, 250)),
    "arty_a7_35t": ((500, 150), (40, 150)),
    "arty_a7_100t": ((500, 25), (40, 25)),
    "ulx3s_85f": ((500, 40), (40, 40)),
    "ecp5_25f": ((400, 25), (30, 25)),
    "ice40up5k": ((300, 25), (12, 25)),
    "ice40hx8k": ((150, 25), (9, 25)),
    "gw1nr_9": ((300, 25), (12, 25)),
}


def simulations(examples):
    """No shrinking: an example that shows a fault may be a whole simulation."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )


@pytest.mark.parametrize("name", ENGINES)
def test_random_networks(name):
    greatest, examples = RANDOM[name][0]

    @simulations(examples)
    @given(recipe=recipes(greatest), seed=st.integers(0, 1 << 30), vectors=st.integers(1, 9))
    def check(recipe, seed, vectors):
        recipe = dataclasses.replace(recipe, **widths(name))
        network = random_network(recipe, seed)
        try:
            pack(network, ENGINES[name])
        except BadInput:
            assume(False)
        agree(name, network, random_inputs(recipe, vectors, seed))
        ran.append(recipe)

    ran = []
    check()
    assert len(ran) >= examples // 2  # too many of them were too large to be run


@pytest.mark.parametrize("name", ENGINES)
def test_random_graphs(name):
    """Convolutions, pooling, joined sources and dense layers, in any order."""
    channels, examples = RANDOM[name][1]

    @simulations(examples)
    @given(
        limits=st.builds(
            Limits,
            channels=st.integers(1, channels),
            side=st.integers(1, 12),
            layers=st.integers(1, 6),
            code_bits=st.just(3 if name == "tiny" else 8),  # its codebook holds 64 values
            **{bits: st.just(number) for bits, number in widths(name).items()},
        ),
        seed=st.integers(0, 1 << 30),
        vectors=st.integers(1, 5),
    )
    def check(limits, seed, vectors):
        network = random_graph(limits, seed)
        try:
            pack(network, ENGINES[name])
        except BadInput:
            assume(False)
        agree(name, network, random_planes(network, vectors, seed))
        ran.append(network)

    ran = []
    check()
    assert len(ran) >= examples // 2  # too many of them were too large to be run


def network_of(codes, **changes):
    """One layer with the given codes, weights 1, 2, 3 … for codes 1, 2, 3 …"""
    network = random_network(Recipe(sizes=codes.shape[::-1]), 0)
    values = int(codes.max(initial=1)) + 1
    layer = dataclasses.replace(
        network.layers[0],
        codes=codes.astype(np.uint8),
        codebook=np.arange(values),
        bias=np.zeros(len(codes), np.int64),
        shift=0,
        relu=False,
    )
    return dataclasses.replace(network, layers=(dataclasses.replace(layer, **changes),))


def codes_with(shape, *nonzeros):
    codes = np.zeros(shape, np.uint8)
    for row, column in nonzeros:
        codes[row, column] = 3
    return codes


ONES = np.ones((3, 8), np.int64)
CORNERS = {
    "empty column": (codes_with((6, 8), (0, 0), (5, 2)), ONES),
    "several empty columns": (codes_with((6, 8), (1, 0), (1, 7)), ONES),
    "empty rows": (codes_with((6, 8), (2, 0), (2, 1)), ONES),
    "all-empty layer": (codes_with((6, 8)), ONES),
    "one non-zero in the last place": (codes_with((64, 8), (63, 7)), ONES),
    "gap overflow": (codes_with((64, 8), (0, 0), (63, 0), (63, 7)), ONES),
    "rows not a multiple of the lanes": (codes_with((7, 8), (6, 3), (0, 7)), ONES),
    "more lanes than rows": (codes_with((1, 8), (0, 5)), ONES),
    "all activations zero": (codes_with((6, 8), (1, 1), (2, 2)), 0 * ONES),
    "no activation zero, no weight zero": (np.full((6, 8), 2, np.uint8), ONES),
    "last word zero": (codes_with((6, 8), (1, 1)), np.array([[1, 2, 3, 0, 0, 0, 0, 0]] * 3)),
    "zeros between vectors": (
        codes_with((6, 8), (1, 1)),
        np.array([[0] * 8, [1] * 8, [0] * 8, [0] * 8, [2] * 8]),
    ),
    "same row at distance 1": (codes_with((4, 8), *((0, c) for c in range(8))), ONES),
    # Lane 0 of four holds rows 0 and 4 when the work is equal: the row recurs at distance 2.
    "same row at distance 2": (np.full((8, 8), 1, np.uint8), ONES),
    "saturation upwards": (np.full((4, 8), 7, np.uint8), 32767 * ONES),
    "saturation downwards": (np.full((4, 8), 7, np.uint8), -32768 * ONES),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("name", ["tiny", "three lanes, two groups"])
def test_corner(name, corner):
    codes, x = CORNERS[corner]
    agree(name, network_of(codes), x)


def test_padding():
    """Gaps of every size around the greatest one, beside each other and at a column's start."""
    name = "three lanes, two groups"
    rows = np.cumsum([0, *range(1, 21)])
    # All other rows have as many weights elsewhere, so that none comes before another for its.
    codes = codes_with(
        (rows[-1] + 1, 8),
        *((row, column) for row in rows for column in (0, 1, 7)),
        *((row, n) for row in set(range(rows[-1] + 1)) - set(rows) for n in (2, 3, 4)),
    )
    narrow, _ = agree(name, network_of(codes), ONES)
    wide, _ = agree(name, network_of(codes, codebook=np.arange(256)), ONES)  # leaves two gap bits
    nonzeros = np.count_nonzero(codes)
    assert sum(len(entries) for entries in narrow.contents[Window.ENTRIES]) == nonzeros
    assert sum(len(entries) for entries in wide.contents[Window.ENTRIES]) > nonzeros


def test_batch_of_vectors_equals_single_vectors():
    recipe = Recipe(sizes=[30, 20, 10])
    network, x = random_network(recipe, 5), random_inputs(recipe, 7, 5)
    _, accelerator = agree("tiny", network, x)
    together = accelerator.run(x)
    np.testing.assert_array_equal(together, np.concatenate([accelerator.run(v[None]) for v in x]))


def test_nothing_of_another_network_remains():
    """A-B-A, with B larger than A in every memory."""
    small, large = Recipe(sizes=[9, 5, 3]), Recipe(sizes=[60, 50, 40, 30], density=0.1)
    for recipe in (small, large, small):
        agree("tiny", random_network(recipe, 1), random_inputs(recipe, 4, 1))


@pytest.mark.parametrize("name", ENGINES)
def test_aborts(name):
    """An aborted run leaves nothing behind that a later one could see."""
    assert run_after_aborts(engine(name)._transport, ENGINES[name]) > 0.8


# What the docstrings say that it takes from one stage to the next; write-back has no groups to sum.
LATENCIES = {
    "feeder": 9,
    "pointers": 3,
    "queue": 1,
    "fetch": 3,
    "decoder": 2,
    "accumulators": 3,
    "grid": 1,
    "write-back": 6,
}


class TestRates:
    """What the docstrings promise of rates, by the engine's own counters."""

    def test_one_entry_per_cycle_without_bubbles(self):
        """With every column full, the layer takes its entries and a constant."""
        overheads = set()
        for inputs in (32, 56):
            network = network_of(np.full((32, inputs), 1, np.uint8))
            x = np.ones((1, inputs), np.int64)
            _, accelerator = agree("tiny", network, x)
            (counts,) = accelerator.counters()
            assert counts.busy == 32 * inputs
            assert counts.stalled == 0
            overheads.add(counts.cycles - counts.busy // 4)
        rows = 32 // 4
        assert overheads == {sum(LATENCIES.values()) + rows}

    def test_one_non_zero_per_cycle_and_empty_columns_at_no_cost(self):
        """All columns but the last are empty: as many cycles as activations, and a constant."""
        overheads = set()
        for inputs in (64, 120):
            network = network_of(codes_with((4, inputs), (0, inputs - 1)))
            x = np.ones((1, inputs), np.int64)
            _, accelerator = agree("tiny", network, x)
            (counts,) = accelerator.counters()
            assert counts.activations == inputs
            assert counts.blocked == 0
            overheads.add(counts.cycles - inputs)
        assert len(overheads) == 1
        assert overheads.pop() <= 30

    def test_a_word_of_zeros_takes_one_cycle(self):
        cycles = []
        for words in (5, 15):
            network = network_of(codes_with((4, 4 * words), (0, 0)))
            x = np.zeros((1, 4 * words), np.int64)
            x[0, 0] = 1
            _, accelerator = agree("tiny", network, x)
            cycles.append(accelerator.counters()[0].cycles)
        assert cycles[1] - cycles[0] == 10

    def test_vectors_follow_each_other_without_a_bubble(self):
        """One more vector costs just its entries, while write-back keeps up."""
        network = network_of(np.full((8, 24), 1, np.uint8))
        cycles = []
        for vectors in (2, 3, 4):
            _, accelerator = agree("tiny", network, np.ones((vectors, 24), np.int64))
            cycles.append(accelerator.counters()[0].cycles)
        assert np.diff(cycles).tolist() == [48, 48]

    def test_counters_equal_the_walk(self):
        recipe = Recipe(sizes=[50, 40, 30], density=0.3)
        network, x = random_network(recipe, 8), random_inputs(recipe, 2, 8)  # one run holds two
        image, accelerator = agree("tiny", network, x)
        counted = accelerator.counters()
        for counts, layer in zip(counted, walk(image, x), strict=True):
            assert counts.busy == layer.entries.sum()
            assert counts.activations == layer.tokens.sum()
            assert counts.starved >= 0
