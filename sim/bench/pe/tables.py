"""Bench of `hw.pe.tables.Tables`, of both kinds."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
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
    signed,
)
from sim.bench.latencies import LOOKUP
from sim.bench.streams import parameters, start

CONFIG = configuration()
UNIT: int = parameters()["unit"]
POINTER = layouts.pointer(CONFIG)
COLUMNS, CODES = CONFIG.column_depth, CONFIG.codebook_depth
SIGNALS = ("load__windows", "column", "code", "pointer", "weight")

Pointers = list[dict[str, int]]
Load = tuple[Window, int, int]  # place, word


def random_pointers(seed: int) -> Pointers:
    numbers = random.Random(seed)
    fields = {name: POINTER[name].width for name in ("start", "count")}
    return [
        {name: numbers.getrandbits(width) for name, width in fields.items()} for _ in range(COLUMNS)
    ]


def random_codebook(seed: int) -> list[int]:
    numbers = random.Random(seed)
    return [random_signed(numbers, CONFIG.weight_bits) for _ in range(CODES)]


async def begin(dut: Any) -> None:
    drive(dut, load__windows=0, column=0, code=0)
    await start(dut)


async def load_pointers(dut: Any, pointers: Pointers, unit: int = UNIT) -> None:
    await load(dut, Window.POINTERS, unit, (bits_of(POINTER, **pointer) for pointer in pointers))


async def look_up(dut: Any, count: int, seed: int) -> None:
    """Look up everything, and then at random, a column and a code in every cycle."""
    numbers = random.Random(seed)
    for number in range(max(COLUMNS, CODES) + count):
        drive(dut, column=number if number < COLUMNS else numbers.randrange(COLUMNS))
        drive(dut, code=number if number < CODES else numbers.randrange(CODES))
        await RisingEdge(dut.clk)
    await ClockCycles(dut.clk, LOOKUP + 1)


def check_every_cycle(
    trace: Trace, pointers: Pointers, codebook: list[int], loads: Sequence[Load] = ()
) -> None:
    """Compare what comes in each cycle with what was asked for, as it was then.

    A load is written in the cycle after it, of which any value may come.
    """
    pointers, codebook = list(pointers), list(codebook)
    left = deque(loads)
    writes, compared = 0, 0
    for before, now in zip(trace.cycles, trace.cycles[LOOKUP:], strict=False):
        if writes:
            window, place, word = left.popleft()
            if window == Window.POINTERS:
                pointers[place] = fields_of(POINTER, word)
            else:
                codebook[place] = signed(word, CONFIG.weight_bits)
        else:
            compared += 1
            assert fields_of(POINTER, now["pointer"]) == pointers[before["column"]]
            assert signed(now["weight"], CONFIG.weight_bits) == codebook[before["code"]]
        writes = before["load__windows"]
    assert not left
    assert compared > max(COLUMNS, CODES)


async def check(
    dut: Any, pointers: Pointers, codebook: list[int], loads: Sequence[Load] = ()
) -> None:
    """Load some items while columns and codes are looked up, then look up everything."""
    numbers = random.Random(1)
    trace = Trace(dut, *SIGNALS)
    for window, place, word in loads:
        # At once, where it is loaded, and anywhere.
        drive(dut, column=numbers.randrange(COLUMNS), code=numbers.randrange(CODES))
        await load_word(dut, window, UNIT, place, word)
        for column, code in ((place % COLUMNS, place % CODES), (0, 0)):
            drive(dut, column=column, code=code)
            await ClockCycles(dut.clk, 1 + LOOKUP)
            drive(dut, column=numbers.randrange(COLUMNS), code=numbers.randrange(CODES))
            await ClockCycles(dut.clk, 1 + LOOKUP)
    await look_up(dut, 200, seed=1)
    check_every_cycle(trace, pointers, codebook, loads)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def holds_its_contents_at_power_up(dut: Any) -> None:
    """The first test, before anything is loaded. What contents do not say is zero."""
    await begin(dut)
    pointers = [
        fields_of(POINTER, parts[0]) for parts in [*parameters()["pointers"], *[[0]] * COLUMNS]
    ]
    values = [*(parts[0] for parts in parameters()["codebook"]), *[0] * CODES]
    codebook = [signed(value, CONFIG.weight_bits) for value in values]
    await check(dut, pointers, codebook)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def looks_up_a_column_and_a_code_in_every_cycle(dut: Any) -> None:
    """Whichever is loaded first: neither is in the way of the other."""
    await begin(dut)
    for seed in range(2):
        pointers, codebook = random_pointers(seed), random_codebook(seed)
        if seed:
            await load(dut, Window.CODEBOOK, 0, codebook)
        await load_pointers(dut, pointers)
        if not seed:
            await load(dut, Window.CODEBOOK, 0, codebook)
        await check(dut, pointers, codebook)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def each_load_changes_one_item(dut: Any) -> None:
    """While columns and codes are looked up; until it is written, the item is what it was."""
    await begin(dut)
    numbers = random.Random(3)
    pointers, codebook = random_pointers(4), random_codebook(4)
    await load_pointers(dut, pointers)
    await load(dut, Window.CODEBOOK, 0, codebook)
    loads: list[Load] = []
    for _ in range(100):
        if numbers.getrandbits(1):
            place = numbers.choice((0, COLUMNS - 1, numbers.randrange(COLUMNS)))
            loads.append((Window.POINTERS, place, numbers.getrandbits(POINTER.size)))
        else:
            place = numbers.choice((0, CODES - 1, numbers.randrange(CODES)))
            loads.append((Window.CODEBOOK, place, numbers.getrandbits(CONFIG.weight_bits)))
    await check(dut, pointers, codebook, loads)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_its_own_pointers_and_the_codebook_of_every_unit(dut: Any) -> None:
    await begin(dut)
    pointers, codebook = random_pointers(5), random_codebook(5)
    await load_pointers(dut, pointers)
    for place, value in enumerate(codebook):
        await load(dut, Window.CODEBOOK, place % (UNIT + 3), [value], first=place)
    await check(dut, pointers, codebook)
    for unit in (0, UNIT - 1, UNIT + 1, UNIT ^ 128, layouts.ALL_UNITS):
        await load_pointers(dut, random_pointers(6), unit)
    for window in set(Window) - {Window.POINTERS, Window.CODEBOOK}:
        for place in range(2):
            await load_word(dut, window, UNIT, place, ~bits_of(POINTER, **pointers[place]) & 0xFFFF)
    await check(dut, pointers, codebook)
