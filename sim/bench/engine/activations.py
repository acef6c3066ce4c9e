"""Bench of `hw.engine.activations.ActivationMemory`."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import bits_of, configuration, drive, load_word
from sim.bench.latencies import HOST_READ
from sim.bench.streams import parameters, start

CONFIG = configuration()
UNIT: int = parameters()["unit"]
DEPTH = CONFIG.activation_depth
WIDTH = CONFIG.lanes * CONFIG.activation_bits
PARTS = -(-WIDTH // layouts.BUS_BITS)
STRIDE = layouts.stride(WIDTH)
MASK = (1 << layouts.BUS_BITS) - 1
# Of a bus word; of one that is no more than an activation word no other bits are kept.
KEPT = MASK if PARTS > 1 else (1 << WIDTH) - 1


class Reference:
    """The memory as bus words, and the activation words that they hold."""

    def __init__(self) -> None:
        self.parts = [[0] * PARTS for _ in range(DEPTH)]

    def load(self, offset: int, word: int) -> None:
        index, part = divmod(offset, STRIDE)
        self.parts[index][part] = word & KEPT

    def store(self, index: int, word: int) -> None:
        self.parts[index] = [word >> part * layouts.BUS_BITS & MASK for part in range(PARTS)]

    def word(self, index: int) -> int:
        parts = enumerate(self.parts[index])
        return sum(value << part * layouts.BUS_BITS for part, value in parts) & (1 << WIDTH) - 1


def offsets() -> list[int]:
    """All bus words of the memory."""
    return [index * STRIDE + part for index in range(DEPTH) for part in range(PARTS)]


async def begin(dut: Any) -> Reference:
    """Reset, and load random words, in random order, over every bit of what was there."""
    numbers = random.Random(1)
    reference = Reference()
    drive(dut, load__windows=0, host_address=0)
    drive(dut, index=0, write_enable=0, write_index=0, write_word=0)
    give_to_host(dut)
    await start(dut)
    order = offsets()
    for word in (0, MASK, None):
        numbers.shuffle(order)
        for offset in order:
            value = numbers.getrandbits(32) if word is None else word
            await load_word(dut, Window.ACTIVATIONS, UNIT, offset, value)
            reference.load(offset, value)
    return reference


def give_to_host(dut: Any) -> None:
    """Let the host have the memory: the feeder, which is idle, keeps its port going."""
    drive(dut, host=1, enable=1, take=1)


async def host_reads(dut: Any, offset: int) -> int:
    address = bits_of(layouts.address, window=Window.ACTIVATIONS, unit=UNIT, offset=offset)
    drive(dut, host_address=address)
    await RisingEdge(dut.clk)
    drive(dut, host_address=0)
    await ClockCycles(dut.clk, HOST_READ)
    return int(dut.host_data.value)


async def feeder_reads(dut: Any, index: int) -> int:
    drive(dut, index=index, enable=1)
    await RisingEdge(dut.clk)
    drive(dut, enable=0, take=1)
    await RisingEdge(dut.clk)
    drive(dut, take=0)
    await RisingEdge(dut.clk)
    return int(dut.word.value)


async def check(dut: Any, reference: Reference) -> None:
    """Compare every bus word as the host reads it, and every word as the feeder does."""
    give_to_host(dut)
    for offset in offsets():
        index, part = divmod(offset, STRIDE)
        assert await host_reads(dut, offset) == reference.parts[index][part]
    drive(dut, host=0, enable=0, take=0)
    for index in range(DEPTH):
        assert await feeder_reads(dut, index) == reference.word(index)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_host_writes_and_reads_every_part(dut: Any) -> None:
    await check(dut, await begin(dut))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_host_write_touches_only_its_own_32_bits(dut: Any) -> None:
    reference = await begin(dut)
    numbers = random.Random(2)
    for offset in numbers.sample(offsets(), DEPTH):
        index, part = divmod(offset, STRIDE)
        reference.load(offset, ~reference.parts[index][part] & MASK)
        await load_word(dut, Window.ACTIVATIONS, UNIT, offset, reference.parts[index][part])
    await check(dut, reference)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    reference = await begin(dut)
    others = [
        (Window.BIAS, UNIT, 0),
        (Window.ACTIVATIONS, UNIT + 1, 0),
        *((Window.ACTIVATIONS, UNIT, part) for part in range(PARTS, STRIDE)),
    ]
    for window, unit, offset in others:
        await load_word(dut, window, unit, offset, 0xA5A5A5A5)
    drive(dut, host=0)
    await load_word(dut, Window.ACTIVATIONS, UNIT, 0, 0xA5A5A5A5)
    await check(dut, reference)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_the_words_for_all_units(dut: Any) -> None:
    reference = await begin(dut)
    numbers = random.Random(5)
    for offset in numbers.sample(offsets(), DEPTH):
        word = numbers.getrandbits(layouts.BUS_BITS)
        await load_word(dut, Window.ACTIVATIONS, layouts.ALL_UNITS, offset, word)
        reference.load(offset, word)
    for window, unit, offset in (
        (Window.BIAS, layouts.ALL_UNITS, 0),
        (Window.ACTIVATIONS, layouts.ALL_UNITS - 1, 0),
    ):
        await load_word(dut, window, unit, offset, 0xA5A5A5A5)
    drive(dut, host=0)
    await load_word(dut, Window.ACTIVATIONS, layouts.ALL_UNITS, 0, 0xA5A5A5A5)
    await check(dut, reference)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def write_back_stores_whole_words(dut: Any) -> None:
    reference = await begin(dut)
    numbers = random.Random(3)
    drive(dut, host=0)
    for index in [0, DEPTH - 1, *numbers.choices(range(DEPTH), k=DEPTH)]:
        word = numbers.getrandbits(WIDTH)
        reference.store(index, word)
        drive(dut, write_enable=1, write_index=index, write_word=word)
        await RisingEdge(dut.clk)
    drive(dut, write_enable=0, write_word=0)
    await check(dut, reference)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def write_back_has_no_say_while_the_host_has_the_memory(dut: Any) -> None:
    reference = await begin(dut)
    drive(dut, write_enable=1, write_index=1, write_word=0)
    await RisingEdge(dut.clk)
    drive(dut, write_enable=0)
    await check(dut, reference)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_is_read_is_held_until_it_is_taken(dut: Any) -> None:
    """The feeder reads a word per cycle while write-back stores others."""
    reference = await begin(dut)
    numbers = random.Random(4)
    read = taken = None
    drive(dut, host=0)
    for _ in range(300):
        index, place = numbers.sample(range(DEPTH), 2)
        enable, take, write = (numbers.getrandbits(1) for _ in range(3))
        word = numbers.getrandbits(WIDTH)
        drive(dut, index=index, enable=enable, take=take)
        drive(dut, write_enable=write, write_index=place, write_word=word)
        await RisingEdge(dut.clk)
        if taken is not None:
            assert int(dut.word.value) == taken
        if take:
            taken = read
        if enable:
            read = reference.word(index)
        if write:
            reference.store(place, word)
    drive(dut, write_enable=0, enable=0, take=0)
    await check(dut, reference)
