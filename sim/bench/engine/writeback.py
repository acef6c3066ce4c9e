"""Bench of `hw.engine.writeback.WriteBack`, with accumulators around it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.engine.grid import Grid
from hw.engine.pool import Pool
from hw.engine.writeback import LaneWriteBack
from hw.pe.accumulate import DrainSignature
from hw.regmap import Window
from sim.bench.blocks import Trace, configuration, drive, load, load_word, signed, wait_until
from sim.bench.engine.accumulators import PLACES, Accumulators
from sim.bench.engine.stores import (
    END,
    HIGH,
    STORE,
    WORDS,
    Layer,
    Position,
    Stored,
    below,
    outputs,
    random_positions,
    reference,
    split,
)
from sim.bench.streams import start

CONFIG = configuration()
LANES, GROUPS, ROWS = CONFIG.lanes, CONFIG.groups, CONFIG.accumulator_depth
# From a row's drain to its word; for windows, the pool's in addition.
LATENCY = Grid.TOTAL_LATENCY + LaneWriteBack.latency(CONFIG)
SIGNALS = (
    "start",
    "clearing",
    "drain__enable",
    "drain__buffer",
    "drain__place",
    "drain__release",
    "full",
    "fed",
    "write_enable",
    "write_index",
    "write_word",
    "done",
)


@dataclasses.dataclass
class Bench:
    """A write-back unit with what surrounds it."""

    dut: Any
    accumulators: Accumulators
    trace: Trace
    biases: list[list[int]]

    async def announce(self, vectors: int) -> None:
        """Tell the vectors of a layer; returns in the next cycle, in which it may start."""
        drive(self.dut, vectors=vectors)
        await RisingEdge(self.dut.clk)

    async def start_layer(self, layer: Layer) -> None:
        """Returns in the cycle after `start`, after which only `vectors` stay what they are."""
        drive(self.dut, store=layer.bits, start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, store=~layer.bits & (1 << STORE.size) - 1, start=0)

    async def run_layer(
        self, layer: Layer, positions: list[Position], then: Iterable[Position] = ()
    ) -> None:
        """Run a layer whose vectors are announced and whose positions wait.

        Returns in the cycle after that of its last word.

        The accumulators get those of another once they have no more to do.
        """
        words = len(reference(layer, self.biases, positions))
        await self.start_layer(layer)
        for _ in range(4000):
            await RisingEdge(self.dut.clk)
            if int(self.dut.fed.value):
                self.accumulators.waiting += then
            words -= bool(int(self.dut.write_enable.value))
            if not words:
                return
        raise AssertionError(f"{words} words were not stored")

    async def check_layer(self, layer: Layer, positions: list[Position]) -> None:
        """Run a layer, and compare the words, their places, and when what is said of it."""
        began = len(self.trace.cycles)
        self.accumulators.joined = bool(layer.joined)
        self.accumulators.waiting += positions
        await self.announce(len(positions) // layer.positions)
        await self.run_layer(layer, positions)
        await ClockCycles(self.dut.clk, 3)
        cycles = list(enumerate(self.trace.cycles))[began:]
        assert stored_in(self.trace.cycles[began:]) == reference(layer, self.biases, positions)
        *_, last = (time for time, cycle in cycles if cycle["write_enable"])
        done = [time for time, cycle in cycles if cycle["done"]]
        assert done == [last + 1], "when the last word is stored"
        drained = [time for time, cycle in cycles if cycle["drain__enable"]]
        assert len(drained) == layer.rows * len(positions)
        fed = [time for time, cycle in cycles if cycle["fed"]]
        assert fed == [drained[-layer.rows]], "when the last position begins to be drained"
        self.check_releases(layer, drained)

    def check_releases(self, layer: Layer, drained: list[int]) -> None:
        """Every position was released as many rows early as it may be."""
        first = max(0, layer.rows - 1 - DrainSignature.RELEASED_EARLY)
        released = self.trace.times(lambda c: c["drain__release"])
        assert [time for time in released if time >= drained[0]] == drained[first :: layer.rows]


def stored_in(cycles: Sequence[dict[str, int]]) -> list[Stored]:
    """What was written."""
    return [
        (cycle["write_enable"], cycle["write_index"], word_of(cycle["write_word"]))
        for cycle in cycles
        if cycle["write_enable"]
    ]


def word_of(bits: int) -> list[int]:
    width = CONFIG.activation_bits
    return [signed(bits >> lane * width, width) for lane in range(LANES)]


async def begin(dut: Any, *, slow: bool = False, biases: int = END // 2) -> Bench:
    """Reset, load biases up to the given one, and let it clear the accumulators."""
    numbers = random.Random(4)
    values = [
        [numbers.randint(-biases, biases) for _ in range(CONFIG.bias_depth)] for _ in range(LANES)
    ]
    drive(dut, start=0, store=0, vectors=0, totals=0, load__windows=0)
    accumulators = Accumulators(dut, slow=slow)
    await start(dut)
    trace = Trace(dut, *SIGNALS)
    for lane in range(LANES):
        await load(dut, Window.BIAS, lane, values[lane])
    if int(dut.clearing.value):
        await wait_until(dut.clk, lambda: not int(dut.clearing.value))
    return Bench(dut, accumulators, trace, values)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(shift=list(range(layouts.SHIFT_MAX + 1)))
async def agrees(dut: Any, shift: int) -> None:
    """Vectors of one pixel of one position, as fully connected layers have."""
    bench = await begin(dut, slow=bool(shift % 2), biases=END // 2 if shift % 3 else 50)
    numbers = random.Random(shift)
    for relu, joined in ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0)):
        rows = GROUPS * numbers.randint(1, (1 + joined) * ROWS // GROUPS)
        layer = Layer(
            rows=rows,
            base=numbers.randint(0, CONFIG.activation_depth - 3 * rows // GROUPS),
            joined=joined,
            bias_base=numbers.randint(0, CONFIG.bias_depth - rows),
            shift=shift,
            relu=relu,
            across=shift // 2 % 2,
        )
        await bench.check_layer(layer, random_positions(numbers, layer, bench.biases, 3))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(average=[0, 1], across=[0, 1], slow=[False, True])
async def pools_windows(dut: Any, average: int, across: int, slow: bool) -> None:
    """Of several pixels, with a gap or without one, and of several vectors; layer after layer."""
    bench = await begin(dut, slow=slow)
    numbers = random.Random(6)
    for size in (1, 2, 4, 8) if average else (1, 2, 4, 9):
        for rows in (GROUPS, 2 * GROUPS, 3 * GROUPS):
            layer = Layer(
                rows=rows,
                base=numbers.randrange(9),
                gap=numbers.choice((0, 1, 2)),
                window=size - 1,
                pixels=numbers.randrange(3),
                bias_base=numbers.randint(0, CONFIG.bias_depth - rows),
                shift=numbers.randrange(9),
                relu=numbers.getrandbits(1),
                across=across,
                average=average,
                average_shift=size.bit_length() - 1 if average else 0,
            )
            await bench.check_layer(layer, random_positions(numbers, layer, bench.biases, 2))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(average=[0, 1])
async def windows_and_vectors_of_the_greatest_size(dut: Any, average: int) -> None:
    """A window of 256 positions; more pixels than a memory has words, which go round."""
    bench = await begin(dut)
    numbers = random.Random(7)
    shift = layouts.WINDOW_BITS if average else 0
    window = (1 << layouts.WINDOW_BITS) - 1
    layer = Layer(GROUPS, window=window, shift=4, average=average, average_shift=shift)
    await bench.check_layer(layer, random_positions(numbers, layer, bench.biases))
    layer = Layer(GROUPS, base=WORDS - 1, gap=WORDS // 2, pixels=WORDS + 2, average=average)
    await bench.check_layer(layer, random_positions(numbers, layer, bench.biases))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(gap=[0, 1, 5])
async def a_gap_lies_behind_each_pixel_in_every_group(dut: Any, gap: int) -> None:
    bench = await begin(dut)
    layer = Layer(2 * GROUPS, base=3, gap=gap, window=1, pixels=2)
    positions = random_positions(random.Random(8), layer, bench.biases, 2)
    places = [(enable, index) for enable, index, _ in reference(layer, bench.biases, positions)]
    assert places == [
        (1 << group, 3 + pixel * (2 + gap) + row)
        for pixel in range(6)
        for row in range(2)
        for group in range(GROUPS)
    ]
    await bench.check_layer(layer, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(relu=[0, 1], across=[0, 1])
async def saturates_at_the_very_edges(dut: Any, relu: int, across: int) -> None:
    bench = await begin(dut, biases=0)
    numbers = random.Random(1)
    layer = Layer(GROUPS, relu=relu, across=across)
    totals = below if across else split
    for edge in (HIGH, HIGH + 1, -HIGH - 1, -HIGH - 2, -1, 0, END - 1, -END):
        position = [[totals(numbers, edge) for _ in range(LANES)] for _ in range(GROUPS)]
        stored = max(0 if relu else -HIGH - 1, min(HIGH, edge))
        assert outputs(layer, bench.biases, position) == [[stored] * LANES] * GROUPS
        await bench.check_layer(layer, [position])


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(rows=[GROUPS, 2 * GROUPS, ROWS // GROUPS * GROUPS], window=[0, 2])
async def one_word_per_cycle_vector_after_vector(dut: Any, rows: int, window: int) -> None:
    bench = await begin(dut)
    layer = Layer(rows, shift=7, window=window)
    numbers = random.Random(2)
    positions = random_positions(numbers, layer, bench.biases, vectors=6)
    # Two positions are there when the layer starts, and the next come as buffers are released.
    bench.accumulators.waiting += positions[:2]
    await wait_until(dut.clk, lambda: int(dut.full.value) == 3)
    bench.accumulators.waiting += positions[2:]
    await bench.announce(vectors=6)
    await bench.start_layer(layer)
    await wait_until(dut.clk, lambda: int(dut.done.value))
    began = bench.trace.times(lambda c: c["start"])[-1]
    drained = bench.trace.times(lambda c: c["drain__enable"] and not c["clearing"])
    written = bench.trace.times(lambda c: c["write_enable"])
    assert drained == list(range(began + 1, began + 1 + len(positions) * rows))
    bench.check_releases(layer, drained)
    final = [time for n, time in enumerate(drained) if n // rows % (window + 1) == window]
    assert written == [time + LATENCY + (Pool.LATENCY if window else 0) for time in final]
    assert stored_in(bench.trace.cycles) == reference(layer, bench.biases, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(slow=[False, True])
async def joined_buffers_have_twice_the_rows(dut: Any, slow: bool) -> None:
    """Rows of the one buffer, of both, all; between layers whose buffers are two."""
    bench = await begin(dut, slow=slow)
    numbers = random.Random(10)
    most = 2 * ROWS // GROUPS * GROUPS
    half = -(-PLACES // 2 // GROUPS) * GROUPS
    for rows, joined in ((most, 1), (GROUPS, 0), (half, 1), (GROUPS, 1), (2 * GROUPS, 0)):
        layer = Layer(rows, joined=joined, gap=1, shift=2, pixels=1)
        await bench.check_layer(layer, random_positions(numbers, layer, bench.biases, 2))


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0, 1, 2])
async def a_layer_may_start_in_the_cycle_of_done(dut: Any, pause: int) -> None:
    """Or later. Its accumulators are filled as soon as those of the one before are drained.

    With windows after a layer without, and the other way round.
    """
    bench = await begin(dut)
    numbers = random.Random(9)
    layers = [
        Layer(GROUPS, base=5 * number, window=window, shift=number, relu=number % 2)
        for number, window in enumerate((0, 1, 0, 0, 1, 1, 0, 3))
    ]
    positions = [random_positions(numbers, layer, bench.biases, vectors=2) for layer in layers]
    bench.accumulators.waiting += positions[0]
    await bench.announce(vectors=2)
    for layer, here, then in zip(layers, positions, [*positions[1:], []], strict=True):
        await bench.run_layer(layer, here, then)
        if pause:
            await ClockCycles(dut.clk, pause)
    await ClockCycles(dut.clk, 10)
    ends = bench.trace.times(lambda c: c["done"])
    assert bench.trace.times(lambda c: c["start"])[1:] == [time + pause for time in ends[:-1]]
    assert stored_in(bench.trace.cycles) == [
        word
        for layer, here in zip(layers, positions, strict=True)
        for word in reference(layer, bench.biases, here)
    ]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def clears_every_accumulator_once_after_reset(dut: Any) -> None:
    """Also when reset comes in mid-vector; nothing of that is written."""
    bench = await begin(dut)
    layer = Layer(ROWS // GROUPS * GROUPS, gap=1, window=1, pixels=1, shift=3)
    numbers = random.Random(3)
    for delay in (1, 5, LATENCY + ROWS + 2, 2 * ROWS, 4 * ROWS):
        bench.accumulators.waiting += random_positions(numbers, layer, bench.biases, 3)
        await bench.announce(vectors=3)
        await bench.start_layer(layer)
        await ClockCycles(dut.clk, delay)
        drive(dut, rst=1)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        trace = Trace(dut, *SIGNALS)
        await wait_until(dut.clk, lambda: not int(dut.clearing.value))
        cleared = [c for c in trace.cycles if c["clearing"]]
        assert [c["drain__place"] for c in cleared] == list(range(PLACES))
        assert all(c["drain__enable"] and not c["drain__release"] for c in cleared)
        assert not any(c["write_enable"] or c["done"] for c in trace.cycles)
        bench = dataclasses.replace(bench, trace=trace)
        await bench.check_layer(layer, random_positions(numbers, layer, bench.biases))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    bench = await begin(dut)
    for window, unit in ((Window.CODEBOOK, 0), (Window.BIAS, LANES), (Window.BIAS, 255)):
        await load_word(dut, window, unit, 0, ~bench.biases[0][0] & 0xFFFFFFFF)
    layer = Layer(GROUPS)
    await bench.check_layer(layer, random_positions(random.Random(5), layer, bench.biases))
