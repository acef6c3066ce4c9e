"""Bench of `hw.engine.counters.LayerCounters`."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from amaranth.lib import data
from amaranth.utils import bits_for
from cocotb.triggers import RisingEdge

from hw.regmap import COUNTERS
from sim.bench.blocks import bits_of, configuration, drive
from sim.bench.latencies import COUNTER
from sim.bench.streams import start

CONFIG = configuration()
MOST = {
    "activations": CONFIG.groups,
    "blocked": CONFIG.groups,
    "busy": CONFIG.elements,
    "stalled": CONFIG.elements,
}
STEPS = data.StructLayout({name: bits_for(most) for name, most in MOST.items()})


def reference(steps: list[dict[str, int]]) -> list[int]:
    """The counters of a layer that took so many cycles, in the order of the register map."""
    return [len(steps), *(sum(step[name] for step in steps) for name in COUNTERS[1:])]


def random_steps(numbers: random.Random, count: int) -> list[dict[str, int]]:
    return [
        {name: numbers.choice((0, most, numbers.randint(0, most))) for name, most in MOST.items()}
        for _ in range(count)
    ]


async def begin(dut: Any) -> None:
    drive(dut, start=0, done=0, layer=0, steps=0, read_layer=0, read_counter=0)
    await start(dut)


async def run_layer(dut: Any, layer: int, steps: list[dict[str, int]]) -> None:
    """A layer that starts with the first step; `done` is high in the cycle after the last."""
    drive(dut, layer=layer)
    for number, step in enumerate(steps):
        drive(dut, start=int(number == 0), steps=bits_of(STEPS, **step))
        await RisingEdge(dut.clk)
    # What happens from now on is not the layer's.
    drive(dut, start=0, done=1, steps=(1 << STEPS.size) - 1)
    await RisingEdge(dut.clk)
    drive(dut, done=0)


async def read(dut: Any, layer: int) -> list[int]:
    """All counters of a layer, one per cycle."""
    values = []
    for counter in range(len(COUNTERS) + COUNTER):
        drive(dut, read_layer=layer, read_counter=min(counter, len(COUNTERS) - 1))
        await RisingEdge(dut.clk)
        values.append(int(dut.value.value))
    return values[COUNTER:]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_every_layer_on_its_own(dut: Any) -> None:
    numbers = random.Random(1)
    await begin(dut)
    expected = {}
    for layer in [*range(CONFIG.layer_depth), 1, 0]:
        steps = random_steps(numbers, numbers.randint(1, 60))
        await run_layer(dut, layer, steps)
        expected[layer] = reference(steps)
        for _ in range(numbers.randint(0, 4)):
            await RisingEdge(dut.clk)
    for layer, counts in expected.items():
        assert await read(dut, layer) == counts


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_may_start_in_the_cycle_after_the_last_of_another(dut: Any) -> None:
    """In that cycle the one is stored, and the other begins with what happens then."""
    numbers = random.Random(3)
    await begin(dut)
    order = [*range(CONFIG.layer_depth), 0, 2]
    layers = [random_steps(numbers, numbers.randint(1, 5)) for _ in order]
    expected = {}
    for place, (layer, steps) in enumerate(zip(order, layers, strict=True)):
        for number, step in enumerate(steps):
            first = number == 0
            drive(dut, start=int(first), done=int(first and place > 0))
            drive(dut, layer=order[place - 1] if first else layer, steps=bits_of(STEPS, **step))
            await RisingEdge(dut.clk)
        expected[layer] = reference(steps)
    drive(dut, start=0, done=1, layer=order[-1], steps=(1 << STEPS.size) - 1)
    await RisingEdge(dut.clk)
    drive(dut, done=0)
    for layer, counts in expected.items():
        assert await read(dut, layer) == counts


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def can_be_read_while_a_layer_runs(dut: Any) -> None:
    numbers = random.Random(2)
    await begin(dut)
    before, after = random_steps(numbers, 5), random_steps(numbers, 40)
    await run_layer(dut, 2, before)
    running = cocotb.start_soon(run_layer(dut, 2, after))
    assert await read(dut, 2) == reference(before)
    await running
    assert await read(dut, 2) == reference(after)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_the_most_that_can_happen(dut: Any) -> None:
    await begin(dut)
    steps = [MOST] * 100
    await run_layer(dut, 0, steps)
    assert await read(dut, 0) == reference(steps)
