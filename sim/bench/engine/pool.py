"""Bench of `hw.engine.pool.Pool`."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.engine.pool import Pool
from sim.bench.blocks import Trace, configuration, drive, random_signed, signed
from sim.bench.streams import start

CONFIG = configuration()
LANES, DEPTH, BITS = CONFIG.lanes, CONFIG.accumulator_depth, CONFIG.activation_bits
WORD = layouts.activation_word(CONFIG)
HIGH = (1 << BITS - 1) - 1
# A row recurs after as many words at the soonest.
GROUPS = CONFIG.groups

Word = list[int]


@dataclasses.dataclass(frozen=True)
class Step:
    """A word of a window, the `first` of its row or not."""

    row: int
    first: bool
    word: Word


def pooled(words: Sequence[Word], shift: int | None) -> Word:
    """The words' maximum, or with a shift their mean."""
    if shift is None:
        return [max(values) for values in zip(*words, strict=True)]
    half = (1 << shift) >> 1
    return [(sum(values) + half) >> shift for values in zip(*words, strict=True)]


def reference(steps: Sequence[Step], shift: int | None) -> list[Word]:
    """What the words of each row, since its first one, are reduced to after every step."""
    seen: dict[int, list[Word]] = {}
    results = []
    for step in steps:
        seen[step.row] = [step.word] if step.first else [*seen[step.row], step.word]
        results.append(pooled(seen[step.row], shift))
    return results


def window(rows: int, words: Sequence[Word]) -> list[Step]:
    """The steps of a window, all rows of one position after those of the one before."""
    return [Step(n % rows, n < rows, word) for n, word in enumerate(words)]


def alike(rows: int, words: Sequence[Word]) -> list[Step]:
    """A window whose rows have the same words."""
    return window(rows, [word for word in words for _ in range(rows)])


def random_word(numbers: random.Random) -> Word:
    return [random_signed(numbers, BITS) for _ in range(LANES)]


def random_windows(numbers: random.Random, rows: int, size: int, count: int) -> list[Step]:
    steps = []
    for _ in range(count):
        steps += window(rows, [random_word(numbers) for _ in range(rows * size)])
    return steps


@dataclasses.dataclass
class Bench:
    """A pool with what surrounds it."""

    dut: Any
    trace: Trace

    async def check(self, steps: Sequence[Step], shift: int | None, stalls: float = 0.0) -> None:
        """Send the steps, and compare what comes so many cycles after each.

        In a cycle in which none is sent, the other ports say anything.
        """
        numbers = random.Random(1)
        drive(self.dut, average=int(shift is not None), average_shift=shift or 0)
        before = len(self.trace.cycles)
        for step in steps:
            while numbers.random() < stalls:
                first = numbers.getrandbits(1)
                await self._send(0, Step(step.row, bool(first), random_word(numbers)))
            await self._send(1, step)
        drive(self.dut, enable=0)
        await ClockCycles(self.dut.clk, Pool.LATENCY + 2)
        cycles = self.trace.cycles[before:]
        sent = [time for time, cycle in enumerate(cycles) if cycle["enable"]]
        results = [word_of(cycles[time + Pool.LATENCY]["result"]) for time in sent]
        assert results == reference(steps, shift)

    async def _send(self, enable: int, step: Step) -> None:
        word = int(WORD.const(step.word).as_bits())
        drive(self.dut, enable=enable, row=step.row, first=int(step.first), word=word)
        await RisingEdge(self.dut.clk)


def word_of(bits: int) -> Word:
    return [signed(bits >> lane * BITS, BITS) for lane in range(LANES)]


async def begin(dut: Any) -> Bench:
    drive(dut, enable=0, row=0, first=0, word=0, average=0, average_shift=0)
    await start(dut)
    return Bench(dut, Trace(dut, "enable", "result"))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(rows=[*range(GROUPS, GROUPS + 5), DEPTH], shift=[None, 2], stalls=[0.0, 0.5])
async def agrees(dut: Any, rows: int, shift: int | None, stalls: float) -> None:
    """A row recurs after as many words as there are groups, or some more; window after window."""
    bench = await begin(dut)
    await bench.check(random_windows(random.Random(rows), rows, 4, 9), shift, stalls)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(shift=[None, 3], stalls=[0.0, 0.3])
async def rows_in_any_order(dut: Any, shift: int | None, stalls: float) -> None:
    bench = await begin(dut)
    numbers = random.Random(2)
    left = dict.fromkeys((*range(GROUPS + 1), DEPTH - 1), 0)
    steps: list[Step] = []
    for _ in range(400):
        recent = [step.row for step in steps[len(steps) - (GROUPS - 1) :]]
        row = numbers.choice([row for row in left if row not in recent])
        first = not left[row] or numbers.random() < 0.2
        left[row] = 7 if first else left[row] - 1
        steps.append(Step(row, first, random_word(numbers)))
    await bench.check(steps, shift, stalls)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(shift=list(range(layouts.WINDOW_BITS + 1)))
async def means_of_windows_of_every_size(dut: Any, shift: int) -> None:
    """At both ends of the numbers, too."""
    bench = await begin(dut)
    steps = random_windows(random.Random(shift), GROUPS, 1 << shift, 2)
    for value in (HIGH, -HIGH - 1, -1):
        steps += alike(GROUPS, [[value] * LANES] * (1 << shift))
        assert reference(steps, shift)[-1] == [value] * LANES
    await bench.check(steps, shift)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def halves_of_a_mean_round_up(dut: Any) -> None:
    bench = await begin(dut)
    for total, mean in ((-7, -2), (-6, -1), (-5, -1), (-2, 0), (-3, -1), (1, 0), (2, 1), (6, 2)):
        words = [[value] * LANES for value in (total - 30, 10, 20, 0)]
        steps = alike(GROUPS, words)
        assert reference(steps, 2)[-1] == [mean] * LANES
        await bench.check(steps, 2)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(rows=[GROUPS, 2 * GROUPS])
async def the_greatest_may_be_anywhere_in_a_window(dut: Any, rows: int) -> None:
    """In another place in every lane; all are negative, or of both signs."""
    bench = await begin(dut)
    for low, high in ((-HIGH - 1, -HIGH), (-1, 0), (-2, -1), (-HIGH - 1, HIGH), (3, 4)):
        for place in range(5):
            words = [[low] * LANES for _ in range(5 * rows)]
            for lane in range(LANES):
                words[(place + lane) % 5 * rows + rows - 1][lane] = high
            await bench.check(window(rows, words), None)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(shift=[None, 0])
async def windows_of_one_position_pass_as_they_are(dut: Any, shift: int | None) -> None:
    bench = await begin(dut)
    steps = random_windows(random.Random(3), GROUPS + 2, 1, 40)
    assert reference(steps, shift) == [step.word for step in steps]
    await bench.check(steps, shift)
