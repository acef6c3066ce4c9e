"""Bench of `hw.engine.feeder.Feeder`, with an activation memory beside it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import Trace, bits_of, drive, fields_of, load, wait_until
from sim.bench.engine.feeds import (
    CONFIG,
    LANES,
    TOKEN,
    Expected,
    Layer,
    Word,
    along,
    once,
    random_memory,
    reference,
    significant,
    whole,
)
from sim.bench.engine.positions import WORDS, random_loops
from sim.bench.engine.segments import (
    DEPTH,
    PATCH,
    SEGMENT,
    UNIT,
    Patch,
    random_segments,
    segment_of,
)
from sim.bench.latencies import FIRST_TOKEN, WORD
from sim.bench.streams import StreamMonitor, start

BEFORE = 3  # what no memory of these tests holds, as 3 is no power of two
SIGNALS = ("start", "o__valid", "behind", "stored")


@dataclasses.dataclass
class Bench:
    """A feeder with what surrounds it."""

    dut: Any
    trace: Trace
    monitor: StreamMonitor
    memory: list[Word]

    async def load_table(self, patch: Patch) -> None:
        table = [bits_of(SEGMENT, **segment) for segment in patch.segments]
        await load(self.dut, Window.SEGMENTS, UNIT, table, patch.base)

    def announce(self, layer: Layer) -> None:
        """Tell the vectors of a layer, in the cycle before all of it must be known."""
        drive(self.dut, vectors=layer.loops.times[-1])

    async def start_layer(self, layer: Layer) -> None:
        """Start a layer, announced before, in the next cycle; returns in the one after."""
        drive(self.dut, patch=bits_of(PATCH, **layer.fields))
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=0)

    async def check_layer(self, layer: Layer) -> list[Expected]:
        """Feed a layer and compare the tokens; returns what was expected.

        An idle feeder keeps reading and taking words, which may be the host's.
        """
        expected = reference(self.memory, layer)
        await self.load_table(layer.patch)
        self.announce(layer)
        await RisingEdge(self.dut.clk)
        await self.start_layer(layer)
        tokens = [fields_of(TOKEN, bits) for bits in await self.monitor.receive(len(expected))]
        assert [significant(token) for token in tokens] == [of.token for of in expected]
        await self.monitor.silent(10)
        assert int(self.dut.word_enable.value)
        assert int(self.dut.word_take.value)
        return expected

    def times(self) -> list[int]:
        """Cycles of the tokens of the layer started last, counted from its start."""
        began = self.trace.times(lambda c: c["start"])[-1]
        return [time - began for time in self.trace.times(lambda c: c["o__valid"]) if time > began]

    def check_times(self, expected: list[Expected]) -> None:
        """Every token of the layer started last came in time."""
        for time, of in zip(self.times(), expected, strict=True):
            assert of.soonest <= time - FIRST_TOKEN <= of.latest

    async def _serve(self) -> None:
        """The activation memory: `word` is taken from what was read before.

        What was there before a word is stored is not zero.
        """
        dut, layout = self.dut, layouts.activation_word(CONFIG)
        read = [BEFORE] * LANES
        while True:
            await RisingEdge(dut.clk)
            if int(dut.word_take.value):
                dut.word.value = int(layout.const(read).as_bits())
            if int(dut.word_enable.value):
                index = int(dut.word_index.value)
                read = self.memory[index]
                if int(dut.behind.value) and index >= int(dut.stored.value):
                    read = [BEFORE] * LANES

    async def store(self, speed: float, until: int = WORDS - 1) -> None:
        """Be behind, and store word after word, some of them in the same cycle, until all are."""
        numbers = random.Random(12)
        stored = 0
        drive(self.dut, behind=1, stored=0)
        while stored < until:
            await RisingEdge(self.dut.clk)
            if numbers.random() < speed:
                stored = min(until, stored + numbers.choice((1, 1, 1, 2, 5)))
                drive(self.dut, stored=stored)
        # Write-back goes on with another layer.
        await ClockCycles(self.dut.clk, numbers.randint(1, 9))
        drive(self.dut, behind=0, stored=numbers.randrange(WORDS))


async def begin(dut: Any, memory: list[Word], stalls: float = 0.0) -> Bench:
    drive(dut, start=0, word=0, patch=0, vectors=0, behind=0, stored=0, load__windows=0)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls, seed=2)
    await start(dut)
    bench = Bench(dut, Trace(dut, *SIGNALS), monitor, memory)
    cocotb.start_soon(bench._serve())
    return bench


async def check_cycles(bench: Bench, layer: Layer, cycles: Sequence[int]) -> None:
    """Feed a layer, whose tokens come in these cycles after the first word's turn."""
    await bench.check_layer(layer)
    assert bench.times() == [FIRST_TOKEN + cycle for cycle in cycles]


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], density=[0.0, 0.1, 0.5, 1.0])
async def agrees(dut: Any, stalls: float, density: float) -> None:
    """Layer after layer, partly in the padding; without stalls, in time."""
    bench = await begin(dut, random_memory(density, seed=3), stalls)
    numbers = random.Random(4)
    for times in (
        (1, 1, 1, 1, 1),
        (2, 2, 3, 2, 2),
        (1, 1, 6, 4, 1),
        (3, 3, 1, 1, 1),
        (1, 1, 1, 1, 7),
    ):
        count = numbers.randint(1, 5)
        patch = Patch(
            random_segments(numbers, count, far=3, words=2),
            numbers.randint(0, DEPTH - count),
            numbers.randint(3, 9),
            numbers.randint(3, 9),
        )
        begin_at = (
            numbers.randrange(WORDS * LANES),
            numbers.randint(-1, 3),
            numbers.randint(-1, 3),
        )
        loops = dataclasses.replace(random_loops(numbers, times, far=1), start=begin_at)
        expected = await bench.check_layer(Layer(loops, patch))
        if not stalls:
            bench.check_times(expected)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], density=[0.1, 0.9])
async def vectors_of_consecutive_words(dut: Any, stalls: float, density: float) -> None:
    """Fully connected layers."""
    bench = await begin(dut, random_memory(density, seed=5), stalls)
    for words, vectors in ((1, 1), (1, 5), (7, 1), (4, 3), (9, 2)):
        layer = Layer(once(vectors, words * LANES, slot=words * LANES), whole(words, 3 * words))
        expected = await bench.check_layer(layer)
        if not stalls:
            bench.check_times(expected)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], density=[0.1, 0.9], speed=[0.05, 0.5])
async def behind_write_back_reads_no_word_too_early(
    dut: Any, stalls: float, density: float, speed: float
) -> None:
    """Patches anywhere in memory, partly in the padding, and such that follow each other."""
    bench = await begin(dut, random_memory(density, seed=13), stalls)
    numbers = random.Random(14)
    patch = Patch(random_segments(numbers, 5, far=3, words=2), 1, 4, 4)
    scattered = dataclasses.replace(random_loops(numbers, (2, 2, 2, 1, 2), far=1), start=(7, 0, 0))
    for layer in (Layer(once(6, 3 * LANES), whole(3)), Layer(scattered, patch)):
        storing = cocotb.start_soon(bench.store(speed))
        await bench.check_layer(layer)
        await storing
        # Now nothing is in the way, and no trace is left of what was.
        expected = await bench.check_layer(layer)
        if not stalls:
            bench.check_times(expected)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(speed=[0.1, 0.3, 0.7, 1.0])
async def each_word_is_read_as_soon_as_it_is_stored(dut: Any, speed: float) -> None:
    """Of one non-zero each: their tokens tell when that was. Some wait for those before only."""
    memory = [[int(lane == word % LANES) for lane in range(LANES)] for word in range(WORDS)]
    bench = await begin(dut, memory)
    layer = Layer(once(4, 5 * LANES, slot=2 * LANES), whole(5))
    storing = cocotb.start_soon(bench.store(speed))
    await bench.check_layer(layer)
    await storing
    began = bench.trace.times(lambda c: c["start"])[-1]
    read = began + FIRST_TOKEN - WORD - 1
    expected = []
    for word in range(2, 2 + 4 * 5):
        may_be_read = (
            time
            for time, (before, cycle) in enumerate(itertools.pairwise(bench.trace.cycles), 1)
            if time > read and (not cycle["behind"] or before["stored"] > word)
        )
        read = next(may_be_read)
        expected.append(read + WORD - began)
    assert bench.times() == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def padding_does_not_wait_for_what_is_not_stored(dut: Any) -> None:
    bench = await begin(dut, [[1] * LANES] * WORDS)
    drive(dut, behind=1, stored=0)
    padding = Layer(once(4, LANES, slot=9), Patch([segment_of(dy=1)] * 3, height=1))
    await check_cycles(bench, padding, [2, 5, 8, 11])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def first_token_soon_after_the_start_then_one_per_cycle(dut: Any) -> None:
    bench = await begin(dut, [[1] * LANES] * WORDS)
    await check_cycles(bench, Layer(once(2, 3 * LANES), whole(3)), range(6 * LANES))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_word_of_zeros_costs_a_cycle_at_most(dut: Any) -> None:
    memory = [[0] * LANES] * WORDS
    memory[10] = [*[0] * (LANES - 1), -1]
    bench = await begin(dut, memory)
    await check_cycles(bench, Layer(once(), whole(11)), [10])
    # While a word's activations are sent one by one, there is time for as many.
    bench.memory[:] = [[int(word % LANES == 0)] * LANES for word in range(WORDS)]
    await check_cycles(bench, Layer(once(), whole(4 * LANES + 1)), range(5 * LANES))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def segments_follow_without_a_bubble(dut: Any) -> None:
    """Of one activation in any lane, over the end of a word, of several words."""
    bench = await begin(dut, [[1] * LANES] * WORDS)
    singles = [segment_of(word=5 - n, lane=n % LANES, column=n) for n in range(6)]
    await check_cycles(bench, Layer(once(3), Patch(singles)), range(3 * 6))
    over = [segment_of(word=n, lane=LANES - 1, words=n, lanes=LANES - 1) for n in range(3)]
    layer = Layer(along(4, (1, 0, 0), (1, 0, 0)), Patch(over))
    await check_cycles(bench, layer, range(4 * (1 + 2 + 3) * LANES))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_segment_in_the_padding_costs_a_cycle_at_most(dut: Any) -> None:
    bench = await begin(dut, [[1] * LANES] * WORDS)
    padding, word = segment_of(dy=1), segment_of(lanes=LANES - 1)
    alone = Layer(once(), Patch([*[padding] * 5, word], height=1))
    await check_cycles(bench, alone, range(5, 5 + LANES))
    # While a word's activations are sent one by one, there is time for as many.
    beside = [word, *[padding] * (LANES - 1)]
    await check_cycles(bench, Layer(once(), Patch([*beside * 4, word], height=1)), range(5 * LANES))
    markers = Layer(once(4), Patch([padding] * 3, height=1))
    await check_cycles(bench, markers, [2, 5, 8, 11])


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def patches_that_end_in_zeros_or_padding_end_with_a_mere_marker(
    dut: Any, stalls: float
) -> None:
    zero, one = [0] * LANES, [1] * LANES
    memory = [zero, zero, one, zero, zero, zero, zero, one, *[one] * (WORDS - 8)]
    bench = await begin(dut, memory, stalls)
    expected = await bench.check_layer(Layer(once(4, 2 * LANES), whole(2)))
    assert [of.token["null"] for of in expected if of.token["last"]] == [1, 1, 1, 0]
    segments = [segment_of(word=8), segment_of(1, 0, word=9, lanes=LANES - 1)]
    above = Layer(along(3, (0, -2, 0), (0, 1, 0)), Patch(segments, height=1))
    expected = await bench.check_layer(above)
    assert [(of.token["null"], of.token["last"]) for of in expected] == [
        (1, 1),
        *[(0, 0)] * (LANES - 1),
        (0, 1),
        (0, 0),
        (1, 1),
    ]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_no_activation_beside_a_segment(dut: Any) -> None:
    """From every lane on, of every length up to three words, in a memory without zeros."""
    bench = await begin(dut, random_memory(1.0, seed=6))
    for lane in range(LANES):
        segments = [
            segment_of(word=2, lane=lane, words=words, lanes=lanes, column=7)
            for words in range(2)
            for lanes in range(LANES)
        ]
        await bench.check_layer(Layer(once(), Patch(segments[:DEPTH])))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_may_start_once_the_last_token_is_taken(dut: Any) -> None:
    """Known in the next cycle, it starts in the one after that."""
    bench = await begin(dut, random_memory(0.5, seed=7))
    numbers = random.Random(8)
    patch = Patch(random_segments(numbers, 4, far=4, words=1), 1, 3, 3)
    await bench.load_table(patch)
    expected = []
    layers = [
        Layer(random_loops(numbers, times, far=2), patch)
        for times in ((1, 1, 1, 1, 1), (1, 1, 3, 2, 1), (1, 1, 1, 1, 2), (2, 2, 1, 1, 1))
    ]
    bench.announce(layers[0])
    await RisingEdge(dut.clk)
    for layer, then in zip(layers, [*layers[1:], layers[0]], strict=True):
        tokens = reference(bench.memory, layer)
        await bench.start_layer(layer)
        for left in reversed(range(len(tokens))):
            if not left:
                bench.announce(then)
            await wait_until(dut.clk, lambda: int(dut.o__valid.value) and int(dut.o__ready.value))
        expected += [of.token for of in tokens]
    received = [fields_of(TOKEN, bits) for bits in await bench.monitor.receive(len(expected))]
    assert [significant(token) for token in received] == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_vector_leaves_nothing(dut: Any) -> None:
    bench = await begin(dut, random_memory(0.6, seed=9))
    numbers = random.Random(10)
    for delay in range(12):
        patch = Patch(random_segments(numbers, 4, far=3, words=1), delay, 3, 3)
        await bench.load_table(patch)
        layer = Layer(random_loops(numbers, (2, 2, 2, 1, 1), far=1), patch)
        bench.announce(layer)
        await RisingEdge(dut.clk)
        await bench.start_layer(layer)
        await ClockCycles(dut.clk, 1 + delay)
        drive(dut, rst=1)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        bench.monitor.payloads.clear()
        await bench.monitor.silent(5)
        assert int(dut.word_enable.value)
        assert int(dut.word_take.value)
        patch = Patch(random_segments(numbers, 2, far=3, words=2), delay, 3, 3)
        await bench.check_layer(Layer(random_loops(numbers, (1, 1, 2, 2, 1), far=1), patch))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ends_at_the_last_places_of_memory_and_columns(dut: Any) -> None:
    bench = await begin(dut, random_memory(1.0, seed=11))
    words = min(CONFIG.activation_depth, CONFIG.column_depth // LANES)
    slot = (CONFIG.activation_depth - words) * LANES
    patch = dataclasses.replace(
        whole(words, CONFIG.column_depth - words * LANES), base=CONFIG.segment_depth - 1
    )
    await bench.check_layer(Layer(once(slot=slot), patch))
