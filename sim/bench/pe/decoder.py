"""Bench of `hw.pe.decoder.EntryDecoder`: weight decoder and index accumulator."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hw import layouts
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of, random_signed
from sim.bench.latencies import DECODER, LOOKUP
from sim.bench.streams import StreamDriver, StreamMonitor, start

CONFIG = configuration()
ENCODED, OPERAND = layouts.encoded(CONFIG), layouts.operand(CONFIG)
ROWS = 1 << OPERAND["row"].width  # of both buffers
SIGNALS = ("i__valid", "i__payload", "o__valid", "o__payload")
CODE_BITS = range(1, min(layouts.CODE_BITS_MAX, CONFIG.entry_bits) + 1)

Fields = dict[str, Any]


def reference(
    codebook: list[int], code_bits: int, base: int, entries: list[Fields]
) -> list[Fields]:
    """The operands of entries: weights from the codebook, rows from the gaps."""
    operands, row = [], 0
    for entry in entries:
        operand = {name: entry[name] for name in ("activation", "null", "last", "buffer")}
        if not entry["null"]:
            gap, code = divmod(entry["entry"], 1 << code_bits)
            row = gap if entry["first"] else row + gap + 1
            operand |= {"weight": codebook[base + code], "row": row}
        operands.append(significant(operand))
    return operands


def significant(operand: Fields) -> Fields:
    """An operand without what has no meaning in a mere marker."""
    if not operand["null"]:
        return operand
    return {name: operand[name] for name in ("null", "last", "buffer")}


def random_entries(code_bits: int, codes: int, count: int, seed: int) -> list[Fields]:
    """Entries of columns with so many codes and rows that exist, with mere markers between."""
    numbers = random.Random(seed)
    greatest_gap = min(
        ROWS - 1, (1 << min(layouts.GAP_BITS_MAX, CONFIG.entry_bits - code_bits)) - 1
    )
    entries: list[Fields] = []
    row = ROWS
    for _ in range(count):
        entry = {"null": int(numbers.random() < 0.1), "last": 0, "buffer": numbers.getrandbits(1)}
        gap = greatest_gap
        if numbers.random() < 0.7:
            gap = numbers.randint(0, min(greatest_gap, ROWS // 8))
        first = row + gap + 1 >= ROWS
        entry["first"] = int(first)
        if entry["null"]:
            entry |= {"first": 1, "last": 1, "entry": numbers.getrandbits(CONFIG.entry_bits)}
        else:
            row = gap if first else row + gap + 1
            entry["entry"] = gap << code_bits | numbers.randrange(min(codes, 1 << code_bits))
        entry["activation"] = random_signed(numbers, CONFIG.activation_bits)
        entries.append(entry)
    return entries


def random_codebook() -> list[int]:
    numbers = random.Random(8)
    return [random_signed(numbers, CONFIG.weight_bits) for _ in range(CONFIG.codebook_depth)]


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, StreamDriver, StreamMonitor]:
    """Reset, with `random_codebook` beside it."""
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, stored=0)
    monitor = StreamMonitor(dut, "o", dut.clk)
    await start(dut)
    cocotb.start_soon(look_up(dut, random_codebook()))
    return Trace(dut, *SIGNALS), driver, monitor


async def look_up(dut: Any, codebook: list[int]) -> None:
    """The tables: a code's weight `LOOKUP` cycles after its entry, and never again."""
    mask = (1 << CONFIG.weight_bits) - 1
    weights = deque([0] * (LOOKUP - 1))
    while True:
        await RisingEdge(dut.clk)
        weight = random.Random(int(dut.code.value)).getrandbits(CONFIG.weight_bits)
        if int(dut.i__valid.value) and not fields_of(ENCODED, int(dut.i__payload.value))["null"]:
            weight = codebook[int(dut.code.value)] & mask
        weights.append(weight)
        drive(dut, stored=weights.popleft())


async def check(
    dut: Any, parts: tuple[Trace, StreamDriver, StreamMonitor], entries: list[Fields], **layer: int
) -> None:
    """Send entries of a layer; compare the operands, and the cycle in which each comes."""
    trace, driver, monitor = parts
    code_bits = layer["code_bits"]
    drive(dut, code_bits=code_bits, code_mask=(1 << code_bits) - 1, codebook_base=layer["base"])
    cocotb.start_soon(driver.send(bits_of(ENCODED, **entry) for entry in entries))
    operands = [fields_of(OPERAND, bits) for bits in await monitor.receive(len(entries))]
    expected = reference(random_codebook(), entries=entries, **layer)
    assert [significant(operand) for operand in operands] == expected
    for before, now in zip(trace.cycles, trace.cycles[DECODER:], strict=False):
        assert now["o__valid"] == before["i__valid"]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def agrees_at_every_split_of_the_entry(dut: Any, stalls: float) -> None:
    """With the first codebook of so many bits, one in the middle, and the last; that may end
    with the memory, before all codes have a place.
    """
    parts = await begin(dut, stalls)
    for code_bits in CODE_BITS:
        books = -(-CONFIG.codebook_depth >> code_bits)
        for book in sorted({0, books // 2, books - 1}):
            base = book << code_bits
            codes = CONFIG.codebook_depth - base
            entries = random_entries(code_bits, codes, 80, seed=code_bits + book)
            await check(dut, parts, entries, code_bits=code_bits, base=base)
            await parts[2].silent(DECODER + 1)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reaches_every_row_of_both_buffers(dut: Any) -> None:
    """The first row of a column is any of them; so is one that follows, without a gap."""
    parts = await begin(dut)
    code_bits = CODE_BITS[0]
    plain = {"activation": 1, "null": 0, "last": 0, "buffer": 0}
    greatest_gap = min(ROWS, 1 << CONFIG.entry_bits - code_bits) - 1
    entries = [{**plain, "entry": gap << 1, "first": 1} for gap in range(greatest_gap + 1)]
    entries += [{**plain, "entry": 1, "first": int(row == 0)} for row in range(ROWS)]
    assert reference(random_codebook(), code_bits, 0, entries)[-1]["row"] == ROWS - 1
    await check(dut, parts, entries, code_bits=code_bits, base=0)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_entry_per_cycle(dut: Any) -> None:
    trace, *_ = parts = await begin(dut)
    entries = random_entries(CODE_BITS[0], 2, 100, seed=1)
    await check(dut, parts, entries, code_bits=CODE_BITS[0], base=0)
    arrived = trace.times(lambda c: c["o__valid"])
    assert arrived == list(range(arrived[0], arrived[0] + 100))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def padding_is_an_entry_like_a_stored_code_0(dut: Any) -> None:
    """Code 0 with the largest gap moves on, and so does code 0 with any other gap."""
    parts = await begin(dut)
    code_bits = min(CODE_BITS[-1], CONFIG.entry_bits - 2)
    greatest = min(3, (CONFIG.accumulator_depth - 3) // 2)
    entries = []
    for place, (gap, code) in enumerate([(greatest, 0), (0, 0), (greatest - 1, 1), (0, 0)]):
        entry = {"entry": gap << code_bits | code, "first": int(place == 0), "activation": place}
        entries.append({**entry, "null": 0, "last": 0, "buffer": 0})
    rows = [o["row"] for o in reference(random_codebook(), code_bits, 0, entries)]
    assert rows == [greatest, greatest + 1, 2 * greatest + 1, 2 * greatest + 2]
    await check(dut, parts, entries, code_bits=code_bits, base=0)
