"""Small engines' netlists after synthesis against the golden model, to the bit."""

import dataclasses

import pytest
from aborts import run_after_aborts

from hw.boards.icebreaker import IceBreakerMemories
from hw.config import PRESETS
from hw.memory import SerialMemory
from hw.regmap import Window, window_items
from sim import cycles, golden, verilated
from sim.engine import engine_netlist
from sim.netlist import FAMILIES
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.simulate import first_difference
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import pack

TINY = PRESETS["tiny"]
GRAPHS = 40


def examples():
    """Networks for the tiny engine, with inputs: dense, then convolutions and joined sources."""
    shapes = [((40, 30, 20), 0.2), ((1, 60), 1.0), ((60, 7, 50, 3), 0.08), ((25, 64), 0.3)]
    for seed, (sizes, density) in enumerate(shapes):
        recipe = Recipe(sizes=sizes, density=density, code_bits=3 + seed % 2)
        yield random_network(recipe, seed), random_inputs(recipe, 5, seed)
    limits = Limits(channels=9, side=8, code_bits=3)  # a codebook of 64 values
    for seed in range(GRAPHS):
        network = random_graph(limits, seed)
        yield network, random_planes(network, 2, seed)


def run_examples(verilog, config=TINY, check=lambda *_: None):
    """Where the outputs of each example that fits differ from the golden model's, None if nowhere.

    The list ends at the first difference. `check` is given image, inputs and accelerator of each.
    """
    program = verilated.build(verilog, "engine", quick=True)
    differences = []
    with verilated.VerilatedTransport(program) as transport:
        accelerator = Accelerator(transport)
        for network, x in examples():
            try:
                image = pack(network, config)
            except BadInput:
                continue
            accelerator.load(image)
            expected = golden.run(network, x)[-1]
            differences.append(first_difference(accelerator.run(x), expected))
            if differences[-1] is not None:
                break
            check(image, x, accelerator)
    return differences


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs(family):
    if family == "ecp5":  # registers are where they were moved to
        cells = engine_netlist(TINY, family).file.read_text()
        assert cells.count('REGMODE_B("OUTREG")') > TINY.elements
        assert cells.count('REG_PIPELINE_CLK("CLK0")') == TINY.elements
    differences = run_examples(engine_netlist(TINY, family).simulated())
    assert set(differences) == {None}
    assert len(differences) >= GRAPHS // 2  # too many of them were too large to be run


def after_aborts(verilog):
    program = verilated.build(verilog, "engine", quick=True)
    with verilated.VerilatedTransport(program) as transport:
        return run_after_aborts(transport, TINY, aborts=3)  # simulated slowly


@pytest.mark.parametrize("family", FAMILIES)
def test_aborts(family):
    assert after_aborts(engine_netlist(TINY, family).simulated()) > 0.5


# The shape of a board's engine, with numbers as wide as the examples'.
UP5K = dataclasses.replace(
    PRESETS["ice40up5k"], weight_bits=16, accumulator_bits=32, segment_depth=64
)


def test_narrow_memories():
    """The iCEBreaker's memories, in SPRAM and read part by part: the outputs stay the same.

    Instructions are read later, and the feeders then have to wait less for the layer before.
    """
    later = SerialMemory.latency(window_items(Window.PROGRAM, UP5K)[2])

    checked = 0

    def check(image, x, accelerator):
        nonlocal checked
        if len(x) > image.vectors:
            return  # in several runs
        checked += 1
        predicted = [layer.counts for layer in cycles.predict(image, x).layers]
        for expected, counted in zip(predicted, accelerator.counters(), strict=True):
            assert (counted.activations, counted.busy) == (expected.activations, expected.busy)
            assert abs(counted.cycles - expected.cycles) <= later

    synthesised = engine_netlist(UP5K, "ice40up", IceBreakerMemories())
    assert synthesised.used["spram"] == 4
    differences = run_examples(synthesised.simulated(), UP5K, check)
    assert set(differences) == {None}
    assert len(differences) >= checked >= GRAPHS // 2  # too many were too large to be run


def test_a_fault_is_seen():
    """One multiplier of four gives the negative of its product."""
    synthesised = engine_netlist(TINY, "xc7")
    sound = synthesised.simulated()
    cell = "module DSP48E1 "
    model = sound[sound.index(cell) :].partition("\nendmodule\n")[0]
    product = "M = A_MULT * B_MULT;"
    assert model.count(product) == 1
    broken = model.replace(cell, "module BROKEN ").replace(product, "M = -A_MULT * B_MULT;")
    faulty = sound.replace("\n  DSP48E1 #(", "\n  BROKEN #(", 1) + f"\n{broken}\nendmodule\n"
    assert faulty.count("BROKEN") == 2
    assert run_examples(faulty)[-1] is not None
