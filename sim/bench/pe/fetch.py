"""Bench of `hw.pe.fetch.EntryFetch`."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import (
    Trace,
    bits_of,
    configuration,
    drive,
    fields_of,
    load,
    load_word,
    random_signed,
)
from sim.bench.latencies import FETCH
from sim.bench.streams import StreamDriver, StreamMonitor, parameters, start

CONFIG = configuration()
UNIT: int = parameters()["unit"]
COLUMN, ENCODED = layouts.column(CONFIG), layouts.encoded(CONFIG)
LONGEST = (1 << layouts.pointer(CONFIG)["count"].width) - 1  # entries of a column
SIGNALS = (
    "i__valid",
    "i__ready",
    "i__payload",
    "o__valid",
    "o__payload",
    "joined",
    "release",
    "busy",
    "stalled",
)

Fields = dict[str, Any]


def reference(entries: list[int], columns: list[Fields]) -> list[Fields]:
    """The entries that columns stand for, vector by vector in alternate buffers."""
    encoded, buffer = [], 0
    for column in columns:
        first, count = column["pointer"]["start"], column["pointer"]["count"]
        for place in range(max(1, count)):
            item = {
                "activation": column["activation"],
                "last": int(column["last"] and place >= count - 1),
                "buffer": buffer,
                "null": int(count == 0),
            }
            if count:
                item |= {"entry": entries[first + place], "first": int(place == 0)}
            encoded.append(significant(item))
        buffer ^= column["last"]
    return encoded


def significant(encoded: Fields) -> Fields:
    """An output without what has no meaning when there is no entry."""
    if not encoded["null"]:
        return encoded
    return {name: encoded[name] for name in ("null", "last", "buffer")}


def random_entries() -> list[int]:
    numbers = random.Random(5)
    return [numbers.getrandbits(CONFIG.entry_bits) for _ in range(CONFIG.entry_depth)]


def random_columns(count: int, longest: int, seed: int) -> list[Fields]:
    """Columns as the pointer stage sends them: empty ones carry a marker."""
    numbers = random.Random(seed)
    columns = []
    for _ in range(count):
        last = int(numbers.random() < 0.3)
        entries = numbers.randint(0 if last else 1, longest)
        first = numbers.randint(0, CONFIG.entry_depth - entries)
        activation = random_signed(numbers, CONFIG.activation_bits)
        columns.append(column_of(first, entries, last=last, activation=activation))
    return columns


def column_of(first: int, count: int, *, last: int = 0, activation: int = 1) -> Fields:
    pointer = {"start": first, "count": count}
    return {"pointer": pointer, "activation": activation, "last": last}


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, StreamDriver, StreamMonitor]:
    """Reset, and load `random_entries`."""
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, joined=0, release=0, load__windows=0)
    monitor = StreamMonitor(dut, "o", dut.clk)
    await start(dut)
    await load(dut, Window.ENTRIES, UNIT, random_entries())
    return Trace(dut, *SIGNALS), driver, monitor


async def release_vectors(dut: Any, slowest: int) -> None:
    """Release every vector some time after its marker came, as write-back does; for ever."""
    numbers = random.Random(6)
    left: list[int] = []  # cycles until each vector is released
    while True:
        await RisingEdge(dut.clk)
        if int(dut.o__valid.value) and fields_of(ENCODED, int(dut.o__payload.value))["last"]:
            left.append(numbers.randint(0, slowest))
        due = bool(left) and left[0] == 0
        left = left[1:] if due else [max(0, left[0] - 1), *left[1:]] if left else []
        drive(dut, release=int(due))


def check_every_cycle(trace: Trace) -> None:
    """Compare the handshake and the flags of each cycle with what the docstring promises."""
    unreleased: list[int] = []  # of each vector, whether it takes both buffers
    remaining: int = 0  # entries of the column at hand, this one included; a marker counts as one
    mere_marker = False
    active = deque([False] * (FETCH - 1))  # in the cycles before
    for cycle in trace.cycles:
        free = remaining <= 1
        blocked = len(unreleased) == 2 or (unreleased and any([*unreleased, cycle["joined"]]))
        assert cycle["i__ready"] == (free and not blocked)
        assert cycle["stalled"] == bool(free and blocked and cycle["i__valid"])
        assert cycle["busy"] == (remaining > 0 and not mere_marker)
        assert cycle["o__valid"] == active.popleft(), "three cycles after its column is taken"
        active.append(remaining > 0)
        remaining = max(0, remaining - 1)
        if cycle["release"]:
            unreleased.pop(0)
        if cycle["i__valid"] and cycle["i__ready"]:
            column = fields_of(COLUMN, cycle["i__payload"])
            mere_marker = column["pointer"]["count"] == 0
            remaining = max(1, column["pointer"]["count"])
            unreleased += [cycle["joined"]] * column["last"]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], longest=[2, 9], slowest=[0, 20])
async def agrees(dut: Any, stalls: float, longest: int, slowest: int) -> None:
    columns = random_columns(120, longest, seed=longest + slowest)
    expected = reference(random_entries(), columns)
    trace, driver, monitor = await begin(dut, stalls)
    cocotb.start_soon(release_vectors(dut, slowest))
    cocotb.start_soon(driver.send(bits_of(COLUMN, **column) for column in columns))
    encoded = [fields_of(ENCODED, bits) for bits in await monitor.receive(len(expected))]
    assert [significant(item) for item in encoded] == expected
    await monitor.silent(10)
    check_every_cycle(trace)
    assert len(trace.times(lambda c: c["busy"])) == sum(c["pointer"]["count"] for c in columns)
    if slowest:
        assert trace.times(lambda c: c["stalled"])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_entry_per_cycle_without_bubbles(dut: Any) -> None:
    """Columns of one entry, of many, and a marker without any: none costs a cycle of its own."""
    counts = [1, 1, 1, 5, 1, 2, 0, 3, 1, 1]
    columns = [column_of(n, count, last=int(count == 0)) for n, count in enumerate(counts)]
    trace, driver, monitor = await begin(dut)
    await driver.send(bits_of(COLUMN, **column) for column in columns)
    cycles = sum(max(1, count) for count in counts)
    await monitor.receive(cycles)
    taken = trace.times(lambda c: c["i__valid"] and c["i__ready"])
    arrived = trace.times(lambda c: c["o__valid"])
    assert arrived == list(range(taken[0] + FETCH, taken[0] + FETCH + cycles))
    firsts = [
        time for time in arrived if fields_of(ENCODED, trace.cycles[time]["o__payload"])["first"]
    ]
    assert firsts == [time + FETCH for time in taken]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def waits_only_while_two_vectors_are_unreleased(dut: Any) -> None:
    trace, driver, monitor = await begin(dut)
    columns = [column_of(0, 1, last=1), column_of(1, 2, last=1), column_of(3, 3, last=1)]
    sending = cocotb.start_soon(driver.send(bits_of(COLUMN, **column) for column in columns))
    await monitor.receive(3)
    await ClockCycles(dut.clk, 20)
    assert not sending.done()
    assert int(dut.stalled.value) == 1
    drive(dut, release=1)
    await RisingEdge(dut.clk)
    drive(dut, release=0)
    await monitor.receive(3)
    (released,) = trace.times(lambda c: c["release"])
    assert trace.times(lambda c: c["i__valid"] and c["i__ready"])[-1] == released + 1
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 30])
async def joined_vectors_wait_for_all_others_and_all_for_them(
    dut: Any, stalls: float, slowest: int
) -> None:
    """Layer after layer of a few vectors; the buffers take turns all the same."""
    numbers = random.Random(slowest)
    trace, driver, monitor = await begin(dut, stalls)
    cocotb.start_soon(release_vectors(dut, slowest))
    columns: list[Fields] = []
    received: list[Fields] = []
    for number, joined in enumerate((0, 1, 1, 0, 1, 0, 0, 1, 0)):
        drive(dut, joined=joined)
        layer: list[Fields] = []
        for _ in range(numbers.randint(1, 3)):
            layer += [{**column, "last": 0} for column in random_columns(3, 4, seed=number)]
            layer.append(column_of(number, numbers.randint(0, 3), last=1))
        layer = [column for column in layer if column["pointer"]["count"] or column["last"]]
        columns += layer
        await driver.send(bits_of(COLUMN, **column) for column in layer)
        # The next layer begins when the element has done all of this one.
        count = len(reference(random_entries(), columns)) - len(received)
        received += [fields_of(ENCODED, bits) for bits in await monitor.receive(count)]
    assert [significant(item) for item in received] == reference(random_entries(), columns)
    check_every_cycle(trace)
    assert trace.times(lambda c: c["stalled"])


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(before=[0, 1], now=[0, 1], held=[1, 2])
async def waits_for_a_release_if_it_or_the_one_before_is_joined(
    dut: Any, before: int, now: int, held: int
) -> None:
    """After one or two vectors that are not released."""
    held = 1 if before else held
    trace, driver, monitor = await begin(dut)
    drive(dut, joined=before)
    marker = bits_of(COLUMN, **column_of(0, 1, last=1))
    await driver.send([marker] * held)
    await monitor.receive(held)
    drive(dut, joined=now)
    sending = cocotb.start_soon(driver.send([marker]))
    for left in range(held, -1, -1):
        await ClockCycles(dut.clk, 10)
        waits = left == 2 or (left == 1 and bool(before or now))
        assert sending.done() != waits
        assert trace.cycles[-1]["stalled"] == waits
        if left:
            drive(dut, release=1)
            await RisingEdge(dut.clk)
            drive(dut, release=0)
    await monitor.receive(1)
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_release_in_the_cycle_of_a_marker_counts(dut: Any) -> None:
    trace, driver, monitor = await begin(dut)
    await driver.send([bits_of(COLUMN, **column_of(0, 1, last=1))])
    await monitor.receive(1)
    drive(dut, release=1)
    await driver.send([bits_of(COLUMN, **column_of(1, 1, last=1))])
    drive(dut, release=0)
    await driver.send([bits_of(COLUMN, **column_of(2, 1, last=1))])
    await monitor.receive(2)
    assert trace.times(lambda c: c["release"] and c["i__valid"] and c["i__ready"])
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_vector_leaves_nothing(dut: Any) -> None:
    trace, driver, _ = await begin(dut)
    await driver.send(bits_of(COLUMN, **c) for c in (column_of(0, 1, last=1), column_of(0, 9)))
    await ClockCycles(dut.clk, 4)
    assert trace.cycles[-1]["busy"]
    drive(dut, rst=1)
    await RisingEdge(dut.clk)
    drive(dut, rst=0)
    trace, monitor = Trace(dut, *SIGNALS), StreamMonitor(dut, "o", dut.clk)
    columns = [column_of(7, 2), column_of(9, 1, last=1), column_of(20, 3, last=1)]
    await driver.send(bits_of(COLUMN, **column) for column in columns)
    expected = reference(random_entries(), columns)
    encoded = [fields_of(ENCODED, bits) for bits in await monitor.receive(len(expected))]
    assert [significant(item) for item in encoded] == expected
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    _, driver, monitor = await begin(dut)
    for window, unit, offset in (
        (Window.POINTERS, UNIT, 0),
        (Window.ENTRIES, UNIT - 1, 0),
        (Window.ENTRIES, layouts.ALL_UNITS, 0),
    ):
        await load_word(dut, window, unit, offset, ~random_entries()[0] & 0xFFFFFFFF)
    await driver.send([bits_of(COLUMN, **column_of(0, LONGEST))])
    encoded = await monitor.receive(LONGEST)
    received = [fields_of(ENCODED, bits)["entry"] for bits in encoded]
    assert received == random_entries()[:LONGEST]
