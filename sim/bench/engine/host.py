"""Bench of `hw.engine.host.HostPort`."""

from __future__ import annotations

import random
import struct
import zlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import CRC_WRITE, MAGIC, PLACE, REGISTERS, VERSION, Window, window_items
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of
from sim.bench.latencies import HOST_READ, LOOKUP
from sim.bench.streams import parameters, start

CONFIG = configuration()
IMAGE_ID: int = parameters()["image_id"]
SIGNALS = (
    "bus__request",
    "bus__acknowledge",
    "start",
    "abort",
    "read_address",
    "load__windows",
    "load__address",
    "load__data",
)
MASK = (1 << layouts.BUS_BITS) - 1
LAST = (1 << layouts.BUS_ADDRESS_BITS) - 1


def address_of(window: Window, unit: int, offset: int) -> int:
    return bits_of(layouts.address, window=window, unit=unit, offset=offset)


def random_window_words(seed: int, count: int) -> list[tuple[int, int]]:
    """(address, word) in any of the windows, extremes among them, and beyond their depth."""
    numbers = random.Random(seed)
    windows = [window for window in Window if window is not Window.REGISTERS]
    words = [(address_of(windows[-1], 255, (1 << 18) - 1), MASK)]
    for _ in range(count - 1):
        window = numbers.choice(windows)
        offset = numbers.randrange(numbers.choice((1 << 18, words_of(window))))
        words.append((address_of(window, numbers.randrange(256), offset), numbers.getrandbits(32)))
    return words


def words_of(window: Window) -> int:
    """Bus words of each memory of a window."""
    _, depth, width = window_items(window, CONFIG)
    return depth * layouts.stride(width)


def strobes(address: int) -> int:
    """The window that a word is loaded into, one-hot; none if it is beyond the memories' depth."""
    fields = fields_of(layouts.address, address)
    window = Window(fields["window"])
    return 1 << window if fields["offset"] < words_of(window) else 0


def checksum(transfers: Sequence[tuple[int, int]]) -> int:
    """The reference: CRC-32 of zlib over the (address, word) pairs, little-endian."""
    return zlib.crc32(b"".join(struct.pack("<II", *pair) for pair in transfers))


class Bus:
    """The initiator: one transfer at a time, the next in the cycle after the acknowledge.

    Attributes
    ----------
    cycles : how long the last transfer took, from the request to the acknowledge
    transfers : (address and direction, word) of all but those of the CRC, since it was written
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.cycles = 0
        self.transfers: list[tuple[int, int]] = []
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
                found = int(dut.bus__r_data.value)
                self._record(address, word, found)
                return found
        raise AssertionError(f"{address:#x} was not acknowledged")

    def _record(self, address: int, word: int | None, found: int) -> None:
        if address != PLACE["crc"]:
            write = 0 if word is None else CRC_WRITE
            self.transfers.append((write | address, found if word is None else word))
        elif word is not None:
            self.transfers = []

    async def read(self, name: str) -> int:
        return await self.transfer(PLACE[name])

    async def write(self, name: str, word: int) -> None:
        await self.transfer(PLACE[name], word)


async def registers(bus: Bus) -> dict[str, int]:
    """Values of all registers but the CRC, which reading changes."""
    return {name: await bus.read(name) for name in PLACE if name != "crc"}


async def begin(dut: Any) -> tuple[Trace, Bus]:
    bus = Bus(dut)
    drive(dut, activation=0, counter=0, busy=0, layer=0, cycles=0)
    await start(dut)
    return Trace(dut, *SIGNALS), bus


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def registers_read_what_they_should(dut: Any) -> None:
    _, bus = await begin(dut)
    expected = {name: 0 for name in PLACE if name != "crc"}
    expected |= {"magic": MAGIC, "version": VERSION, "image_id": IMAGE_ID}
    expected |= {"config_digest": CONFIG.digest, "write_last": LAST}
    assert await registers(bus) == expected
    drive(dut, busy=1, layer=0xA5, cycles=0xDEADBEEF)
    expected |= {"status": 0xA501, "cycles": 0xDEADBEEF}
    assert await registers(bus) == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def registers_hold_what_may_be_written_and_no_more(dut: Any) -> None:
    _, bus = await begin(dut)
    held = {"scratch": MASK, "image_id": MASK, "vectors": 0xFFFF}
    held |= {"write_first": LAST, "write_last": LAST}
    last = [name for name in PLACE if name.startswith("write_")]
    for word in (0x12345678, MASK, 0):
        before = await registers(bus)
        await bus.write("write_first", 0)
        await bus.write("write_last", LAST)
        for name in sorted(PLACE.keys() - {"control"}, key=last.__contains__):
            await bus.write(name, word)
        after = await registers(bus)
        assert after == before | {name: word & mask for name, mask in held.items()}
        assert int(dut.vectors.value) == word & 0xFFFF


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def places_without_a_register_read_0_and_take_nothing(dut: Any) -> None:
    _, bus = await begin(dut)
    before = await registers(bus)
    others = (len(REGISTERS), 15, 16 + PLACE["magic"], 16 + PLACE["scratch"], 1 << 17)
    units = [1 << layouts.address["unit"].offset | PLACE[name] for name in ("magic", "scratch")]
    for address in (*others, *units):
        assert await bus.transfer(address) == 0
        await bus.transfer(address, MASK)
    assert await registers(bus) == before


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_restores_the_registers(dut: Any) -> None:
    _, bus = await begin(dut)
    before = await registers(bus)
    await bus.write("control", 1)
    for name in ("scratch", "image_id", "vectors", "write_first", "write_last"):
        await bus.write(name, 0x1234)
    assert before.keys() == {name for name in PLACE if name != "crc"}
    assert (await registers(bus))["status"] == 1 << 16
    drive(dut, rst=1)
    await RisingEdge(dut.clk)
    drive(dut, rst=0)
    assert await bus.read("crc") == 0
    assert await registers(bus) == before


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
    assert await bus.read("status") == (1 | 2 << 16 if busy else 3 << 16)
    assert len(trace.times(lambda c: c["abort"])) == 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_access_takes_as_long_as_it_should(dut: Any) -> None:
    """Three cycles; more only for a memory, as many as it takes to read what is there then."""
    trace, bus = await begin(dut)
    window = address_of(Window.ACTIVATIONS, 0, 1)
    accesses = [(PLACE["scratch"], None, 3), (PLACE["scratch"], 5, 3), (window, 7, 3 + LOOKUP)]
    accesses += [(window, None, 3 + HOST_READ)]
    accesses += [(address_of(Window.COUNTERS, 0, 1), None, 3 + HOST_READ)]
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
async def window_writes_are_loaded(dut: Any) -> None:
    """Not beyond the depth of a window.

    Address and data stay for a cycle, in which it is known who is meant.
    """
    trace, bus = await begin(dut)
    for seed in range(3):
        words = random_window_words(seed, 60)
        before = len(trace.times(lambda c: c["load__windows"]))
        for address, word in words:
            await bus.transfer(address, word)
        loads = trace.times(lambda c: c["load__windows"])[before:]
        cycles = [trace.cycles[time] for time in loads]
        loaded = [(c["load__windows"], c["load__address"], c["load__data"]) for c in cycles]
        inside = [(strobes(address), address, word) for address, word in words if strobes(address)]
        assert loaded == inside
        after = [trace.cycles[time + 1] for time in loads]
        stayed = [(c["load__windows"], c["load__address"], c["load__data"]) for c in after]
        assert stayed == [(0, address, word) for _, address, word in inside]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_transfer_enters_the_crc(dut: Any) -> None:
    """Read at once after any of them, or later; a write of any word restarts it."""
    _, bus = await begin(dut)
    cocotb.start_soon(serve(dut))
    numbers = random.Random(8)
    for _ in range(8):
        await bus.write("crc", numbers.getrandbits(32))
        assert await bus.read("crc") == 0
        for address, word in random_window_words(numbers.randrange(99), 30):
            place = numbers.choice((address, numbers.randrange(16)))
            await bus.transfer(place, numbers.choice((word, None)))
            if wait := numbers.choice((0, 0, 1, 4)):
                await ClockCycles(dut.clk, wait)
            if numbers.random() < 0.3:
                assert await bus.read("crc") == checksum(bus.transfers)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def windows_are_written_between_two_addresses_alone(dut: Any) -> None:
    trace, bus = await begin(dut)
    numbers = random.Random(9)
    for _ in range(20):
        words = [
            pair for pair in random_window_words(numbers.randrange(99), 12) if strobes(pair[0])
        ]
        bounds = sorted(address for address, _ in numbers.sample(words, 2))
        if numbers.random() < 0.2:
            bounds.reverse()  # nothing lies between
        await bus.write("write_first", bounds[0])
        await bus.write("write_last", bounds[1])
        await bus.write("image_id", 5)
        await bus.write("vectors", 5)
        assert await bus.read("image_id") == IMAGE_ID
        assert await bus.read("vectors") == 0
        before = len(trace.cycles)
        for address, word in words:
            await bus.transfer(address, word)
        loaded = [c["load__address"] for c in trace.cycles[before:] if c["load__windows"]]
        assert loaded == [at for at, _ in words if bounds[0] <= at <= bounds[1]]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_window_is_loaded_up_to_its_depth(dut: Any) -> None:
    """Whatever the unit; a place beyond it has no strobe, and is acknowledged all the same."""
    trace, bus = await begin(dut)
    windows = [window for window in Window if window is not Window.REGISTERS]
    for number in range(1 << layouts.address["window"].width):
        if number in windows or number == Window.REGISTERS:
            continue
        await bus.transfer(bits_of(layouts.address, window=number, unit=0, offset=0), MASK)
    assert not trace.times(lambda c: c["load__windows"]), "a window that there is not"
    for window in windows:
        end = words_of(window)
        for offset in (0, end - 1, end, end + 1, 2 * end, (1 << 18) - 1):
            for unit in (0, 1, 200, layouts.ALL_UNITS):
                before = len(trace.cycles)
                await bus.transfer(address_of(window, unit, offset), MASK)
                await ClockCycles(dut.clk, 3)
                given = [c["load__windows"] for c in trace.cycles[before:] if c["load__windows"]]
                assert given == ([1 << window] if offset < end else [])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def window_reads_return_activations_and_counters(dut: Any) -> None:
    """Both are there so many cycles after the one in which `read_address` asks for them."""
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
    assert not trace.times(lambda c: c["load__windows"])


async def serve(dut: Any) -> None:
    """Memories that answer a new address for one cycle only, as late as they do."""
    before = None
    answers: deque[tuple[int, int]] = deque([(0, 0)] * (HOST_READ - 1))
    while True:
        await RisingEdge(dut.clk)
        address = int(dut.read_address.value)
        known = address != before
        answers.append((address ^ MASK, address ^ 0x55AA55AA) if known else (0, 0))
        activation, counter = answers.popleft()
        drive(dut, activation=activation, counter=counter)
        before = address
