"""Deep memories of simulated designs, and images that are put into them without the bus."""

import numpy as np
import pytest
from dummy import DeepDummy
from engines import ENGINES
from numpy.testing import assert_array_equal

from sim import golden, verilated
from sim.engine import open_engine
from sim.preload import preload
from sim.random_network import Recipe, random_inputs, random_network
from sim.verilog import DEEP, to_verilog
from sw.driver import Accelerator, DeviceError
from sw.pack import pack


@pytest.fixture(scope="module")
def program():
    verilog = to_verilog(DeepDummy(), "deep_dummy")
    assert "module deep_memory" in verilog
    return verilated.build(verilog, "deep_dummy")


@pytest.fixture
def dut(program):
    with verilated.VerilatedTransport(program) as transport:
        yield transport


@pytest.fixture
def words():
    return np.random.default_rng(0).integers(0, 1 << 20, DEEP).astype(np.uint32)


def test_a_deep_memory_is_a_memory(dut, words):
    dut.write(0, words)
    dut.write(5, words[:1])
    words[5] = words[0]
    assert_array_equal(dut.read(0, DEEP), words)


def test_filling_takes_no_time_and_gives_the_same(dut, words):
    dut.fill(0, words)
    assert dut.cycles < 100
    assert_array_equal(dut.read(0, DEEP), words)


def test_filling_touches_nothing_else(dut, words):
    dut.write(0, words)
    dut.fill(100, words[:50])
    words[100:150] = words[:50].copy()
    assert_array_equal(dut.read(0, DEEP), words)
    assert_array_equal(dut.read(2 * DEEP, 16), np.arange(16))


def test_words_beyond_the_end_and_the_width_are_lost(dut):
    dut.write(0, np.zeros(1, np.uint32))
    dut.fill(DEEP - 2, np.full(4, 0xFFFFFFFF, np.uint32))
    assert_array_equal(dut.read(DEEP - 2, 2), [0xFFFFF] * 2)
    assert dut.read(0, 1)[0] == 0


@pytest.mark.parametrize("count", [0, 1, 16])
def test_filling_a_memory_that_is_not_deep_is_writing(dut, count):
    dut.fill(2 * DEEP, np.full(count, 7, np.uint32))
    assert_array_equal(dut.read(2 * DEEP, 16), [7] * count + list(range(count, 16)))


@pytest.mark.parametrize("name", ["tiny", "one lane", "three lanes, two groups"])
def test_a_preloaded_engine_does_what_a_loaded_one_does(name):
    recipe = Recipe(sizes=[60, 40, 20])
    network, x = random_network(recipe, 3), random_inputs(recipe, 2, 4)
    image = pack(network, ENGINES[name])
    with open_engine(image.config) as transport:
        loaded = Accelerator(transport)
        loaded.load(image)
        expected, counts = loaded.run(x), loaded.counters()
    with open_engine(image.config) as transport:
        preloaded = preload(transport, image)
        assert_array_equal(preloaded.run(x), expected)
        assert preloaded.counters() == counts
    assert_array_equal(expected, golden.run(network, x)[-1])


def test_an_image_for_another_engine_is_refused():
    recipe = Recipe(sizes=[20, 10])
    image = pack(random_network(recipe, 1), ENGINES["one lane"])
    with (
        open_engine(ENGINES["tiny"]) as transport,
        pytest.raises(DeviceError, match="was built for configuration"),
    ):
        preload(transport, image)
