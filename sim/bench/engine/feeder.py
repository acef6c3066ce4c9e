"""Bench of `hw.engine.feeder.Feeder`."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from sim.bench.blocks import Trace, configuration, drive, fields_of, wait_until
from sim.bench.streams import StreamMonitor, start

CONFIG = configuration()
LANES = CONFIG.lanes
TOKEN = layouts.token(CONFIG)
SIGNALS = ("start", "o__valid")

Word = list[int]
Fields = dict[str, Any]


def reference(words: list[Word], in_words: int, column_base: int) -> list[tuple[int, Fields]]:
    """Each token of vectors of `in_words` words, with its cycle when nothing stalls.

    Cycles are counted from that of the first word's first token.
    """
    tokens, time = [], 0
    for number, word in enumerate(words):
        place = number % in_words
        end_of_vector = place == in_words - 1
        lanes = [lane for lane in range(LANES) if word[lane]]
        for step, lane in enumerate(lanes):
            token = {"column": column_base + place * LANES + lane, "activation": word[lane]}
            marker = end_of_vector and lane == lanes[-1]
            tokens.append((time + step, {**token, "null": 0, "last": int(marker)}))
        if not lanes and end_of_vector:
            tokens.append((time, {"null": 1, "last": 1}))
        time += max(1, len(lanes))
    return tokens


def significant(token: Fields) -> Fields:
    """A token without what has no meaning in a mere marker."""
    return {"null": 1, "last": token["last"]} if token["null"] else token


def random_words(count: int, density: float, seed: int) -> list[Word]:
    numbers = random.Random(seed)
    high = (1 << CONFIG.activation_bits - 1) - 1
    # Extremes, and numbers of one bit each, all of which must count as non-zero.
    values = [-high - 1, high, -1, *(1 << bit for bit in range(CONFIG.activation_bits - 1))]
    return [
        [numbers.choice(values) if numbers.random() < density else 0 for _ in range(LANES)]
        for _ in range(count)
    ]


class WordMemory:
    """The activation memory: the word at `word_index` one enabled cycle ago.

    What lies around `words` is not zero, and must not be seen.
    """

    def __init__(self, dut: Any) -> None:
        self.base = 0
        self.words: list[Word] = []
        cocotb.start_soon(self._serve(dut))

    async def _serve(self, dut: Any) -> None:
        layout = layouts.activation_word(CONFIG)
        while True:
            await RisingEdge(dut.clk)
            if int(dut.word_enable.value):
                place = int(dut.word_index.value) - self.base
                known = 0 <= place < len(self.words)
                word = self.words[place] if known else [-1] * LANES
                dut.word.value = int(layout.const(word).as_bits())


@dataclasses.dataclass
class Bench:
    """A feeder with what surrounds it."""

    dut: Any
    memory: WordMemory
    trace: Trace
    monitor: StreamMonitor

    async def start_layer(
        self, words: list[Word], in_words: int, in_base: int = 3, column_base: int = 5
    ) -> None:
        """Start a layer; returns in the cycle after `start`."""
        self.memory.base, self.memory.words = in_base, words
        drive(self.dut, in_base=in_base, in_words=in_words, column_base=column_base)
        drive(self.dut, vectors=len(words) // in_words, start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=0)

    async def check_layer(
        self, words: list[Word], in_words: int, in_base: int = 3, column_base: int = 5
    ) -> list[tuple[int, Fields]]:
        """Feed vectors and compare the tokens; returns what was expected."""
        expected = reference(words, in_words, column_base)
        await self.start_layer(words, in_words, in_base, column_base)
        tokens = [fields_of(TOKEN, bits) for bits in await self.monitor.receive(len(expected))]
        assert [significant(token) for token in tokens] == [token for _, token in expected]
        return expected


async def begin(dut: Any, stalls: float = 0.0) -> Bench:
    drive(dut, start=0, word=0)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls, seed=2)
    await start(dut)
    return Bench(dut, WordMemory(dut), Trace(dut, *SIGNALS), monitor)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], density=[0.0, 0.1, 0.5, 1.0])
async def agrees(dut: Any, stalls: float, density: float) -> None:
    """Layer after layer; without stalls every token also comes in its cycle."""
    bench = await begin(dut, stalls)
    for in_words, vectors in ((1, 1), (1, 5), (7, 1), (4, 3), (9, 2)):
        words = random_words(in_words * vectors, density, seed=in_words)
        expected = await bench.check_layer(words, in_words, in_words, 3 * in_words)
        if not stalls:
            began = bench.trace.times(lambda c: c["start"])[-1]
            came = [time for time in bench.trace.times(lambda c: c["o__valid"]) if time > began]
            assert came == [began + 5 + time for time, _ in expected]
        await bench.monitor.silent(10)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def first_token_five_cycles_after_start_then_one_per_cycle(dut: Any) -> None:
    bench = await begin(dut)
    await bench.check_layer([[1] * LANES] * 6, in_words=3)
    (began,) = bench.trace.times(lambda c: c["start"])
    came = bench.trace.times(lambda c: c["o__valid"])
    assert came == list(range(began + 5, began + 5 + 6 * LANES))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_word_of_zeros_passes_in_one_cycle(dut: Any) -> None:
    bench = await begin(dut)
    await bench.check_layer([[0] * LANES] * 10 + [[0] * (LANES - 1) + [-1]], in_words=11)
    (began,) = bench.trace.times(lambda c: c["start"])
    assert bench.trace.times(lambda c: c["o__valid"]) == [began + 5 + 10]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5])
async def vectors_of_zeros_are_mere_markers(dut: Any, stalls: float) -> None:
    bench = await begin(dut, stalls)
    zero, one = [0] * LANES, [1] * LANES
    words = [zero, zero, one, zero, zero, zero, zero, one]
    expected = await bench.check_layer(words, in_words=2)
    assert [token["null"] for _, token in expected if token["last"]] == [1, 1, 1, 0]
    await bench.monitor.silent(20)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_layer_may_start_once_the_last_token_is_taken(dut: Any) -> None:
    bench = await begin(dut)
    expected = []
    for seed in range(4):
        words = random_words(3, 0.8, seed)
        tokens = reference(words, 3, 5)
        await bench.start_layer(words, 3)
        for _ in tokens:
            await wait_until(dut.clk, lambda: int(dut.o__valid.value) and int(dut.o__ready.value))
        expected += [token for _, token in tokens]
    received = [fields_of(TOKEN, bits) for bits in await bench.monitor.receive(len(expected))]
    assert [significant(token) for token in received] == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_vector_leaves_nothing(dut: Any) -> None:
    bench = await begin(dut)
    for delay in range(8):
        await bench.start_layer(random_words(8, 0.7, delay), in_words=4)
        await ClockCycles(dut.clk, 1 + delay)
        drive(dut, rst=1)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        bench.monitor.payloads.clear()
        await bench.check_layer(random_words(8, 0.4, delay + 10), in_words=4)
        await bench.monitor.silent(10)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ends_at_the_last_places_of_memory_and_columns(dut: Any) -> None:
    bench = await begin(dut)
    in_words = min(CONFIG.activation_depth, CONFIG.column_depth // LANES)
    in_base = CONFIG.activation_depth - in_words
    column_base = CONFIG.column_depth - in_words * LANES
    await bench.check_layer(random_words(in_words, 1.0, 1), in_words, in_base, column_base)
    await bench.monitor.silent(10)
