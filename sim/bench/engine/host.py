"""Bench of `hw.engine.host.HostPort`."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import MAGIC, REGISTERS, VERSION, Window
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of
from sim.bench.streams import parameters, start

CONFIG = configuration()
IMAGE_ID: int = parameters()["image_id"]
PLACE = {register.name: place for place, register in enumerate(REGISTERS)}
SIGNALS = (
    "bus__request",
    "bus__acknowledge",
    "start",
    "abort",
    "read_address",
    "load__enable",
    "load__address",
    "load__data",
)
MASK = (1 << layouts.BUS_BITS) - 1


def address_of(window: Window, unit: int, offset: int) -> int:
    return bits_of(layouts.address, window=window, unit=unit, offset=offset)


def random_window_words(seed: int, count: int) -> list[tuple[int, int]]:
    """(address, word) in any of the windows, extremes among them."""
    numbers = random.Random(seed)
    windows = [window for window in Window if window is not Window.REGISTERS]
    words = [(address_of(windows[-1], 255, (1 << 18) - 1), MASK)]
    for _ in range(count - 1):
        place = (numbers.randrange(256), numbers.randrange(1 << 18))
        words.append((address_of(numbers.choice(windows), *place), numbers.getrandbits(32)))
    return words


def checksum(words: Sequence[tuple[int, int]]) -> int:
    """The reference: CRC-32 of zlib over the (address, word) pairs, little-endian."""
    return zlib.crc32(b"".join(struct.pack("<II", *pair) for pair in words))


class Bus:
    """The initiator: one transfer at a time, the next in the cycle after the acknowledge.

    Attributes
    ----------
    cycles : how long the last transfer took, from the request to the acknowledge
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.cycles = 0
        drive(dut, bus__request=0, bus__write=0)

    async def transfer(self, address: int, word: int | None = None) -> int:
        dut = self._dut
        drive(dut, bus__request=1, bus__address=address)
        drive(dut, bus__write=int(word is not None), bus__w_data=word or 0)
        for cycle in range(1, 10):
            await RisingEdge(dut.clk)
            if int(dut.bus__acknowledge.value):
                # What is on the bus between transfers is nothing to heed.
                drive(dut, bus__request=0, bus__write=1, bus__address=PLACE["control"])
                self.cycles = cycle
                return int(dut.bus__r_data.value)
        raise AssertionError(f"{address:#x} was not acknowledged")

    async def read(self, name: str) -> int:
        return await self.transfer(PLACE[name])

    async def write(self, name: str, word: int) -> None:
        await self.transfer(PLACE[name], word)


async def begin(dut: Any) -> tuple[Trace, Bus]:
    bus = Bus(dut)
    drive(dut, activation=0, counter=0, busy=0, layer=0, cycles=0)
    await start(dut)
    return Trace(dut, *SIGNALS), bus


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def registers_read_what_they_should(dut: Any) -> None:
    _, bus = await begin(dut)
    expected = {register.name: 0 for register in REGISTERS}
    expected |= {"magic": MAGIC, "version": VERSION, "image_id": IMAGE_ID}
    expected |= {"config_digest": CONFIG.digest}
    assert {name: await bus.read(name) for name in PLACE} == expected
    drive(dut, busy=1, layer=0xA5, cycles=0xDEADBEEF)
    expected |= {"status": 0xA501, "cycles": 0xDEADBEEF}
    assert {name: await bus.read(name) for name in PLACE} == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def registers_hold_what_may_be_written_and_no_more(dut: Any) -> None:
    _, bus = await begin(dut)
    held = {"scratch": MASK, "image_id": MASK, "vectors": 0xFFFF}
    for word in (0x12345678, MASK, 0):
        before = {name: await bus.read(name) for name in PLACE}
        for register in REGISTERS:
            if register.name != "control":
                await bus.write(register.name, word)
        after = {name: await bus.read(name) for name in PLACE}
        assert after == before | {name: word & mask for name, mask in held.items()}
        assert int(dut.vectors.value) == word & 0xFFFF


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def places_without_a_register_read_0_and_take_nothing(dut: Any) -> None:
    _, bus = await begin(dut)
    before = {name: await bus.read(name) for name in PLACE}
    for offset in (len(REGISTERS), 15, 16 + PLACE["magic"], 16 + PLACE["scratch"], 1 << 17):
        assert await bus.transfer(offset) == 0
        await bus.transfer(offset, MASK)
    assert {name: await bus.read(name) for name in PLACE} == before


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_restores_the_registers(dut: Any) -> None:
    _, bus = await begin(dut)
    before = {name: await bus.read(name) for name in PLACE}
    await bus.transfer(address_of(Window.BIAS, 0, 0), 1)
    for name in ("scratch", "image_id", "vectors"):
        await bus.write(name, 0x1234)
    drive(dut, rst=1)
    await RisingEdge(dut.clk)
    drive(dut, rst=0)
    assert {name: await bus.read(name) for name in PLACE} == before


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(busy=[0, 1])
async def commands_are_pulses_of_one_cycle(dut: Any, busy: int) -> None:
    """Start is refused while busy; what reads the register starts nothing."""
    trace, bus = await begin(dut)
    drive(dut, busy=busy)
    for command in (0, 1, 2, 3, MASK & ~3):
        await bus.write("control", command)
        await ClockCycles(dut.clk, 5)
    assert await bus.read("control") == 0
    await ClockCycles(dut.clk, 5)
    assert len(trace.times(lambda c: c["start"])) == (0 if busy else 2)
    assert len(trace.times(lambda c: c["abort"])) == 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_register_access_takes_two_cycles_and_a_window_access_four_at_most(dut: Any) -> None:
    trace, bus = await begin(dut)
    window = address_of(Window.ACTIVATIONS, 0, 1)
    accesses = [(PLACE["scratch"], None, 2), (PLACE["scratch"], 5, 2), (window, 7, 3)]
    accesses += [(window, None, 4), (address_of(Window.COUNTERS, 0, 1), None, 4)]
    numbers = random.Random(1)
    chosen = numbers.choices(accesses, k=60)
    for address, word, cycles in chosen:
        await bus.transfer(address, word)
        assert bus.cycles == cycles
        if numbers.random() < 0.3:
            await ClockCycles(dut.clk, numbers.randint(1, 3))
    await ClockCycles(dut.clk, 5)
    acknowledged = trace.times(lambda c: c["bus__acknowledge"])
    assert len(acknowledged) == len(chosen)
    assert all(trace.cycles[time]["bus__request"] for time in acknowledged)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def window_writes_are_loaded_and_enter_the_checksum(dut: Any) -> None:
    trace, bus = await begin(dut)
    for seed in range(3):
        words = random_window_words(seed, 60)
        before = len(trace.times(lambda c: c["load__enable"]))
        for count, (address, word) in enumerate(words, 1):
            await bus.transfer(address, word)
            if count % 20 == 0:
                await bus.write("scratch", count)  # registers do not enter
                await bus.transfer(address)  # nor does what is read
                assert await bus.read("load_crc") == checksum(words[:count])
        loads = trace.times(lambda c: c["load__enable"])[before:]
        cycles = [trace.cycles[time] for time in loads]
        assert [(c["load__address"], c["load__data"]) for c in cycles] == words
        await bus.write("load_crc", seed)
        assert await bus.read("load_crc") == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def window_reads_return_activations_and_counters(dut: Any) -> None:
    """Both are there in the cycle after the one in which `read_address` asks for them."""
    trace, bus = await begin(dut)
    numbers = random.Random(6)
    cocotb.start_soon(serve(dut))
    for _ in range(40):
        window = numbers.choice((Window.ACTIVATIONS, Window.COUNTERS))
        unit, offset = numbers.randrange(256), numbers.randrange(1 << 18)
        address = address_of(window, unit, offset)
        expected = {"activation": address ^ MASK, "counter": address ^ 0x55AA55AA}
        name = "counter" if window is Window.COUNTERS else "activation"
        assert await bus.transfer(address) == expected[name]
        asked = fields_of(layouts.address, trace.cycles[-1]["read_address"])
        assert asked == {"window": window, "unit": unit, "offset": offset}
    assert not trace.times(lambda c: c["load__enable"])


async def serve(dut: Any) -> None:
    """Memories that answer a new address for one cycle only, the next."""
    before = None
    while True:
        await RisingEdge(dut.clk)
        address = int(dut.read_address.value)
        known = address != before
        drive(dut, activation=address ^ MASK if known else 0)
        drive(dut, counter=address ^ 0x55AA55AA if known else 0)
        before = address
