# amaranth: UnusedElaboratable=no
"""The UART against a line that is driven in simulated time, independently of its clock."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from hw.link.uart import UartReceiver, UartTransmitter

CLOCK = 1e-6
CYCLES_MAX = 60_000


def simulate(dut, *testbenches, background=()):
    async def watchdog(ctx):
        cycles = 0
        async for _ in ctx.tick():
            cycles += 1
            assert cycles < CYCLES_MAX, "the test hangs"

    sim = Simulator(dut)
    sim.add_clock(CLOCK)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    for testbench in (*background, watchdog):
        sim.add_testbench(testbench, background=True)
    sim.run()


async def put_line(ctx, pin, byte, bit_seconds, *, stop=1):
    """Eight data bits, no parity, one stop bit."""
    for level in [0, *((byte >> place) & 1 for place in range(8)), stop]:
        ctx.set(pin, level)
        await ctx.delay(bit_seconds)
    ctx.set(pin, 1)


class Collector:
    """Takes a stream's bytes, checks that they stand still while stalled, counts errors."""

    def __init__(self, receiver, *, stall=0.0, open_at=0):
        self.receiver, self.stall, self.open_at = receiver, stall, open_at
        self.taken, self.offered_at, self.errors, self.cycle = [], [], 0, 0

    async def watch(self, ctx):
        stream, dice, waiting = self.receiver.o, random.Random(1), None
        async for *_, valid, payload, ready, error in ctx.tick().sample(
            stream.valid, stream.payload, stream.ready, self.receiver.error
        ):
            if waiting is not None:
                assert valid, "a byte was taken back"
                assert payload == waiting, "a waiting byte changed"
            elif valid:
                self.offered_at.append(self.cycle)
            if valid and ready:
                self.taken.append(payload)
            waiting = payload if valid and not ready else None
            self.errors += error
            self.cycle += 1
            ctx.set(stream.ready, self.cycle >= self.open_at and dice.random() >= self.stall)


def receive(divisor, line, **collector):
    dut = UartReceiver(divisor)
    seen = Collector(dut, **collector)

    async def testbench(ctx):
        await ctx.delay(5.3 * CLOCK)
        await line(ctx, dut.rx, divisor * CLOCK)
        await ctx.delay(4 * divisor * CLOCK)

    simulate(dut, testbench, background=[seen.watch])
    return seen


@pytest.mark.parametrize("stall", [0, 0.5])
@pytest.mark.parametrize("skew", [-0.02, 0, 0.02])
@pytest.mark.parametrize("divisor", [4, 5, 7])
def test_receiver_keeps_up_with_a_line_2_percent_off(divisor, skew, stall):
    dice = random.Random(divisor)
    sent = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *(dice.randrange(256) for _ in range(40))]

    async def line(ctx, rx, bit):
        for place, byte in enumerate(sent):
            await put_line(ctx, rx, byte, bit * (1 + skew))
            if place >= len(sent) // 2:  # the first half comes without a pause
                await ctx.delay(dice.uniform(0.1, 12) * bit)

    seen = receive(divisor, line, stall=stall)
    assert seen.taken == sent
    assert seen.errors == 0


@pytest.mark.parametrize("divisor", [4, 7, 16])
def test_byte_is_offered_in_the_middle_of_its_stop_bit(divisor):
    async def line(ctx, rx, bit):
        await put_line(ctx, rx, 0x5A, bit)

    (offered,) = receive(divisor, line).offered_at
    # Cycle n ends at n + 0.5; the synchroniser takes two cycles and the output register one.
    sampled = offered - 3 + 0.5
    assert abs(sampled - (5.3 + 9.5 * divisor)) <= 1


@pytest.mark.parametrize("divisor", [8, 16])
def test_noise_is_no_start_bit(divisor):
    async def line(ctx, rx, bit):
        for _ in range(3):
            ctx.set(rx, 0)
            await ctx.delay(0.25 * bit)
            ctx.set(rx, 1)
            await ctx.delay(bit)
        await put_line(ctx, rx, 0xC3, bit)

    seen = receive(divisor, line)
    assert seen.taken == [0xC3]
    assert seen.errors == 0


@pytest.mark.parametrize("divisor", [4, 7])
@pytest.mark.parametrize("byte", [0x00, 0x7E, 0xFF])
def test_byte_without_stop_bit_is_dropped(divisor, byte):
    async def line(ctx, rx, bit):
        await put_line(ctx, rx, byte, bit, stop=0)
        await ctx.delay(2 * bit)
        await put_line(ctx, rx, 0x31, bit)

    seen = receive(divisor, line)
    assert seen.taken == [0x31]
    assert seen.errors == 1


def test_break_is_one_error():
    async def line(ctx, rx, bit):
        ctx.set(rx, 0)
        await ctx.delay(55 * bit)
        ctx.set(rx, 1)
        await ctx.delay(bit)
        await put_line(ctx, rx, 0x31, bit)

    seen = receive(4, line)
    assert seen.taken == [0x31]
    assert seen.errors == 1


@pytest.mark.parametrize(
    ("bits_closed", "taken", "errors"), [(18.5, [1, 2, 3], 0), (21, [1, 3], 1), (45, [1], 2)]
)
def test_untaken_byte_waits_for_one_byte_time(bits_closed, taken, errors):
    divisor = 16

    async def line(ctx, rx, bit):
        for byte in (1, 2, 3):
            await put_line(ctx, rx, byte, bit)
        await ctx.delay(30 * bit)

    seen = receive(divisor, line, open_at=5 + int(bits_closed * divisor))
    assert seen.taken == taken
    assert seen.errors == errors


def waveform(byte, divisor):
    bits = [0, *((byte >> place) & 1 for place in range(8)), 1]
    return [bit for bit in bits for _ in range(divisor)]


@pytest.mark.parametrize("divisor", [4, 7])
@pytest.mark.parametrize("stall", [0, 0.5])
def test_transmitter_waveform(divisor, stall):
    dut = UartTransmitter(divisor)
    dice = random.Random(3)
    bytes_ = [0x00, 0xFF, 0x55, *(dice.randrange(256) for _ in range(12))]
    expected, line = [], []

    async def testbench(ctx):
        left = list(bytes_)
        while left:
            ctx.set(dut.i.payload, left[0])
            ctx.set(dut.i.valid, ctx.get(dut.i.valid) or dice.random() >= stall)
            *_, tx, ready, valid = await ctx.tick().sample(dut.tx, dut.i.ready, dut.i.valid)
            line.append(tx)
            if ready and valid:
                idle = len(line) - len(expected)
                expected.extend([1] * idle + waveform(left.pop(0), divisor))
                ctx.set(dut.i.valid, 0)
        for _ in range(12 * divisor):
            *_, tx = await ctx.tick().sample(dut.tx)
            line.append(tx)

    simulate(dut, testbench)
    assert line == expected + [1] * (len(line) - len(expected))
    if stall == 0:
        assert len(expected) == 1 + len(bytes_) * 10 * divisor


@pytest.mark.parametrize("divisor", [4, 7, 16])
@pytest.mark.parametrize("stall", [0, 0.5])
def test_loop_back(divisor, stall):
    m = Module()
    m.submodules.transmitter = transmitter = UartTransmitter(divisor)
    m.submodules.receiver = receiver = UartReceiver(divisor)
    m.d.comb += receiver.rx.eq(transmitter.tx)
    seen = Collector(receiver, stall=stall)
    dice = random.Random(5)
    sent = [dice.randrange(256) for _ in range(60)]

    async def testbench(ctx):
        for byte in sent:
            while dice.random() < stall:
                await ctx.tick()
            ctx.set(transmitter.i.payload, byte)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
            ctx.set(transmitter.i.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    simulate(m, testbench, background=[seen.watch])
    assert seen.taken == sent
    assert seen.errors == 0


@pytest.mark.parametrize("component", [UartReceiver, UartTransmitter])
def test_too_small_divisor_is_refused(component):
    with pytest.raises(ValueError, match="divisor is 3; it must be 4 or more"):
        component(3)
