"""Bench of `hw.pe.decoder.EntryDecoder`: weight decoder and index accumulator."""

from __future__ import annotations

import random
from typing import Any

import cocotb

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
from sim.bench.streams import StreamDriver, StreamMonitor, start

CONFIG = configuration()
ENCODED, OPERAND = layouts.encoded(CONFIG), layouts.operand(CONFIG)
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


def random_entries(code_bits: int, count: int, seed: int) -> list[Fields]:
    """Entries of columns whose rows are within the accumulators, with mere markers between."""
    numbers = random.Random(seed)
    greatest_gap = (1 << min(layouts.GAP_BITS_MAX, CONFIG.entry_bits - code_bits)) - 1
    entries: list[Fields] = []
    row = CONFIG.accumulator_depth
    for _ in range(count):
        entry = {"null": int(numbers.random() < 0.1), "last": 0, "buffer": numbers.getrandbits(1)}
        gap = numbers.randint(0, min(greatest_gap, CONFIG.accumulator_depth - 1))
        if numbers.random() < 0.3:
            gap = greatest_gap
        first = row + gap + 1 >= CONFIG.accumulator_depth
        gap = min(gap, CONFIG.accumulator_depth - 1)
        entry["first"] = int(first)
        if entry["null"]:
            entry |= {"first": 1, "last": 1, "entry": numbers.getrandbits(CONFIG.entry_bits)}
        else:
            row = gap if first else row + gap + 1
            entry["entry"] = gap << code_bits | numbers.getrandbits(code_bits)
        entry["activation"] = random_signed(numbers, CONFIG.activation_bits)
        entries.append(entry)
    return entries


def random_codebook() -> list[int]:
    numbers = random.Random(8)
    return [random_signed(numbers, CONFIG.weight_bits) for _ in range(CONFIG.codebook_depth)]


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, StreamDriver, StreamMonitor]:
    """Reset, and load `random_codebook`."""
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls, seed=1)
    drive(dut, load__enable=0)
    monitor = StreamMonitor(dut, "o", dut.clk)
    await start(dut)
    await load(dut, Window.CODEBOOK, 0, random_codebook())
    return Trace(dut, *SIGNALS), driver, monitor


async def check(
    dut: Any, parts: tuple[Trace, StreamDriver, StreamMonitor], entries: list[Fields], **layer: int
) -> None:
    """Send entries of a layer; compare the operands, and that each comes two cycles later."""
    trace, driver, monitor = parts
    drive(dut, code_bits=layer["code_bits"], codebook_base=layer["base"])
    cocotb.start_soon(driver.send(bits_of(ENCODED, **entry) for entry in entries))
    operands = [fields_of(OPERAND, bits) for bits in await monitor.receive(len(entries))]
    expected = reference(random_codebook(), entries=entries, **layer)
    assert [significant(operand) for operand in operands] == expected
    for before, now in zip(trace.cycles[:-2], trace.cycles[2:], strict=True):
        assert now["o__valid"] == before["i__valid"]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def agrees_at_every_split_of_the_entry(dut: Any, stalls: float) -> None:
    parts = await begin(dut, stalls)
    for code_bits in CODE_BITS:
        # The last place that a whole codebook of so many bits fits; codes past its end are none.
        base = max(0, CONFIG.codebook_depth - (1 << code_bits))
        entries = random_entries(code_bits, 80, seed=code_bits)
        for entry in entries:
            if entry["entry"] % (1 << code_bits) >= CONFIG.codebook_depth:
                entry["entry"] &= ~((1 << code_bits) - 1)
        await check(dut, parts, entries, code_bits=code_bits, base=base)
        await parts[2].silent(3)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_entry_per_cycle_two_cycles_of_latency(dut: Any) -> None:
    trace, *_ = parts = await begin(dut)
    await check(
        dut, parts, random_entries(CODE_BITS[0], 100, seed=1), code_bits=CODE_BITS[0], base=0
    )
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


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_the_codebook_of_every_unit_and_no_other_words(dut: Any) -> None:
    parts = await begin(dut)
    for window, offset in ((Window.BIAS, 0), (Window.CODEBOOK, CONFIG.codebook_depth)):
        await load_word(dut, window, 0, offset, ~random_codebook()[0] & 0xFFFF)
    await load(dut, Window.CODEBOOK, 3, random_codebook()[1:2], first=1)
    entry = {"activation": 1, "first": 1, "null": 0, "last": 0, "buffer": 1}
    await check(dut, parts, [{**entry, "entry": n} for n in (0, 1)], code_bits=1, base=0)
