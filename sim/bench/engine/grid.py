"""Bench of `hw.engine.grid.Grid`: tokens of every group in, accumulators out."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from hw.engine.grid import Grid
from sim.bench.blocks import Trace, configuration, drive, signed
from sim.bench.latencies import COUNTS, DECODER, FETCH, FULL, FULL_EVERYWHERE, POINTERS, QUEUE
from sim.bench.pe.accumulate import PLACES, RELEASED_EARLY, ROWS, clear, drain, until_drainable
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
LANES, GROUPS = CONFIG.lanes, CONFIG.groups
SIGNALS = ("busy", "stalled", "full", "i__0__valid", "i__0__ready")
DRAIN = ("drain__enable", "drain__release", "drain__buffer")

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
        for row in range(elements[0].rows)
    ]


def random_elements(seed: int, density: float, rows: int = ROWS) -> list[Contents]:
    """Contents of the elements: one codebook, and columns of their own."""
    numbers = random.Random(seed)
    shared = random_contents(seed, density, rows)
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
    await clear(dut, **FROM_GRID)
    return Trace(dut, *SIGNALS, *DRAIN), drivers


def totals_of(dut: Any) -> list[list[int]]:
    """By lane and group."""
    bits, width = int(dut.totals.value), CONFIG.accumulator_bits
    return [
        [signed(bits >> (lane * GROUPS + group) * width, width) for group in range(GROUPS)]
        for lane in range(LANES)
    ]


FROM_GRID: dict[str, Any] = {"latency": Grid.TOTAL_LATENCY, "read": totals_of}


async def drain_vector(dut: Any, contents: Contents, number: int, early: int = 0) -> Totals:
    """Drain the vector that has its turn; it is released with its last row, or rows `early`."""
    return await drain(dut, contents.places(number), number % 2, early=early, **FROM_GRID)


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
        await until_drainable(dut, number % 2, further=numbers.randint(0, slowest))
        totals = await drain_vector(dut, elements[0], number, early=number % (1 + RELEASED_EARLY))
        assert totals == reference(elements, vectors, number)
    await ClockCycles(dut.clk, COUNTS)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 60], density=[0.1, 0.6])
async def agrees(dut: Any, stalls: float, slowest: int, density: float) -> None:
    elements = random_elements(1, density)
    vectors = [random_vectors(group, 6, 0.3 + 0.7 * (group % 2)) for group in range(GROUPS)]
    trace, drivers = await begin(dut, stalls)
    await check(dut, drivers, elements, vectors, slowest)
    executed = sum(entries_of(e, vectors[unit // LANES]) for unit, e in enumerate(elements))
    assert sum(cycle["busy"] for cycle in trace.cycles) == executed
    for time in trace.times(lambda c: c["drain__release"]):
        buffer = trace.cycles[time]["drain__buffer"]
        # It is filled again with what is taken after that, at the soonest.
        after = trace.cycles[time + 1 : time + 1 + FETCH + DECODER + FULL]
        assert not any(cycle["full"] >> buffer & 1 for cycle in after), "no longer full"


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 60])
async def joined_buffers_have_twice_the_rows(dut: Any, stalls: float, slowest: int) -> None:
    """A layer of such vectors, one of others, and one of such again."""
    _, drivers = await begin(dut, stalls)
    vectors = [random_vectors(group, 4, 0.3 + 0.7 * (group % 2)) for group in range(GROUPS)]
    for rows in (PLACES, ROWS, ROWS + 3):
        await check(dut, drivers, random_elements(rows, 0.4, rows), vectors, slowest)


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
async def full_and_the_counts_are_late_and_totals_are_there_at_once(dut: Any) -> None:
    """A vector may be drained in the cycle in which it is full everywhere."""
    one_entry = dataclasses.replace(random_contents(1, 1.0), columns=[[(0, 1)]] * COLUMNS)
    elements = [one_entry] * CONFIG.elements
    vectors = [[[0] * (COLUMNS - 1) + [3]]] * GROUPS
    trace, drivers = await begin(dut)
    for unit, contents in enumerate(elements):
        await load_contents(dut, contents, unit)
    tokens = tokens_of(one_entry, vectors[0])
    sending = [cocotb.start_soon(driver.send(tokens)) for driver in drivers]
    for task in sending:
        await task
    read = POINTERS + QUEUE + 1
    full = POINTERS + QUEUE + FETCH + DECODER + FULL + FULL_EVERYWHERE
    await ClockCycles(dut.clk, full - 1)
    assert await drain_vector(dut, one_entry, 0) == reference(elements, vectors, 0)
    (taken,) = trace.times(lambda c: c["i__0__valid"] and c["i__0__ready"])
    assert trace.times(lambda c: c["busy"]) == [taken + read + COUNTS]
    assert trace.cycles[taken + read + COUNTS]["busy"] == CONFIG.elements
    assert trace.times(lambda c: c["full"])[0] == taken + full
    assert trace.times(lambda c: c["drain__enable"])[0] == taken + full


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
        await until_drainable(dut, number % 2, further=0)
        assert await drain_vector(dut, elements[0], number) == reference(elements, vectors, number)
