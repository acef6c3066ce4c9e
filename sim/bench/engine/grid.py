"""Bench of `hw.engine.grid.Grid`: tokens of every group in, accumulators out."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.bench.blocks import Trace, configuration, drive, signed
from sim.bench.pe.accumulate import RELEASED_EARLY, until_full
from sim.bench.pe.element import (
    COLUMNS,
    Contents,
    entries_of,
    load_contents,
    random_contents,
    random_vectors,
    sums,
    tokens_of,
)
from sim.bench.streams import StreamDriver, start

CONFIG = configuration()
LANES, GROUPS, ROWS = CONFIG.lanes, CONFIG.groups, CONFIG.accumulator_depth
SIGNALS = ("busy", "stalled", "full", "i__0__valid", "i__0__ready")
DRAIN = ("drain__release", "drain__buffer")

Totals = list[list[list[int]]]  # by row, lane, group
Vectors = list[list[list[int]]]  # activations by group, vector, column


def reference(elements: list[Contents], vectors: Vectors, number: int) -> Totals:
    """Accumulators after one vector."""
    by_element = [
        sums(contents, vectors[unit // LANES][number]) for unit, contents in enumerate(elements)
    ]
    return [
        [
            [by_element[group * LANES + lane][row] for group in range(GROUPS)]
            for lane in range(LANES)
        ]
        for row in range(ROWS)
    ]


def random_elements(seed: int, density: float) -> list[Contents]:
    """Contents of the elements: one codebook, and columns of their own."""
    numbers = random.Random(seed)
    shared = random_contents(seed, density)
    return [
        dataclasses.replace(shared, columns=numbers.sample(shared.columns, COLUMNS))
        for _ in range(CONFIG.elements)
    ]


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, list[StreamDriver]]:
    drivers = [
        StreamDriver(dut, f"i__{group}", dut.clk, stalls=stalls, seed=group)
        for group in range(GROUPS)
    ]
    drive(dut, drain__enable=0, drain__release=0, load__windows=0)
    await start(dut)
    for buffer in range(2):
        await drain(dut, buffer, release=False)
    return Trace(dut, *SIGNALS, *DRAIN), drivers


async def drain(dut: Any, buffer: int, *, release: bool = True, early: int = 0) -> Totals:
    """Read and clear a buffer, a row per cycle, as write-back does.

    It is released with its last row, or as many rows `early`.
    """
    rows = []
    for row in range(ROWS + 1):
        enable = row < ROWS
        drive(dut, drain__enable=int(enable), drain__buffer=buffer, drain__row=row % ROWS)
        drive(dut, drain__release=int(release and row == ROWS - 1 - early))
        await RisingEdge(dut.clk)
        rows.append(int(dut.totals.value))
    width = CONFIG.accumulator_bits
    return [
        [
            [signed(bits >> (lane * GROUPS + group) * width, width) for group in range(GROUPS)]
            for lane in range(LANES)
        ]
        for bits in rows[1:]
    ]


async def check(
    dut: Any,
    drivers: list[StreamDriver],
    elements: list[Contents],
    vectors: Vectors,
    slowest: int = 0,
) -> None:
    numbers = random.Random(8)
    for unit, contents in enumerate(elements):
        await load_contents(dut, contents, unit)
    for driver, of_group in zip(drivers, vectors, strict=True):
        cocotb.start_soon(driver.send(tokens_of(elements[0], of_group)))
    for number in range(len(vectors[0])):
        buffer = number % 2
        await until_full(dut, buffer)
        await ClockCycles(dut.clk, numbers.randint(0, slowest) + 1)
        early = number % (1 + RELEASED_EARLY)
        assert await drain(dut, buffer, early=early) == reference(elements, vectors, number)
    await ClockCycles(dut.clk, 3)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 60], density=[0.1, 0.6])
async def agrees(dut: Any, stalls: float, slowest: int, density: float) -> None:
    elements = random_elements(1, density)
    vectors = [random_vectors(group, 6, 0.3 + 0.7 * (group % 2)) for group in range(GROUPS)]
    trace, drivers = await begin(dut, stalls)
    await check(dut, drivers, elements, vectors, slowest)
    executed = sum(entries_of(e, vectors[unit // LANES]) for unit, e in enumerate(elements))
    assert sum(cycle["busy"] for cycle in trace.cycles) == executed
    for before, now in itertools.pairwise(trace.cycles):
        if before["drain__release"]:
            assert not now["full"] >> before["drain__buffer"] & 1, "released, so no longer full"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_token_waits_for_the_slowest_lane(dut: Any) -> None:
    """One element has all the work; the others must not lose or repeat a token."""
    full = random_contents(2, 1.0)
    for slowest in range(CONFIG.elements):
        elements = [
            dataclasses.replace(full, columns=full.columns if unit == slowest else [[]] * COLUMNS)
            for unit in range(CONFIG.elements)
        ]
        vectors = [random_vectors(group, 2, 2.0) for group in range(GROUPS)]
        trace, drivers = await begin(dut)
        await check(dut, drivers, elements, vectors)
        assert max(cycle["busy"] for cycle in trace.cycles) == 1
        waits = trace.times(lambda c: c["i__0__valid"] and not c["i__0__ready"])
        assert bool(waits) == (slowest < LANES)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def full_is_one_cycle_late_and_the_counts_two(dut: Any) -> None:
    one_entry = dataclasses.replace(random_contents(1, 1.0), columns=[[(0, 1)]] * COLUMNS)
    vectors = [[[0] * (COLUMNS - 1) + [3]] for _ in range(GROUPS)]
    trace, drivers = await begin(dut)
    await check(dut, drivers, [one_entry] * CONFIG.elements, vectors)
    # An element reads its entry four cycles after the token, and is full after eleven.
    (taken,) = trace.times(lambda c: c["i__0__valid"] and c["i__0__ready"])
    assert trace.times(lambda c: c["busy"]) == [taken + 4 + 2]
    assert trace.cycles[taken + 4 + 2]["busy"] == CONFIG.elements
    assert trace.times(lambda c: c["full"])[0] == taken + 11 + 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def full_means_every_element(dut: Any) -> None:
    """One group has its vector much later than the others; all stall on the third vector."""
    elements = random_elements(3, 0.5)
    vectors = [random_vectors(group, 3, 1.0) for group in range(GROUPS)]
    trace, drivers = await begin(dut)
    for unit, contents in enumerate(elements):
        await load_contents(dut, contents, unit)
    tokens = [tokens_of(elements[0], of_group) for of_group in vectors]
    for driver, of_group in zip(drivers[1:], tokens[1:], strict=True):
        cocotb.start_soon(driver.send(of_group))
    await ClockCycles(dut.clk, 500)
    assert not trace.times(lambda c: c["full"])
    assert trace.cycles[-1]["stalled"] == (GROUPS - 1) * LANES
    cocotb.start_soon(drivers[0].send(tokens[0]))
    for number in range(3):
        await until_full(dut, number % 2)
        assert await drain(dut, number % 2) == reference(elements, vectors, number)
