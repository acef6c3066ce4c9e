"""Bench of `hw.engine.writeback.WriteBack`, with the accumulators of a grid around it."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import Trace, configuration, drive, load, load_word, signed, wait_until
from sim.bench.streams import start

CONFIG = configuration()
LANES, GROUPS, ROWS = CONFIG.lanes, CONFIG.groups, CONFIG.accumulator_depth
HIGH = (1 << CONFIG.activation_bits - 1) - 1
END = 1 << CONFIG.accumulator_bits - 1
SIGNALS = (
    "start",
    "clearing",
    "drain__enable",
    "drain__buffer",
    "drain__row",
    "drain__release",
    "full",
    "write_enable",
    "write_index",
    "write_word",
    "done",
)

Vector = list[list[list[int]]]  # totals by row, lane, group


@dataclasses.dataclass(frozen=True)
class Layer:
    """What write-back needs of an instruction."""

    out_rows: int
    out_base: int = 0
    bias_base: int = 0
    shift: int = 0
    relu: int = 0


def reference(layer: Layer, biases: list[list[int]], vector: Vector) -> list[list[int]]:
    """The words that a vector becomes: ``clamp(relu((sum + bias) >> shift))``, by row and lane."""
    words = []
    for row, lanes in enumerate(vector):
        sums = [sum(groups) + biases[n][layer.bias_base + row] for n, groups in enumerate(lanes)]
        low = 0 if layer.relu else -HIGH - 1
        words.append([max(low, min(HIGH, value >> layer.shift)) for value in sums])
    return words


class Accumulators:
    """The accumulators of a grid and its `full` flags.

    Attributes
    ----------
    waiting : vectors that come into a buffer once it is released, at once or, if `slow`, later
    """

    def __init__(self, dut: Any, *, slow: bool = False) -> None:
        self.waiting: list[Vector] = []
        self._dut = dut
        self._buffers: list[Vector | None] = [None, None]
        self._next = 0
        self._pause = 0.9 if slow else 0.0
        drive(dut, full=0)
        cocotb.start_soon(self._serve())

    def reset(self) -> None:
        self.waiting.clear()
        self._buffers = [None, None]
        self._next = 0

    async def _serve(self) -> None:
        dut = self._dut
        numbers = random.Random(3)
        while True:
            await RisingEdge(dut.clk)
            dut.totals.value = self._read()
            released = None
            if int(dut.drain__release.value):
                released = int(dut.drain__buffer.value)
                self._buffers[released] = None
            # A buffer that is released is not full in the next cycle, whatever waits for it.
            ready = self.waiting and self._buffers[self._next] is None and self._next != released
            if ready and numbers.random() >= self._pause:
                self._buffers[self._next] = self.waiting.pop(0)
                self._next ^= 1
            dut.full.value = sum(1 << n for n in range(2) if self._buffers[n] is not None)

    def _read(self) -> int:
        """What `totals` is a cycle after this one; if it must not be stored, it is all ones."""
        dut, width = self._dut, CONFIG.accumulator_bits
        vector, row = self._buffers[int(dut.drain__buffer.value)], int(dut.drain__row.value)
        lanes = [[-1] * GROUPS] * LANES
        if int(dut.drain__enable.value) and vector:
            lanes = vector[row]
        totals = (total & (1 << width) - 1 for groups in lanes for total in groups)
        return sum(total << place * width for place, total in enumerate(totals))


@dataclasses.dataclass
class Bench:
    """A write-back unit with what surrounds it."""

    dut: Any
    accumulators: Accumulators
    trace: Trace
    biases: list[list[int]]

    async def start_layer(self, layer: Layer, vectors: list[Vector]) -> None:
        drive(self.dut, **dataclasses.asdict(layer), vectors=len(vectors), start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=0)
        self.accumulators.waiting += vectors

    async def check_layer(self, layer: Layer, vectors: list[Vector]) -> list[int]:
        """Run a layer, and compare the words and their places; returns the cycles of writing."""
        began = len(self.trace.cycles)
        await self.start_layer(layer, vectors)
        await wait_until(self.dut.clk, lambda: int(self.dut.done.value))
        await RisingEdge(self.dut.clk)
        cycles = list(enumerate(self.trace.cycles))[began:]
        written = [(time, cycle) for time, cycle in cycles if cycle["write_enable"]]
        stored = [
            (cycle["write_enable"], cycle["write_index"], word_of(cycle["write_word"]))
            for _, cycle in written
        ]
        words = [word for v in vectors for word in reference(layer, self.biases, v)]
        assert stored == [
            (1 << number % GROUPS, layer.out_base + number // GROUPS, word)
            for number, word in enumerate(words)
        ]
        done = [time for time, cycle in cycles if cycle["done"]]
        assert done == [written[-1][0] + 1], "when the last word is stored"
        return [time for time, _ in written]


def word_of(bits: int) -> list[int]:
    width = CONFIG.activation_bits
    return [signed(bits >> lane * width, width) for lane in range(LANES)]


def split(numbers: random.Random, total: int) -> list[int]:
    """Totals of the groups that sum up to `total`, all of them accumulators."""
    parts = []
    for group in range(GROUPS - 1):
        left = GROUPS - 1 - group
        low, high = max(-END, total - left * (END - 1)), min(END - 1, total + left * END)
        parts.append(numbers.randint(max(low, -END // 2), min(high, END // 2)))
        total -= parts[-1]
    return [*parts, total]


def random_vector(numbers: random.Random, layer: Layer, biases: list[list[int]]) -> Vector:
    """Totals whose outputs lie around the edges of an activation, of zero, and anywhere."""
    vector: Vector = []
    for row in range(layer.out_rows):
        lanes = []
        for lane in range(LANES):
            output = numbers.choice((HIGH, HIGH + 1, -HIGH - 1, -HIGH - 2, 0, -1, 1, 1000))
            fraction = numbers.choice((0, (1 << layer.shift) - 1, (1 << layer.shift) >> 1))
            bias = biases[lane][layer.bias_base + row]
            total = (output << layer.shift) + fraction - bias
            if numbers.random() < 0.1 or not -END <= total < END or not in_range(total + bias):
                total = numbers.randint(max(-END, -END - bias), min(END - 1, END - 1 - bias))
            lanes.append(split(numbers, total))
        vector.append(lanes)
    return vector


def in_range(value: int) -> bool:
    return -END <= value < END


async def begin(dut: Any, *, slow: bool = False, biases: int = END // 2) -> Bench:
    """Reset, load biases up to the given one, and let it clear the accumulators."""
    numbers = random.Random(4)
    values = [
        [numbers.randint(-biases, biases) for _ in range(CONFIG.bias_depth)] for _ in range(LANES)
    ]
    drive(dut, start=0, totals=0, load__enable=0)
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
    bench = await begin(dut, slow=bool(shift % 2), biases=END // 2 if shift % 3 else 50)
    numbers = random.Random(shift)
    for relu in (0, 1):
        out_rows = GROUPS * numbers.randint(1, ROWS // GROUPS)
        layer = Layer(
            out_rows=out_rows,
            out_base=numbers.randint(0, CONFIG.activation_depth - 3 * out_rows // GROUPS),
            bias_base=numbers.randint(0, CONFIG.bias_depth - out_rows),
            shift=shift,
            relu=relu,
        )
        vectors = [random_vector(numbers, layer, bench.biases) for _ in range(3)]
        await bench.check_layer(layer, vectors)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(relu=[0, 1])
async def saturates_at_the_very_edges(dut: Any, relu: int) -> None:
    bench = await begin(dut, biases=0)
    numbers = random.Random(1)
    layer = Layer(GROUPS, relu=relu)
    for edge in (HIGH, HIGH + 1, -HIGH - 1, -HIGH - 2, -1, 0, END - 1, -END):
        vector = [[split(numbers, edge) for _ in range(LANES)] for _ in range(GROUPS)]
        stored = max(0 if relu else -HIGH - 1, min(HIGH, edge))
        assert reference(layer, bench.biases, vector) == [[stored] * LANES] * GROUPS
        await bench.check_layer(layer, [vector])


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(out_rows=[GROUPS, 2 * GROUPS, ROWS // GROUPS * GROUPS])
async def one_word_per_cycle_vector_after_vector(dut: Any, out_rows: int) -> None:
    bench = await begin(dut)
    layer = Layer(out_rows, shift=7)
    count = min(6, CONFIG.activation_depth * GROUPS // out_rows)
    numbers = random.Random(2)
    vectors = [random_vector(numbers, layer, bench.biases) for _ in range(count)]
    # Two vectors are there when the layer starts, and the next come as buffers are released.
    bench.accumulators.waiting += vectors[:2]
    await wait_until(dut.clk, lambda: int(dut.full.value) == 3)
    bench.accumulators.waiting += vectors[2:]
    drive(dut, **dataclasses.asdict(layer), vectors=count, start=1)
    await RisingEdge(dut.clk)
    drive(dut, start=0)
    await wait_until(dut.clk, lambda: int(dut.done.value))
    cycles = bench.trace.cycles
    began = bench.trace.times(lambda c: c["start"])[-1]
    drained = bench.trace.times(lambda c: c["drain__enable"] and not c["clearing"])
    written = bench.trace.times(lambda c: c["write_enable"])
    assert drained == list(range(began + 1, began + 1 + count * out_rows))
    assert written == [time + 5 for time in drained], "four cycles after the totals"
    expected = [word for vector in vectors for word in reference(layer, bench.biases, vector)]
    assert [word_of(cycles[time]["write_word"]) for time in written] == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def clears_every_accumulator_once_after_reset(dut: Any) -> None:
    """Also when reset comes in mid-vector; nothing of that is written."""
    bench = await begin(dut)
    layer = Layer(ROWS // GROUPS * GROUPS, shift=3)
    numbers = random.Random(3)
    for delay in (1, 5, 2 * ROWS):
        vectors = [random_vector(numbers, layer, bench.biases) for _ in range(3)]
        await bench.start_layer(layer, vectors)
        for _ in range(delay):
            await RisingEdge(dut.clk)
        drive(dut, rst=1)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        bench.accumulators.reset()
        trace = Trace(dut, *SIGNALS)
        await wait_until(dut.clk, lambda: not int(dut.clearing.value))
        cleared = [c for c in trace.cycles if c["clearing"]]
        assert [(c["drain__buffer"], c["drain__row"]) for c in cleared] == [
            (buffer, row) for buffer in range(2) for row in range(ROWS)
        ]
        assert all(c["drain__enable"] and not c["drain__release"] for c in cleared)
        assert not any(c["write_enable"] or c["done"] for c in trace.cycles)
        bench = dataclasses.replace(bench, trace=trace)
        await bench.check_layer(layer, [random_vector(numbers, layer, bench.biases)])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    bench = await begin(dut)
    for window, unit, offset in (
        (Window.CODEBOOK, 0, 0),
        (Window.BIAS, LANES, 0),
        (Window.BIAS, 0, CONFIG.bias_depth * layouts.stride(CONFIG.accumulator_bits)),
    ):
        await load_word(dut, window, unit, offset, ~bench.biases[0][0] & 0xFFFFFFFF)
    layer = Layer(GROUPS)
    vector = random_vector(random.Random(5), layer, bench.biases)
    await bench.check_layer(layer, [vector])
