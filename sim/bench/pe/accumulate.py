"""Bench of `hw.pe.accumulate.MultiplyAccumulate`."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.pe.accumulate import DrainSignature
from sim.bench.blocks import Trace, bits_of, configuration, drive, random_signed, signed, wait_until
from sim.bench.latencies import CLEARED, FULL, SUMMED, TOTAL
from sim.bench.streams import StreamDriver, start

__all__ = ["PLACES", "ROWS", "drain", "places_of", "total_of", "until_drainable"]

CONFIG = configuration()
OPERAND = layouts.operand(CONFIG)
PLACES = 1 << OPERAND["row"].width
ROWS = PLACES // 2  # of a buffer
RELEASED_EARLY = DrainSignature.RELEASED_EARLY
SIGNALS = (
    "i__valid",
    "i__payload",
    "full",
    "drain__enable",
    "drain__buffer",
    "drain__place",
    "drain__release",
)

Fields = dict[str, Any]


def places_of(buffer: int, rows: int = ROWS) -> range:
    """Where the rows of a buffer are."""
    return range(buffer * ROWS, buffer * ROWS + rows)


def reference(operands: Iterable[Fields], joined: int = 0) -> list[int]:
    """Accumulators of both buffers, one behind the other, from zero."""
    totals = [0] * PLACES
    for operand in operands:
        if not operand["null"]:
            place = operand["row"] + (0 if joined else operand["buffer"] * ROWS)
            totals[place] += operand["weight"] * operand["activation"]
    return [signed(total, CONFIG.accumulator_bits) for total in totals]


def operand_of(row: int, **changes: int) -> Fields:
    values = {"weight": 3, "activation": 5, "null": 0, "last": 0, "buffer": 0}
    return {**values, "row": row, **changes}


def random_operands(
    count: int, seed: int, rows: Sequence[int] = (0, ROWS - 1), **changes: int
) -> list[Fields]:
    """Operands of so few rows that most rows recur within the pipeline's length."""
    numbers = random.Random(seed)
    return [
        {
            "weight": random_signed(numbers, CONFIG.weight_bits),
            "activation": random_signed(numbers, CONFIG.activation_bits),
            "row": numbers.choice(rows),
            "null": int(numbers.random() < 0.1),
            "buffer": numbers.getrandbits(1),
            "last": 0,
            **changes,
        }
        for _ in range(count)
    ]


def few_rows(count: int, joined: int = 0) -> list[int]:
    """Some rows, the last ones among them; if joined, of both buffers."""
    rows = [*range(count), ROWS - 1]
    return [row + half for half in (0, ROWS) for row in rows] if joined else rows


def bits(operands: Iterable[Fields]) -> list[int]:
    return [bits_of(OPERAND, **operand) for operand in operands]


def total_of(dut: Any) -> int:
    return signed(int(dut.total.value), CONFIG.accumulator_bits)


async def drain(
    dut: Any,
    places: Sequence[int],
    buffer: int | None = None,
    *,
    early: int = 0,
    pause: float = 0.0,
    latency: int = TOTAL,
    read: Callable[[Any], Any] = total_of,
) -> list[Any]:
    """Read and clear accumulators, one per cycle, as write-back does; returns the totals.

    The first one is asked for in the cycle that has begun. With a buffer, that is released with the
    last row, or as many rows `early`. With `pause`, that share of the cycles passes without a read.
    """
    numbers = random.Random(9)
    asked = deque([False] * latency)
    totals: list[Any] = []
    row = 0
    while row < len(places) or any(asked):
        enable = row < len(places) and numbers.random() >= pause
        release = enable and buffer is not None and row == max(0, len(places) - 1 - early)
        # What is asked for when nothing is must not matter.
        place = places[row] if enable else numbers.randrange(PLACES)
        drive(dut, drain__enable=int(enable), drain__place=place)
        drive(dut, drain__release=int(release), drain__buffer=buffer or 0)
        row += enable
        asked.append(enable)
        await RisingEdge(dut.clk)
        if asked.popleft():
            totals.append(read(dut))
    drive(dut, drain__enable=0, drain__release=0)
    return totals


async def until_drainable(dut: Any, buffer: int, further: int = SUMMED - FULL - 1) -> None:
    """Wait for `full` of a buffer, and until its last sum may be drained in the next cycle."""
    if not int(dut.full.value) >> buffer & 1:
        await wait_until(dut.clk, lambda: int(dut.full.value) >> buffer & 1)
    if further:
        await ClockCycles(dut.clk, further)


async def clear(dut: Any, **options: Any) -> None:
    """Clear all accumulators, as write-back does after reset, which leaves them as they are."""
    await drain(dut, range(PLACES), **options)


async def begin(dut: Any, stalls: float = 0.0, joined: int = 0) -> tuple[Trace, StreamDriver]:
    """Reset, and leave a sum behind in every accumulator, which must show nowhere."""
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, joined=1, drain__enable=0, drain__release=0)
    await start(dut)
    await clear(dut)
    await driver.send(bits(operand_of(place) for place in range(PLACES)))
    await ClockCycles(dut.clk, SUMMED)
    assert await drain(dut, range(PLACES)) == [15] * PLACES
    drive(dut, joined=joined)
    return Trace(dut, *SIGNALS), driver


async def all_totals(dut: Any) -> list[int]:
    """Totals of both buffers once all operands are added; clears them."""
    await ClockCycles(dut.clk, SUMMED - 1)
    return await drain(dut, range(PLACES))


def check_full(trace: Trace) -> None:
    """`full` is set so many cycles after the marker, until released."""
    coming: deque[set[int]] = deque([set()] * FULL)  # buffers whose marker came, the oldest first
    full: set[int] = set()
    for cycle in trace.cycles:
        full |= coming.popleft()
        assert cycle["full"] == sum(1 << buffer for buffer in full)
        if cycle["drain__release"]:
            full.discard(cycle["drain__buffer"])
        operand = OPERAND.from_bits(cycle["i__payload"])
        coming.append({operand["buffer"]} if cycle["i__valid"] and operand["last"] else set())


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], joined=[0, 1])
async def agrees(dut: Any, stalls: float, joined: int) -> None:
    _, driver = await begin(dut, stalls, joined)
    for seed in range(5):
        operands = random_operands(150, seed, few_rows(1 + seed, joined))
        await driver.send(bits(operands))
        assert await all_totals(dut) == reference(operands, joined)
        assert await all_totals(dut) == reference([]), "draining clears"


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(
    distance=list(range(1, SUMMED + 2)),
    other=["row", "buffer", "null", "pause", "mixed"],
    joined=[0, 1],
)
async def forwards(dut: Any, distance: int, other: str, joined: int) -> None:
    """A row recurs after operands of another row or buffer, mere markers, or cycles of rest.

    Its first operand adds to nothing, since what was there before is drained.
    """
    _, driver = await begin(dut, joined=joined)
    half = {"row": 2 + ROWS} if joined else {"row": 2, "buffer": 1}
    others: dict[str, Fields | None] = {
        "row": operand_of(1),
        "buffer": operand_of(**half),
        "null": operand_of(2, null=1),
        "pause": None,
    }
    between = (
        itertools.cycle(others.values()) if other == "mixed" else itertools.repeat(others[other])
    )
    sequence: list[Fields | None] = []
    for number in range(8):
        # Joined, the buffer is the marker's, which may be either.
        flags = {"buffer": number % 2} if joined else {}
        sequence += [operand_of(2, weight=number + 1, **flags)]
        sequence += itertools.islice(between, distance - 1)
    for _ in range(2):
        for operand in sequence:
            if operand is None:
                await RisingEdge(dut.clk)
            else:
                await driver.send(bits([operand]))
        expected = reference((operand for operand in sequence if operand), joined)
        assert await all_totals(dut) == expected


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
        operands = random_operands(40, vector, few_rows(3), buffer=buffer)
        operands.append(operand_of(1, buffer=buffer, last=1, null=vector // 2 % 2))
        await driver.send(bits(operands))
        if draining is not None:
            assert await draining == expected
        await until_drainable(dut, buffer)
        expected = [reference(operands)[place] for place in places_of(buffer)]
        draining = cocotb.start_soon(drain(dut, places_of(buffer), buffer, pause=pause))
    assert draining is not None
    assert await draining == expected
    await ClockCycles(dut.clk, 5)
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], pause=[0.0, 0.5])
async def joined_vectors_and_others_take_turns(dut: Any, stalls: float, pause: float) -> None:
    trace, driver = await begin(dut, stalls)
    for vector, joined in enumerate((1, 0, 1, 1, 0, 0, 1)):
        buffer = vector % 2
        drive(dut, joined=joined)
        operands = random_operands(60, vector, few_rows(4, joined), buffer=buffer)
        operands[-1]["last"] = 1
        await driver.send(bits(operands))
        await until_drainable(dut, buffer)
        places = range(PLACES) if joined else places_of(buffer)
        expected = [reference(operands, joined)[place] for place in places]
        assert await drain(dut, places, buffer, pause=pause) == expected
    assert await all_totals(dut) == reference([])
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(null=[0, 1], place=[0, ROWS - 1])
async def a_sum_may_be_drained_as_soon_as_write_back_can_ask_for_it(
    dut: Any, null: int, place: int
) -> None:
    """Its buffer is full before, since it takes write-back two cycles until it drains."""
    trace, driver = await begin(dut)
    operands = [operand_of(0), operand_of(place, last=1, null=null)]
    await driver.send(bits(operands))
    await ClockCycles(dut.clk, SUMMED - 1)
    assert await drain(dut, [place], 0) == [reference(operands)[place]]
    assert sum(await all_totals(dut)) == sum(reference(operands)) - reference(operands)[place]
    (marker,) = trace.times(lambda c: c["i__valid"] and OPERAND.from_bits(c["i__payload"])["last"])
    assert trace.times(lambda c: c["full"])[0] == marker + FULL
    assert trace.times(lambda c: c["drain__enable"])[0] == marker + SUMMED
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(first=[0, 1])
async def a_release_is_of_one_buffer(dut: Any, first: int) -> None:
    """The other one stays full, and what it holds is not drained."""
    trace, driver = await begin(dut)
    operands = [operand_of(buffer, last=1, buffer=buffer) for buffer in range(2)]
    await driver.send(bits(operands))
    await until_drainable(dut, 1)
    for buffer in (first, 1 - first):
        expected = [reference(operands)[place] for place in places_of(buffer)]
        assert await drain(dut, places_of(buffer), buffer) == expected
    await ClockCycles(dut.clk, 2)
    check_full(trace)
    assert trace.cycles[-1]["full"] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(early=[0, RELEASED_EARLY], joined=[0, 1], between=[0, 1, 2, 3])
async def a_buffer_takes_operands_as_soon_as_its_last_row_is_cleared(
    dut: Any, early: int, joined: int, between: int
) -> None:
    """The first is for the row that is drained last; the second for it too, or another comes."""
    trace, driver = await begin(dut, joined=joined)
    places = range(PLACES) if joined else places_of(0)
    row = places[-1]
    operands = [operand_of(row), *[operand_of(0)] * between, operand_of(row, last=1)]
    expected = [reference(operands, joined)[place] for place in places]
    await driver.send(bits(operands))
    for _ in range(3):
        await until_drainable(dut, 0)
        draining = cocotb.start_soon(drain(dut, places, 0, early=early))
        await ClockCycles(dut.clk, len(places) + CLEARED - 1)
        await driver.send(bits(operands))
        assert await draining == expected
    drained = trace.times(lambda c: c["drain__enable"])
    came = trace.times(lambda c: c["i__valid"])
    assert [time - CLEARED for time in came[len(operands) :: len(operands)]] == drained[
        len(places) - 1 :: len(places)
    ]
    check_full(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(joined=[0, 1])
async def what_holds_nothing_is_0_whatever_was_there(dut: Any, joined: int) -> None:
    """Every other place is added to, then every third, then none; all are drained each time."""
    _, driver = await begin(dut, joined=joined)
    for step in (2, 3, PLACES, 1, 5):
        # So far apart that nothing is forwarded, and in either order.
        places = list(range(0, PLACES, step)) if step < PLACES else []
        for order in (places, places[::-1]):
            operands = [
                operand_of(place, weight=step)
                if joined
                else operand_of(place % ROWS, weight=step, buffer=place // ROWS)
                for place in order
            ]
            await driver.send(bits(operands))
            assert await all_totals(dut) == [
                5 * step if place in places else 0 for place in range(PLACES)
            ]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reaches_both_ends_of_the_accumulator(dut: Any) -> None:
    _, driver = await begin(dut)
    end = 1 << CONFIG.accumulator_bits - 1
    operands = [*summing_to(end - 1, 0), *summing_to(-end, ROWS - 1)]
    await driver.send(bits(operands))
    totals = await all_totals(dut)
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
