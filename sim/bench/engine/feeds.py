"""What a feeder must send: a reference, and layers to try it with."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from hw import layouts
from sim.bench.blocks import configuration
from sim.bench.engine.positions import LEVELS, WORDS, Loops, Place, places, position_of
from sim.bench.engine.segments import Patch, segment_of, slots

CONFIG = configuration()
LANES = CONFIG.lanes
TOKEN = layouts.token(CONFIG)
COLUMNS = 1 << TOKEN["column"].width

Word = list[int]
Fields = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """What a feeder is given of a layer."""

    loops: Loops
    patch: Patch

    @property
    def fields(self) -> Fields:
        return {"walk": self.loops.walk, **self.patch.fields}


@dataclasses.dataclass(frozen=True)
class Expected:
    """A token, and between which cycles it comes when nothing stalls.

    Attributes
    ----------
    soonest, latest : int
        Cycles after the first token of a layer that begins with one. They differ by the words of
        zeros and the segments in the padding so far: each takes a cycle, or none beside other work.
    """

    token: Fields
    soonest: int
    latest: int


def words_of(memory: list[Word], segment: Fields, slot: int) -> list[list[Fields]]:
    """The tokens of each word of a segment that begins at a slot."""
    length = segment["words"] * LANES + segment["lanes"] + 1
    words: list[list[Fields]] = []
    for number in range(length):
        word, lane = divmod(slot + number, LANES)
        if not words or not lane:
            words.append([])
        if activation := memory[word % WORDS][lane]:
            column = (segment["column"] + number) % COLUMNS
            words[-1].append({"column": column, "activation": activation, "null": 0, "last": 0})
    return words


def reference(memory: list[Word], layer: Layer) -> list[Expected]:
    """Every token of a layer: patch after patch, segment after segment, word after word."""
    tokens: list[Expected] = []
    time = passed = 0
    for place in places(layer.loops):
        position = position_of(place)
        for number, segment in enumerate(layer.patch.segments):
            last = number == len(layer.patch.segments) - 1
            words: list[list[Fields]] = [[]] if last else []
            if layer.patch.holds(segment, position):
                words = words_of(memory, segment, slots(position) + slots(segment))
            if last:
                *others, final = words[-1] or [{"null": 1}]
                words[-1] = [*others, {**final, "last": 1}]
            passed += not words
            for word in words:
                tokens += [
                    Expected(token, time + n, time + n + passed) for n, token in enumerate(word)
                ]
                time += len(word)
                passed += not word
    return tokens


def significant(token: Fields) -> Fields:
    """A token without what has no meaning in a mere marker."""
    return {"null": 1, "last": token["last"]} if token["null"] else token


def random_memory(density: float, seed: int) -> list[Word]:
    """Extremes, and numbers of one bit each, all of which must count as non-zero."""
    numbers = random.Random(seed)
    high = (1 << CONFIG.activation_bits - 1) - 1
    values = [-high - 1, high, -1, *(1 << bit for bit in range(CONFIG.activation_bits - 1))]
    return [
        [numbers.choice(values) if numbers.random() < density else 0 for _ in range(LANES)]
        for _ in range(WORDS)
    ]


def once(times: int = 1, stride: int = 0, slot: int = 0) -> Loops:
    """Vectors that begin `stride` slots apart, each of one patch."""
    still = [(0, 0, 0)] * (LEVELS - 1)
    return Loops((slot, 0, 0), (*[1] * (LEVELS - 1), times), (*still, (stride, 0, 0)))


def along(times: int, start: Place, stride: Place) -> Loops:
    """One vector with positions in a row."""
    still = [(0, 0, 0)] * (LEVELS - 1)
    return Loops(start, (times, *[1] * (LEVELS - 1)), (stride, *still))


def whole(words: int, column: int = 0) -> Patch:
    """A patch of words that follow each other, as fully connected layers have."""
    return Patch([segment_of(words=words - 1, lanes=LANES - 1, column=column)])
