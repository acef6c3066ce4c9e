"""Bench of `hw.engine.positions.PositionWalker`."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of, wait_until
from sim.bench.streams import StreamMonitor, start

CONFIG = configuration()
LANES = CONFIG.lanes
POSITION, WALK = layouts.position(CONFIG), layouts.walk(CONFIG)
WORDS = 1 << POSITION["word"].width
COORDINATES = 1 << layouts.COORDINATE_BITS
LEVELS = len(layouts.WALK_LEVELS)
SIGNALS = ("start", "o__valid")

Place = tuple[int, int, int]  # slot (word × lanes + lane), y, x
Fields = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Loops:
    """Five nested loops, the innermost first.

    Attributes
    ----------
    times : how often each goes round; the last one is over the vectors
    strides : how far apart two of its times are
    """

    start: Place
    times: tuple[int, ...]
    strides: tuple[Place, ...]

    @property
    def walk(self) -> Fields:
        """What the hardware is told: steps, of which each takes back all loops below."""
        steps = []
        for level, stride in enumerate(self.strides):
            below = list(zip(self.times, self.strides, strict=True))[:level]
            back = [sum((times - 1) * far[axis] for times, far in below) for axis in range(3)]
            steps.append(
                position_of((stride[0] - back[0], stride[1] - back[1], stride[2] - back[2]))
            )
        repeats = [times - 1 for times in self.times[:-1]]
        return {"start": position_of(self.start), "repeats": repeats, "steps": steps}


def position_of(place: Place) -> Fields:
    """A place, or the way from one to another, as the hardware has it."""
    slot, y, x = place
    word, lane = divmod(slot, LANES)
    return {"word": word % WORDS, "lane": lane, "y": y % COORDINATES, "x": x % COORDINATES}


def places(loops: Loops) -> list[Place]:
    """Where the patches begin."""
    found = []
    for counts in itertools.product(*(range(times) for times in reversed(loops.times))):
        moves = list(zip(reversed(counts), loops.strides, strict=True))
        slot, y, x = (
            loops.start[axis] + sum(count * stride[axis] for count, stride in moves)
            for axis in range(3)
        )
        found.append((slot, y, x))
    return found


def random_loops(numbers: random.Random, times: tuple[int, ...], far: int = 5) -> Loops:
    """Loops with strides of up to `far`, in either direction, anywhere in memory."""

    def place(slots: int) -> Place:
        return numbers.randrange(slots), numbers.randint(-far, far), numbers.randint(-far, far)

    return Loops(place(WORDS * LANES), times, tuple(place(far * LANES) for _ in range(LEVELS)))


@dataclasses.dataclass
class Bench:
    """A walker with what surrounds it."""

    dut: Any
    trace: Trace
    monitor: StreamMonitor

    def announce(self, loops: Loops) -> None:
        """Tell the vectors of a layer, in the cycle before all of it must be known."""
        drive(self.dut, vectors=loops.times[-1])

    async def start_layer(self, loops: Loops) -> None:
        """Start a layer, announced before, in the next cycle; returns in the one after."""
        drive(self.dut, walk=bits_of(WALK, **loops.walk))
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=0)

    async def check_layer(self, loops: Loops) -> None:
        """Walk through a layer and compare all positions."""
        expected = [position_of(place) for place in places(loops)]
        self.announce(loops)
        await RisingEdge(self.dut.clk)
        await self.start_layer(loops)
        received = [fields_of(POSITION, bits) for bits in await self.monitor.receive(len(expected))]
        assert received == expected

    def check_times(self, count: int) -> None:
        """The layer started last had a position per cycle, from the one after its start on."""
        began = self.trace.times(lambda c: c["start"])[-1]
        came = [time for time in self.trace.times(lambda c: c["o__valid"]) if time > began]
        assert came == list(range(began + 1, began + 1 + count))


async def begin(dut: Any, stalls: float = 0.0) -> Bench:
    drive(dut, start=0, walk=0, vectors=0)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls, seed=1)
    await start(dut)
    return Bench(dut, Trace(dut, *SIGNALS), monitor)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def agrees(dut: Any, stalls: float) -> None:
    """Layer after layer; without stalls, in their cycles."""
    bench = await begin(dut, stalls)
    numbers = random.Random(2)
    for times in (
        (2, 3, 4, 5, 3),
        (1, 1, 1, 1, 1),
        (3, 3, 2, 1, 2),
        (1, 1, 6, 7, 1),
        (1, 2, 1, 2, 4),
    ):
        loops = random_loops(numbers, times)
        await bench.check_layer(loops)
        await bench.monitor.silent(10)
        if not stalls:
            bench.check_times(len(places(loops)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(level=list(range(LEVELS)))
async def every_loop_to_its_greatest_length(dut: Any, level: int) -> None:
    """Its coordinates go round; so do its words. Vectors are more than any other loop has."""
    bench = await begin(dut)
    times = [1] * LEVELS
    times[level] = COORDINATES + (100 if level == LEVELS - 1 else 0)
    times[level - 1 if level else level + 1] = 2
    loops = random_loops(random.Random(level), tuple(times))
    await bench.check_layer(loops)
    await bench.monitor.silent(10)
    bench.check_times(len(places(loops)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def lanes_carry_into_words(dut: Any) -> None:
    """From every lane by every number of lanes, at the end of memory too."""
    bench = await begin(dut)
    for lane, by in itertools.product(range(LANES), repeat=2):
        for word in (0, WORDS - 1):
            strides = ((by, 0, 0), *[(0, 0, 0)] * (LEVELS - 1))
            loops = Loops((word * LANES + lane, 0, 0), (3, *[1] * (LEVELS - 1)), strides)
            await bench.check_layer(loops)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_may_start_once_the_last_position_is_taken(dut: Any) -> None:
    """Known in the next cycle, it starts in the one after that."""
    bench = await begin(dut)
    numbers = random.Random(3)
    expected = []
    layers = [
        random_loops(numbers, times)
        for times in ((1, 1, 1, 1, 1), (1, 1, 1, 1, 2), (2, 2, 1, 1, 1), (1, 1, 3, 1, 1))
    ]
    bench.announce(layers[0])
    await RisingEdge(dut.clk)
    for loops, then in zip(layers, [*layers[1:], layers[0]], strict=True):
        await bench.start_layer(loops)
        for left in reversed(range(len(places(loops)))):
            if not left:
                bench.announce(then)
            await wait_until(dut.clk, lambda: int(dut.o__valid.value) and int(dut.o__ready.value))
        expected += [position_of(place) for place in places(loops)]
    received = await bench.monitor.receive(len(expected))
    assert [fields_of(POSITION, bits) for bits in received] == expected
    await bench.monitor.silent(10)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle_leaves_nothing(dut: Any) -> None:
    bench = await begin(dut)
    numbers = random.Random(4)
    for delay in range(9):
        loops = random_loops(numbers, (2, 2, 2, 2, 2))
        bench.announce(loops)
        await RisingEdge(dut.clk)
        await bench.start_layer(loops)
        await ClockCycles(dut.clk, 1 + 3 * delay)
        drive(dut, rst=1)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        bench.monitor.payloads.clear()
        await bench.monitor.silent(5)
        await bench.check_layer(random_loops(numbers, (1, 2, 3, 2, 1)))
        await bench.monitor.silent(5)
