# amaranth: UnusedElaboratable=no
"""The bridge against literal LiteX bytes, and against the host's own software, both ways."""

import queue
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.link.uartbone import BusBridge, UartBone
from sw import transport, uartbone

DIVISOR = 4
FOREVER = 1_000_000
CYCLES_MAX = 100_000
COUNTING = 0x99  # a read of this word gives how often it has been read


class Target:
    """A memory that takes its time, and checks that the initiator keeps the rules of the bus."""

    def __init__(self, bus, *, delay=(0, 5)):
        self.bus, self.delay = bus, delay
        self.memory, self.log = {}, []

    async def serve(self, ctx):
        bus, dice, pending, wait = self.bus, random.Random(7), None, 0
        async for *_, request, write, address, w_data, acknowledge in ctx.tick().sample(
            bus.request, bus.write, bus.address.as_value(), bus.w_data, bus.acknowledge
        ):
            now = (write, address, w_data) if request else None
            if pending is not None:
                assert now == pending, "a transfer changed before it was acknowledged"
            ctx.set(bus.acknowledge, 0)
            ctx.set(bus.r_data, dice.getrandbits(32))
            if acknowledge:
                self.log.append(now if write else (0, address))
                if write:
                    self.memory[address] = w_data
                pending = None
                continue
            if request and pending is None:
                pending, wait = now, dice.randint(*self.delay)
            if pending is not None and wait == 0:
                ctx.set(bus.acknowledge, 1)
                ctx.set(bus.r_data, self.value(address))
            wait -= 1

    def value(self, address):
        if address == COUNTING:
            return self.log.count((0, COUNTING))
        return self.memory.get(address, 0)


class ByteLink:
    """Bytes straight to and from a BusBridge, with stalls on both sides."""

    def __init__(self, timeout, *, stall=0.0):
        self.dut = BusBridge(timeout)
        self.stall, self.dice = stall, random.Random(11)
        self.received = bytearray()

    async def send(self, ctx, data):
        for byte in data:
            while self.dice.random() < self.stall:
                await ctx.tick()
            ctx.set(self.dut.i.payload, byte)
            ctx.set(self.dut.i.valid, 1)
            await ctx.tick().until(self.dut.i.ready)
            ctx.set(self.dut.i.valid, 0)
            ctx.set(self.dut.i.payload, 0xEE)

    async def receive(self, ctx):
        stream, waiting = self.dut.o, None
        async for *_, valid, payload, ready in ctx.tick().sample(
            stream.valid, stream.payload, stream.ready
        ):
            if waiting is not None:
                assert valid, "a byte was taken back"
                assert payload == waiting, "a waiting byte changed"
            if valid and ready:
                self.received.append(payload)
            waiting = payload if valid and not ready else None
            ctx.set(stream.ready, self.dice.random() >= self.stall)


class SerialLink:
    """Bits to and from the pins of a UartBone."""

    def __init__(self, timeout):
        self.dut = UartBone(DIVISOR, 1e6, timeout=timeout)
        self.received = bytearray()

    async def send(self, ctx, data):
        for byte in data:
            for level in [0, *((byte >> place) & 1 for place in range(8)), 1]:
                ctx.set(self.dut.rx, level)
                await ctx.tick().repeat(DIVISOR)

    async def receive(self, ctx):
        line = []  # of one byte, from the first cycle of its start bit
        async for *_, tx in ctx.tick().sample(self.dut.tx):
            if line or not tx:
                line.append(tx)
            if len(line) == 10 * DIVISOR:
                bits = line[DIVISOR // 2 :: DIVISOR]
                assert bits[0] == 0
                assert bits[9] == 1
                self.received.append(sum(bit << place for place, bit in enumerate(bits[1:9])))
                line = []


def simulate(link, target, testbench):
    async def watchdog(ctx):
        cycles = 0
        async for _ in ctx.tick():
            cycles += 1
            assert cycles < CYCLES_MAX, "the test hangs"

    sim = Simulator(link.dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.add_testbench(link.receive, background=True)
    sim.add_testbench(target.serve, background=True)
    sim.add_testbench(watchdog, background=True)
    sim.run()


def exchange(link, data, *, wanted, cycles_max=20_000, **target):
    """Send bytes; the `wanted` bytes of the answer and the bus transfers they led to."""
    memory = Target(link.dut.bus, **target)

    async def testbench(ctx):
        await link.send(ctx, data)
        for _ in range(cycles_max):
            await ctx.tick()
            if len(link.received) >= wanted:
                break
        # What should not be there gets time to come.
        await ctx.tick().repeat(50 * DIVISOR)

    simulate(link, memory, testbench)
    return bytes(link.received), memory.log


class SimulatedPort:
    """A `ByteStream` whose other end is a simulated link; time passes only while it is used."""

    def __init__(self, link, *, read_cycles):
        self._link, self._read_cycles = link, read_cycles
        self._requests, self._answers = queue.Queue(), queue.Queue()
        self._taken = 0

    def _ask(self, request):
        self._requests.put(request)
        return self._answers.get(timeout=20)

    def write(self, data):
        self._ask(data)

    def read(self, count, _seconds):
        return self._ask(count)

    def close(self):
        self._requests.put(None)

    async def testbench(self, ctx):
        while (request := self._requests.get(timeout=20)) is not None:
            if isinstance(request, bytes):
                await self._link.send(ctx, request)
                answer = None
            else:
                answer = await self._read(ctx, request)
            self._answers.put(answer)

    async def _read(self, ctx, count):
        for _ in range(self._read_cycles):
            if len(self._link.received) - self._taken >= count:
                break
            await ctx.tick()
        answer = bytes(self._link.received[self._taken : self._taken + count])
        self._taken += len(answer)
        return answer


def run_software(link, software, *, read_cycles, baud=10**7):
    """Run ``software(transport, port)``, which blocks, while the gateware is simulated."""
    target = Target(link.dut.bus)
    port = SimulatedPort(link, read_cycles=read_cycles)
    bone = uartbone.UartBone(port, port="simulated", baud=baud)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(software, bone, port)
        result.add_done_callback(lambda _: port.close())
        simulate(link, target, port.testbench)
    return result.result(), target


# What LiteX's own client sends and expects, byte for byte: command, count, word address, words.
CASES = {
    "write": (
        "01 02 00000010 DEADBEEF 01234567",
        "",
        [(1, 0x10, 0xDEADBEEF), (1, 0x11, 0x1234567)],
    ),
    "write fixed": (
        "03 02 00000010 DEADBEEF 01234567",
        "",
        [(1, 0x10, 0xDEADBEEF), (1, 0x10, 0x1234567)],
    ),
    "read": (
        "01 02 00000010 DEADBEEF 01234567  02 02 00000010",
        "DEADBEEF 01234567",
        [(1, 0x10, 0xDEADBEEF), (1, 0x11, 0x1234567), (0, 0x10), (0, 0x11)],
    ),
    "read fixed": (
        "01 01 00000010 DEADBEEF  04 03 00000010",
        "DEADBEEF DEADBEEF DEADBEEF",
        [(1, 0x10, 0xDEADBEEF), (0, 0x10), (0, 0x10), (0, 0x10)],
    ),
    "address carries": (
        "01 02 0100FFFF 00000001 00000002",
        "",
        [(1, 0x100FFFF, 1), (1, 0x1010000, 2)],
    ),
    "all address bits": ("01 01 3A5C96F1 00000001", "", [(1, 0x3A5C96F1, 1)]),
    "two bits too many": ("02 01 C0000010", "00000000", [(0, 0x10)]),
    "unknown commands": ("00 05 FF 80 42  02 01 00000010", "00000000", [(0, 0x10)]),
    "no words": ("01 00 00000010 02 00 00000010  02 01 00000011", "00000000", [(0, 0x11)]),
    "back to back": (
        "01 01 00000020 11223344  02 01 00000020  03 01 00000020 55667788  04 01 00000020",
        "11223344 55667788",
        [(1, 0x20, 0x11223344), (0, 0x20), (1, 0x20, 0x55667788), (0, 0x20)],
    ),
}


@pytest.mark.parametrize("stall", [0, 0.5])
@pytest.mark.parametrize("case", CASES)
def test_litex_bytes(case, stall):
    sent, answer, transfers = CASES[case]
    answer = bytes.fromhex(answer)
    link = ByteLink(FOREVER, stall=stall)
    assert exchange(link, bytes.fromhex(sent), wanted=len(answer)) == (answer, transfers)


# A command that comes while an answer is still being sent has no place to wait on a serial line.
@pytest.mark.parametrize("case", [case for case in CASES if case != "back to back"])
def test_litex_bytes_on_the_serial_line(case):
    sent, answer, transfers = CASES[case]
    answer = bytes.fromhex(answer)
    link = SerialLink(FOREVER)
    assert exchange(link, bytes.fromhex(sent), wanted=len(answer)) == (answer, transfers)


@pytest.mark.parametrize("stall", [0, 0.5])
def test_most_words_of_a_command(stall):
    words = b"".join((0x01020304 * n % 2**32).to_bytes(4, "big") for n in range(255))
    sent = bytes.fromhex("01 FF 00000100") + words + bytes.fromhex("02 FF 00000100")
    answer, log = exchange(ByteLink(FOREVER, stall=stall), sent, wanted=4 * 255)
    assert answer == words
    assert [entry[1] for entry in log] == [*range(0x100, 0x1FF)] * 2


@pytest.mark.parametrize("last", [9, 10, 29, 30, 31, 100])
@pytest.mark.parametrize("gap", [1, 2, 4, 6, 9])
def test_command_is_forgotten_on_the_cycle(gap, last):
    """A write of one word with a gap; its last byte is offered `last` cycles after the first."""
    timeout = 30
    command = bytes.fromhex("01 01 02020202 02020202")
    link = ByteLink(timeout)
    target = Target(link.dut.bus)

    async def testbench(ctx):
        await link.send(ctx, command[:gap])
        for _ in range(last - 9):
            await ctx.tick()
        await link.send(ctx, command[gap:])
        # Whatever the bridge took the last bytes for, it has forgotten it after this.
        await ctx.tick().repeat(2 * timeout)
        await link.send(ctx, bytes.fromhex("02 01 02020202"))
        await ctx.tick().repeat(timeout)

    simulate(link, target, testbench)
    in_time = last < timeout
    assert ((1, 0x02020202, 0x02020202) in target.log) == in_time
    assert target.log[-1] == (0, 0x02020202)
    assert bytes(link.received[-4:]) == bytes.fromhex("02020202" if in_time else "00000000")


def test_transfer_under_way_is_finished_when_the_time_is_over():
    link = ByteLink(20)
    sent = bytes.fromhex("02 02 00000010")
    answer, log = exchange(link, sent, wanted=1, delay=(60, 60))
    assert log == [(0, 0x10)]
    assert len(answer) == 1


def test_answer_that_takes_too_long_is_cut_off():
    link = SerialLink(10 * 10 * DIVISOR)
    answer, _ = exchange(link, bytes.fromhex("02 FF 00000010"), wanted=4 * 255, cycles_max=2_000)
    assert 3 <= len(answer) <= 6


def test_idle_time_does_not_count():
    link = ByteLink(30)
    target = Target(link.dut.bus, delay=(0, 0))

    async def testbench(ctx):
        for _ in range(3):
            await ctx.tick().repeat(100)
            await link.send(ctx, bytes.fromhex("02 01 00000010"))

        await ctx.tick().repeat(30)

    simulate(link, target, testbench)
    assert target.log == [(0, 0x10)] * 3
    assert len(link.received) == 12


def test_software_and_serial_gateware_understand_each_other():
    words = np.array([0xDEADBEEF, 0x01234567, 0x80000001, 0], np.uint32)

    def software(bone, _):
        bone.write(0x1_0000, words)
        bone.write(0x2_0000, words[:3], fixed=True)
        assert bone.read(0x1_0000, 4).tolist() == words.tolist()
        assert bone.read(0x1_0002, 1).tolist() == [0x80000001]
        assert bone.read(0x2_0000, 2).tolist() == [0x80000001, 0]
        assert bone.poll(COUNTING, 0xFF, 2, timeout=60)
        assert not bone.poll(COUNTING, 0xF0, 0x10, timeout=0)

    _, target = run_software(SerialLink(20_000), software, read_cycles=30_000)
    fixed = [entry for entry in target.log if entry[:2] == (1, 0x2_0000)]
    assert [entry[2] for entry in fixed] == words[:3].tolist()


@pytest.mark.parametrize("count", [1, 254, 255, 256, 600])
def test_software_splits_what_is_too_long_for_a_command(count):
    words = np.random.default_rng(count).integers(0, 1 << 32, count, np.uint32)

    def software(bone, _):
        bone.write(0x345, words)
        bone.write(0x10, words, fixed=True)
        return bone.read(0x345, count)

    read, target = run_software(ByteLink(FOREVER), software, read_cycles=10_000)
    np.testing.assert_array_equal(read, words)
    assert [e[2] for e in target.log if e[:2] == (1, 0x10)] == words.tolist()
    assert [e[1] for e in target.log if not e[0]] == list(range(0x345, 0x345 + count))


@pytest.mark.parametrize("link", [ByteLink, SerialLink])
@pytest.mark.parametrize("half", ["01", "02", "01 05 0000", "03 02 00000010 11223344 55"])
def test_software_frees_a_bridge_stuck_in_a_command(link, half):
    def software(bone, port):
        bone.write(0x10, np.array([0xCAFE], np.uint32))
        port.write(bytes.fromhex(half))
        bone.resynchronise()
        return bone.read(0x10, 1).tolist()

    read, _ = run_software(link(2_000), software, read_cycles=2_500)
    # The word that was being written is filled up.
    assert read == [0x55000000 if half.startswith("03") else 0xCAFE]


def test_software_throws_an_answer_away_that_nobody_took():
    def software(bone, port):
        bone.write(0x10, np.array([0xCAFE, 0xBABE], np.uint32))
        port.write(bytes.fromhex("02 03 00000011"))
        bone.resynchronise()
        return bone.read(0x10, 2).tolist()

    read, _ = run_software(ByteLink(2_000), software, read_cycles=2_500)
    assert read == [0xCAFE, 0xBABE]


def test_software_gets_no_answer_from_a_stuck_bridge():
    def software(bone, port):
        port.write(bytes.fromhex("01 05 0000"))
        with pytest.raises(transport.DeviceSilent, match="simulated: no answer to a read of"):
            bone.read(0x10, 1)
        return bone.read(0x10, 1).tolist()  # forgotten meanwhile

    read, _ = run_software(ByteLink(500), software, read_cycles=1_000)
    assert read == [0]


def test_default_time_out_is_100_ms():
    assert UartBone(868, 100e6).timeout == 10_000_000


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="timeout is 1; it must be 2 cycles or more"):
        BusBridge(1)
