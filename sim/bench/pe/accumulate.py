"""Bench of `hw.pe.accumulate.MultiplyAccumulate`."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.pe.accumulate import DrainSignature
from sim.bench.blocks import Trace, bits_of, configuration, drive, random_signed, signed, wait_until
from sim.bench.streams import StreamDriver, start

CONFIG = configuration()
OPERAND = layouts.operand(CONFIG)
ROWS = CONFIG.accumulator_depth
RELEASED_EARLY = DrainSignature.RELEASED_EARLY
SIGNALS = (
    "i__valid",
    "i__payload",
    "full",
    "drain__enable",
    "drain__buffer",
    "drain__row",
    "drain__release",
)

Fields = dict[str, Any]


def reference(operands: Iterable[Fields]) -> list[list[int]]:
    """Accumulators of both buffers, from zero."""
    totals = [[0] * ROWS, [0] * ROWS]
    for operand in operands:
        if not operand["null"]:
            totals[operand["buffer"]][operand["row"]] += operand["weight"] * operand["activation"]
    return [[signed(total, CONFIG.accumulator_bits) for total in buffer] for buffer in totals]


def operand_of(row: int, **changes: int) -> Fields:
    values = {"weight": 3, "activation": 5, "null": 0, "last": 0, "buffer": 0}
    return {**values, "row": row, **changes}


def random_operands(count: int, seed: int, rows: int = 3, **changes: int) -> list[Fields]:
    """Operands of so few rows that most rows recur within the pipeline's length."""
    numbers = random.Random(seed)
    return [
        {
            "weight": random_signed(numbers, CONFIG.weight_bits),
            "activation": random_signed(numbers, CONFIG.activation_bits),
            "row": numbers.choice([*range(rows), ROWS - 1]),
            "null": int(numbers.random() < 0.1),
            "buffer": numbers.getrandbits(1),
            "last": 0,
            **changes,
        }
        for _ in range(count)
    ]


def bits(operands: Iterable[Fields]) -> list[int]:
    return [bits_of(OPERAND, **operand) for operand in operands]


async def drain(
    dut: Any, buffer: int, *, release: bool = True, early: int = 0, pause: float = 0.0
) -> list[int]:
    """Read and clear a buffer, a row per cycle, as write-back does; returns the totals.

    It is released with its last row, or as many rows `early`. With `pause`, that share of the
    cycles passes without a read.
    """
    numbers = random.Random(9)
    totals, asked, row = [], False, 0
    while row < ROWS or asked:
        enable = row < ROWS and numbers.random() >= pause
        drive(dut, drain__enable=int(enable), drain__buffer=buffer, drain__row=row % ROWS)
        drive(dut, drain__release=int(enable and release and row == ROWS - 1 - early))
        await RisingEdge(dut.clk)
        if asked:
            totals.append(signed(int(dut.total.value), CONFIG.accumulator_bits))
        asked = enable
        row += enable
    return totals


async def until_full(dut: Any, buffer: int) -> None:
    """Wait for `full` of a buffer."""
    if not int(dut.full.value) >> buffer & 1:
        await wait_until(dut.clk, lambda: int(dut.full.value) >> buffer & 1)


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, StreamDriver]:
    """Reset, and clear both buffers, for reset leaves the accumulators as they are."""
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, drain__enable=0, drain__release=0)
    await start(dut)
    for buffer in range(2):
        await drain(dut, buffer, release=False)
    return Trace(dut, *SIGNALS), driver


async def both_buffers(dut: Any) -> list[list[int]]:
    """Totals of both buffers once all operands are written; clears them."""
    await ClockCycles(dut.clk, 3)
    return [await drain(dut, buffer, release=False) for buffer in range(2)]


def check_full(trace: Trace) -> None:
    """`full` is set three cycles after the marker, until released."""
    markers: list[set[int]] = [set(), set(), set()]  # buffers, one to three cycles ago
    full: set[int] = set()
    for cycle in trace.cycles:
        full |= markers[2]
        assert cycle["full"] == sum(1 << buffer for buffer in full)
        if cycle["drain__release"]:
            full.discard(cycle["drain__buffer"])
        operand = OPERAND.from_bits(cycle["i__payload"])
        arrives = cycle["i__valid"] and operand["last"]
        markers = [{operand["buffer"]} if arrives else set(), *markers[:2]]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def agrees(dut: Any, stalls: float) -> None:
    _, driver = await begin(dut, stalls)
    for seed in range(4):
        operands = random_operands(150, seed, rows=1 + seed)
        await driver.send(bits(operands))
        assert await both_buffers(dut) == reference(operands)
        assert await both_buffers(dut) == reference([]), "draining clears"


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(distance=[1, 2, 3, 4], other=["row", "buffer", "null", "pause"])
async def forwards(dut: Any, distance: int, other: str) -> None:
    """A row recurs after operands of another row or buffer, mere markers, or cycles of rest."""
    _, driver = await begin(dut)
    between = {
        "row": operand_of(1),
        "buffer": operand_of(2, buffer=1),
        "null": operand_of(2, null=1),
        "pause": None,
    }[other]
    sequence: list[Fields | None] = []
    for number in range(6):
        sequence += [operand_of(2, weight=number + 1)] + [between] * (distance - 1)
    for operand in sequence:
        if operand is None:
            await RisingEdge(dut.clk)
        else:
            await driver.send(bits([operand]))
    assert await both_buffers(dut) == reference(operand for operand in sequence if operand)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], pause=[0.0, 0.5])
async def one_buffer_is_drained_while_the_other_is_filled(
    dut: Any, stalls: float, pause: float
) -> None:
    trace, driver = await begin(dut, stalls)
    draining = None
    expected: list[int] = []
    for vector in range(8):
        buffer = vector % 2
        operands = random_operands(40, vector, buffer=buffer)
        operands.append(operand_of(1, buffer=buffer, last=1, null=vector // 2 % 2))
        await driver.send(bits(operands))
        if draining is not None:
            assert await draining == expected
        expected = reference(operands)[buffer]
        await until_full(dut, buffer)
        draining = cocotb.start_soon(drain(dut, buffer, pause=pause))
    assert draining is not None
    assert await draining == expected
    await ClockCycles(dut.clk, 5)
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(null=[0, 1])
async def full_in_three_cycles_and_readable_at_once(dut: Any, null: int) -> None:
    trace, driver = await begin(dut)
    last = operand_of(0, last=1, null=null)
    await driver.send(bits([operand_of(0), last]))
    # Two cycles more, and the first row is asked for in the third after the marker.
    await ClockCycles(dut.clk, 2)
    assert await drain(dut, 0) == reference([operand_of(0), last])[0]
    await ClockCycles(dut.clk, 2)
    (marker,) = trace.times(lambda c: c["i__valid"] and OPERAND.from_bits(c["i__payload"])["last"])
    assert trace.times(lambda c: c["full"])[0] == marker + 3
    assert trace.times(lambda c: c["drain__enable"])[0] == marker + 3
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(early=[0, RELEASED_EARLY])
async def a_buffer_takes_operands_two_cycles_after_its_last_row(dut: Any, early: int) -> None:
    """A cycle earlier, the row that was drained last would not be cleared yet."""
    trace, driver = await begin(dut)
    last_row = [operand_of(ROWS - 1, last=1)]
    await driver.send(bits(last_row))
    for _ in range(3):
        await until_full(dut, 0)
        assert await drain(dut, 0, early=early) == reference(last_row)[0]
        await driver.send(bits(last_row))
    (*_, before_last, _) = trace.times(lambda c: c["i__valid"])
    assert trace.cycles[before_last - 2]["drain__row"] == ROWS - 1
    assert trace.cycles[before_last - 2 - early]["drain__release"]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reaches_both_ends_of_the_accumulator(dut: Any) -> None:
    _, driver = await begin(dut)
    end = 1 << CONFIG.accumulator_bits - 1
    operands = [*summing_to(end - 1, 0), *summing_to(-end, ROWS - 1)]
    await driver.send(bits(operands))
    totals, _ = await both_buffers(dut)
    assert (totals[0], totals[ROWS - 1]) == (end - 1, -end)


def summing_to(total: int, row: int) -> list[Fields]:
    """Operands of one row, with the largest products there are, that sum up to `total`."""
    low = -(1 << CONFIG.activation_bits - 1)
    weights = [-(1 << CONFIG.weight_bits - 1), (1 << CONFIG.weight_bits - 1) - 1, 1]
    operands = []
    for weight in weights[total < 0 :]:
        while activation := max(low, min(-low - 1, int(total / weight))):
            operands.append(operand_of(row, weight=weight, activation=activation))
            total -= weight * activation
    return operands
