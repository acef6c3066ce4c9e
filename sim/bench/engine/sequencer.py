"""Bench of `hw.engine.sequencer.Sequencer`."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import Trace, configuration, drive, load, load_word, wait_until
from sim.bench.latencies import BEGINS, INSTRUCTION_READ
from sim.bench.streams import start

CONFIG = configuration()
INSTRUCTION = layouts.instruction(CONFIG)
SIGNALS = (
    "start",
    "busy",
    "layer",
    "instruction",
    "feed_start",
    "store_start",
    "ahead",
    "ended",
    "ended_layer",
    "cycles",
)

# Of each layer: cycles from the start of its storing until it is fed, and then until it is stored.
Durations = Sequence[tuple[int, int]]
Cycle = dict[str, int]


@dataclasses.dataclass(frozen=True)
class Times:
    """The cycles of a layer.

    Attributes
    ----------
    feed_start, store_start, fed, stored : int
    """

    feed_start: int
    store_start: int
    fed: int
    stored: int


def reference(began: int, program: Sequence[int], durations: Durations) -> list[Times]:
    """The times of every layer of a run."""
    layers: list[Times] = []
    last = INSTRUCTION["last"].offset
    feed_start = store_start = began + BEGINS
    for instruction, (to_fed, to_stored) in zip(program, durations, strict=False):
        fed = store_start + to_fed
        layers.append(Times(feed_start, store_start, fed, fed + to_stored))
        # The next layer is fed at once, but stored only when this one is.
        feed_start, store_start = fed + BEGINS, fed + to_stored
        if instruction >> last & 1:
            break
    return layers


def expected_cycle(time: int, program: Sequence[int], layers: Sequence[Times]) -> Cycle:
    """What each signal is in a cycle of a run; those that have no meaning then are left out."""
    began, end = layers[0].feed_start - BEGINS, layers[-1].stored
    (*_, layer) = [0, *(n for n, times in enumerate(layers) if times.feed_start <= time)]
    # An instruction is there a cycle before its layer.
    (*_, known) = [0, *(n for n, times in enumerate(layers) if times.feed_start <= time + 1)]
    ends = [*(times.feed_start for times in layers[1:]), end]
    cycle = {
        "busy": int(began < time <= end),
        "feed_start": int(time in [times.feed_start for times in layers]),
        "store_start": int(time in [times.store_start for times in layers]),
        "ahead": int(any(times.fed < time <= times.stored for times in layers[:-1])),
        "ended": int(time in ends),
    }
    if cycle["busy"]:
        cycle |= {"layer": layer, "instruction": program[known]}
    if cycle["ended"]:
        cycle["ended_layer"] = ends.index(time)
    if time > end:
        cycle["cycles"] = end - began
    return cycle


def random_program(seed: int, last: int | None) -> list[int]:
    """Instructions of random bits, one of them the last unless it is None."""
    numbers = random.Random(seed)
    flag = 1 << INSTRUCTION["last"].offset
    program = [numbers.getrandbits(INSTRUCTION.size) & ~flag for _ in range(CONFIG.layer_depth)]
    if last is not None:
        program[last] |= flag
    return program


async def begin(dut: Any, program: list[int]) -> Trace:
    drive(dut, start=0, fed=0, stored=0, load__windows=0)
    await start(dut)
    await load(dut, Window.PROGRAM, 0, program)
    return Trace(dut, *SIGNALS)


async def run_layers(dut: Any, durations: Durations) -> None:
    """Grid and write-back: they begin with the first layer when told to, and know when to go on."""
    await wait_until(dut.clk, lambda: int(dut.store_start.value))
    for to_fed, to_stored in durations:
        for name, cycles in (("fed", to_fed), ("stored", to_stored)):
            if cycles > 1:
                await ClockCycles(dut.clk, cycles - 1)
            drive(dut, **{name: 1})
            await RisingEdge(dut.clk)
            drive(dut, **{name: 0})


async def pulse_start(dut: Any) -> None:
    drive(dut, start=1)
    await RisingEdge(dut.clk)
    drive(dut, start=0)


def random_durations(numbers: random.Random) -> list[tuple[int, int]]:
    """A layer is stored `BEGINS` cycles after it is fed, or later.

    It is not fed before the next instruction is looked up, since the start of its feeding.
    """
    durations: list[tuple[int, int]] = []
    waits = 0  # from the start of its feeding to that of its storing
    for _ in range(CONFIG.layer_depth):
        to_stored = numbers.randint(BEGINS, 12)
        durations.append((numbers.randint(max(1, INSTRUCTION_READ - waits), 9), to_stored))
        waits = to_stored - BEGINS
    return durations


async def check_run(
    dut: Any, trace: Trace, program: list[int], durations: Durations, pause: int = 10
) -> list[Times]:
    """Run the program and compare every cycle; returns what was expected of the layers.

    It goes on `pause` cycles after the first one that is not busy.
    """
    running = cocotb.start_soon(run_layers(dut, durations))
    before = len(trace.cycles)
    await pulse_start(dut)
    await wait_until(dut.clk, lambda: not int(dut.busy.value))
    if pause:
        await ClockCycles(dut.clk, pause)
    running.cancel()
    drive(dut, fed=0, stored=0)
    cycles = list(enumerate(trace.cycles))[before:]
    began = next(time for time, cycle in cycles if cycle["start"])
    layers = reference(began, program, durations)
    for time, cycle in cycles:
        expected = expected_cycle(time, program, layers)
        assert {name: cycle[name] for name in expected} == expected
    return layers


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(layers=[1, 2, CONFIG.layer_depth - 1, CONFIG.layer_depth])
async def agrees(dut: Any, layers: int) -> None:
    program = random_program(layers, last=layers - 1)
    trace = await begin(dut, program)
    numbers = random.Random(layers)
    for _ in range(3):  # the second and third run start where the one before has ended
        assert len(await check_run(dut, trace, program, random_durations(numbers))) == layers


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_is_fed_as_soon_as_the_one_before_is(dut: Any) -> None:
    """Write-back begins with it only when it has stored that; all that is counted once."""
    program = random_program(1, last=2)
    trace = await begin(dut, program)
    await check_run(dut, trace, program, [(INSTRUCTION_READ, BEGINS), (17, 30), (5, 3)])
    first, second, third = trace.times(lambda c: c["feed_start"])
    stored = first + INSTRUCTION_READ + BEGINS
    assert (second, third) == (stored, stored + 17 + BEGINS)
    assert trace.times(lambda c: c["store_start"]) == [first, stored, stored + 47]
    assert trace.cycles[-1]["cycles"] == BEGINS + INSTRUCTION_READ + BEGINS + 47 + 8


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(to_stored=[BEGINS, 40])
async def ends_with_the_program_memory(dut: Any, to_stored: int) -> None:
    program = random_program(2, last=None)
    trace = await begin(dut, program)
    layers = await check_run(dut, trace, program, [(INSTRUCTION_READ, to_stored)] * len(program))
    assert len(layers) == CONFIG.layer_depth


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def starts_again_in_the_second_cycle_after_the_end(dut: Any) -> None:
    """Or once the first instruction, written anew, is looked up."""
    program = random_program(6, last=2)
    trace = await begin(dut, program)
    durations = [(INSTRUCTION_READ, BEGINS), (3, BEGINS), (INSTRUCTION_READ, BEGINS)]
    for _ in range(3):
        layers = await check_run(dut, trace, program, durations, pause=0)
        assert len(layers) == 3
    starts = trace.times(lambda c: c["start"])
    ends = trace.times(lambda c: c["ended"] and c["ended_layer"] == 2)
    assert starts[1:] == [time + 2 for time in ends[:-1]]
    program[0] ^= (1 << INSTRUCTION["last"].offset) - 1
    await load(dut, Window.PROGRAM, 0, program[:1])
    await ClockCycles(dut.clk, INSTRUCTION_READ)
    assert len(await check_run(dut, trace, program, [(INSTRUCTION_READ, BEGINS)] * 3)) == 3


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def start_is_ignored_while_busy(dut: Any) -> None:
    program = random_program(3, last=1)
    trace = await begin(dut, program)
    cocotb.start_soon(run_layers(dut, [(5, 4), (5, 4)]))
    await pulse_start(dut)
    for _ in range(18):
        await pulse_start(dut)
        assert int(dut.busy.value)
    await wait_until(dut.clk, lambda: not int(dut.busy.value))
    await ClockCycles(dut.clk, 5)
    assert len(trace.times(lambda c: c["feed_start"])) == 2
    assert trace.cycles[-1]["cycles"] == BEGINS + 2 * 9


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_layer_ends_the_run(dut: Any) -> None:
    program = random_program(4, last=3)
    trace = await begin(dut, program)
    for delay in range(16):
        running = cocotb.start_soon(run_layers(dut, [(2, 3)] * 4))
        await pulse_start(dut)
        await ClockCycles(dut.clk, 1 + delay)
        drive(dut, rst=1, fed=0, stored=0)
        running.cancel()
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        assert not int(dut.busy.value)
        assert not int(dut.ahead.value)
        await ClockCycles(dut.clk, INSTRUCTION_READ - 1)
        await check_run(dut, trace, program, [(3, 2), (3, 4), (1, 2), (5, 6)])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    program = random_program(5, last=None)
    trace = await begin(dut, program)
    stride = layouts.stride(INSTRUCTION.size)
    others = [
        (Window.ENTRIES, 0, 0),
        (Window.PROGRAM, 1, 0),
        *((Window.PROGRAM, 0, part) for part in range(-(-INSTRUCTION.size // 32), stride)),
    ]
    for window, unit, offset in others:
        await load_word(dut, window, unit, offset, 0xFFFFFFFF)
    await check_run(dut, trace, program, [(INSTRUCTION_READ, BEGINS)] * len(program))
