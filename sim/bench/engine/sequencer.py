"""Bench of `hw.engine.sequencer.Sequencer`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import Trace, configuration, drive, load, load_word, wait_until
from sim.bench.streams import start

CONFIG = configuration()
INSTRUCTION = layouts.instruction(CONFIG)
SIGNALS = ("start", "busy", "layer", "instruction", "layer_start", "layer_done", "cycles")


def reference(
    began: int, program: Sequence[int], durations: Sequence[int]
) -> list[tuple[int, int, int, int]]:
    """(layer, its instruction, cycle of its start, cycle of its end) of each layer of a run."""
    layers = []
    last = INSTRUCTION["last"].offset
    time = began
    for layer, (instruction, duration) in enumerate(zip(program, durations, strict=False)):
        layers.append((layer, instruction, time + 1, time + 1 + duration))
        time += 1 + duration
        if instruction >> last & 1:
            break
    return layers


def random_program(seed: int, last: int | None) -> list[int]:
    """Instructions of random bits, one of them the last unless it is None."""
    numbers = random.Random(seed)
    flag = 1 << INSTRUCTION["last"].offset
    program = [numbers.getrandbits(INSTRUCTION.size) & ~flag for _ in range(CONFIG.layer_depth)]
    if last is not None:
        program[last] |= flag
    return program


async def begin(dut: Any, program: list[int]) -> Trace:
    drive(dut, start=0, layer_done=0, load__windows=0)
    await start(dut)
    await load(dut, Window.PROGRAM, 0, program)
    return Trace(dut, *SIGNALS)


async def run_layers(dut: Any, durations: Sequence[int]) -> None:
    """Feeder, grid and write-back: done so many cycles after each layer's start."""
    for duration in durations:
        await wait_until(dut.clk, lambda: int(dut.layer_start.value))
        if duration > 1:
            await ClockCycles(dut.clk, duration - 1)
        drive(dut, layer_done=1)
        await RisingEdge(dut.clk)
        drive(dut, layer_done=0)


async def pulse_start(dut: Any) -> None:
    drive(dut, start=1)
    await RisingEdge(dut.clk)
    drive(dut, start=0)


async def check_run(
    dut: Any, trace: Trace, program: list[int], durations: Sequence[int], pause: int = 10
) -> list[tuple[int, int, int, int]]:
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
    cycles = list(enumerate(trace.cycles))[before:]
    began = next(time for time, cycle in cycles if cycle["start"])
    layers = reference(began, program, durations)
    end = layers[-1][3]
    starts = [time for time, cycle in cycles if cycle["layer_start"]]
    assert starts == [start_of_layer for _, _, start_of_layer, _ in layers]
    for layer, instruction, first, last in layers:
        for cycle in trace.cycles[first : last + 1]:
            assert (cycle["layer"], cycle["instruction"]) == (layer, instruction)
    for time, cycle in cycles:
        assert cycle["busy"] == (began < time <= end)
        if time > end:
            assert cycle["cycles"] == end - began
    return layers


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(layers=[1, 2, CONFIG.layer_depth - 1, CONFIG.layer_depth])
async def agrees(dut: Any, layers: int) -> None:
    program = random_program(layers, last=layers - 1)
    trace = await begin(dut, program)
    numbers = random.Random(layers)
    for _ in range(3):  # the second and third run start where the one before has ended
        durations = [numbers.randint(1, 20) for _ in program]
        assert len(await check_run(dut, trace, program, durations)) == layers


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_takes_one_cycle_more_than_its_work(dut: Any) -> None:
    program = random_program(1, last=2)
    trace = await begin(dut, program)
    await check_run(dut, trace, program, [1, 17, 5])
    assert trace.cycles[-1]["cycles"] == (1 + 1) + (17 + 1) + (5 + 1)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ends_with_the_program_memory(dut: Any) -> None:
    program = random_program(2, last=None)
    trace = await begin(dut, program)
    layers = await check_run(dut, trace, program, [2] * len(program))
    assert len(layers) == CONFIG.layer_depth


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def starts_again_in_the_second_cycle_after_the_end(dut: Any) -> None:
    """Also in the second one after the loading of the first instruction."""
    program = random_program(6, last=2)
    trace = await begin(dut, program)
    for _ in range(3):
        assert len(await check_run(dut, trace, program, [1, 3, 1], pause=0)) == 3
    program[0] ^= (1 << INSTRUCTION["last"].offset) - 1
    await load(dut, Window.PROGRAM, 0, program[:1])
    await RisingEdge(dut.clk)
    assert len(await check_run(dut, trace, program, [2, 1, 1])) == 3


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def start_is_ignored_while_busy(dut: Any) -> None:
    program = random_program(3, last=1)
    trace = await begin(dut, program)
    cocotb.start_soon(run_layers(dut, [9, 9]))
    await pulse_start(dut)
    for _ in range(18):
        await pulse_start(dut)
        assert int(dut.busy.value)
    await wait_until(dut.clk, lambda: not int(dut.busy.value))
    await ClockCycles(dut.clk, 5)
    assert len(trace.times(lambda c: c["layer_start"])) == 2
    assert trace.cycles[-1]["cycles"] == 2 * (9 + 1)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_layer_ends_the_run(dut: Any) -> None:
    program = random_program(4, last=3)
    trace = await begin(dut, program)
    for delay in range(12):
        running = cocotb.start_soon(run_layers(dut, [4, 4, 4, 4]))
        await pulse_start(dut)
        await ClockCycles(dut.clk, 1 + delay)
        drive(dut, rst=1, layer_done=0)
        running.cancel()
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        assert not int(dut.busy.value)
        await check_run(dut, trace, program, [3, 2, 1, 5])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    program = random_program(5, last=None)
    trace = await begin(dut, program)
    stride = layouts.stride(INSTRUCTION.size)
    others = [
        (Window.ENTRIES, 0, 0),
        (Window.PROGRAM, 1, 0),
        (Window.PROGRAM, 0, CONFIG.layer_depth * stride),
        *((Window.PROGRAM, 0, part) for part in range(-(-INSTRUCTION.size // 32), stride)),
    ]
    for window, unit, offset in others:
        await load_word(dut, window, unit, offset, 0xFFFFFFFF)
    await check_run(dut, trace, program, [1] * len(program))
