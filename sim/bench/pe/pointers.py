"""Bench of `hw.pe.pointers.PointerStage`."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hw import layouts
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of
from sim.bench.latencies import LOOKUP, POINTERS
from sim.bench.streams import StreamDriver, StreamMonitor, start

CONFIG = configuration()
TOKEN, COLUMN, POINTER = (f(CONFIG) for f in (layouts.token, layouts.column, layouts.pointer))
LONGEST = (1 << POINTER["count"].width) - 1  # entries of a column

Pointers = list[tuple[int, int]]
Fields = dict[str, Any]


def reference(pointers: Pointers, token: Fields) -> Fields | None:
    """The column that a token becomes; None if it goes no further."""
    first, count = pointers[token["column"]]
    if token["null"]:
        count = 0
    if count == 0 and not token["last"]:
        return None
    column = {"activation": token["activation"], "last": token["last"]}
    return significant({"pointer": {"start": first, "count": count}, **column})


def significant(column: Fields) -> Fields:
    """A column without what has no meaning in a mere marker."""
    if column["pointer"]["count"]:
        return column
    return {"last": column["last"]}


def random_pointers(numbers: random.Random) -> Pointers:
    """Pointers of all columns, a third of them empty."""
    pointers = []
    for _ in range(CONFIG.column_depth):
        count = numbers.randint(1, LONGEST) if numbers.random() < 0.67 else 0
        pointers.append((numbers.randrange(CONFIG.entry_depth), count))
    return pointers


def random_tokens(numbers: random.Random, count: int) -> list[Fields]:
    high = (1 << CONFIG.activation_bits - 1) - 1
    tokens = []
    for _ in range(count):
        last = int(numbers.random() < 0.3)
        tokens.append(
            {
                "column": numbers.randrange(CONFIG.column_depth),
                "activation": numbers.randint(-high - 1, high),
                "null": int(last and numbers.random() < 0.5),
                "last": last,
            }
        )
    return tokens


async def begin(
    dut: Any, pointers: Pointers, stalls: float = 0.0
) -> tuple[Trace, StreamDriver, StreamMonitor]:
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, pointer=0)
    monitor = StreamMonitor(dut, "o", dut.clk)
    await start(dut)
    cocotb.start_soon(look_up(dut, pointers))
    return Trace(dut, "i__valid", "i__payload", "o__valid", "o__payload"), driver, monitor


async def look_up(dut: Any, pointers: Pointers) -> None:
    """The tables: a column's pointer `LOOKUP` cycles after its token, and never again."""
    waiting = deque([0] * (LOOKUP - 1))
    nothing = (1 << POINTER.size) - 1
    while True:
        await RisingEdge(dut.clk)
        pointer = nothing
        if int(dut.i__valid.value):
            first, count = pointers[int(dut.column.value)]
            pointer = bits_of(POINTER, start=first, count=count)
        waiting.append(pointer)
        drive(dut, pointer=waiting.popleft())


def check_every_cycle(trace: Trace, pointers: Pointers) -> int:
    """Compare each cycle with what was asked for before; returns the tokens."""
    count = 0
    for before, now in zip(trace.cycles, trace.cycles[POINTERS:], strict=False):
        expected = None
        if before["i__valid"]:
            count += 1
            expected = reference(pointers, fields_of(TOKEN, before["i__payload"]))
        assert now["o__valid"] == (expected is not None)
        if expected is not None:
            assert significant(fields_of(COLUMN, now["o__payload"])) == expected
    return count


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def agrees(dut: Any, stalls: float) -> None:
    numbers = random.Random(3)
    pointers, tokens = random_pointers(numbers), random_tokens(numbers, 200)
    trace, driver, monitor = await begin(dut, pointers, stalls)
    await driver.send(bits_of(TOKEN, **token) for token in tokens)
    expected = [c for t in tokens if (c := reference(pointers, t)) is not None]
    columns = [fields_of(COLUMN, bits) for bits in await monitor.receive(len(expected))]
    assert [significant(column) for column in columns] == expected
    await monitor.silent(10)
    assert check_every_cycle(trace, pointers) == len(tokens)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_token_per_cycle(dut: Any) -> None:
    pointers = [(n, 1) for n in range(CONFIG.column_depth)]
    trace, driver, monitor = await begin(dut, pointers)
    plain = {"activation": 7, "null": 0, "last": 0}
    await driver.send(bits_of(TOKEN, column=n, **plain) for n in range(CONFIG.column_depth))
    await monitor.receive(CONFIG.column_depth)
    taken = trace.times(lambda c: c["i__valid"])
    assert taken == list(range(taken[0], taken[0] + CONFIG.column_depth))
    assert trace.times(lambda c: c["o__valid"]) == [time + POINTERS for time in taken]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def empty_columns_go_no_further_but_markers_do(dut: Any) -> None:
    pointers = [(5, 0)] * CONFIG.column_depth
    pointers[2] = (9, 3)
    _, driver, monitor = await begin(dut, pointers)

    def token(column: int, null: int, last: int) -> int:
        return bits_of(TOKEN, column=column, activation=-1, null=null, last=last)

    await driver.send([token(0, 0, 0), token(1, 0, 0), token(1, 0, 1)])
    # A null token points at a column that has entries all the same: its pointer must not count.
    await driver.send([token(2, 1, 1), token(2, 0, 1)])
    columns = [fields_of(COLUMN, bits) for bits in await monitor.receive(3)]
    assert [column["pointer"]["count"] for column in columns] == [0, 0, 3]
    assert [column["last"] for column in columns] == [1, 1, 1]
    await monitor.silent(10)
