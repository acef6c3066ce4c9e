"""The cycle model: how many clock cycles a run takes, and what bounds it, from the image's bits.

No clock ticks here: it says for every word, token and column when it moves on, from when those
before it did. What stands in its way is what does so in the RTL, so the counters are met exactly.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import QUEUE_RESERVE, AcceleratorConfig
from sw.driver import LayerCounts
from sw.image import Image

from .feed import Fields, Ints
from .groups import Elements, Group, feeding, work_of
from .walk import Step, steps

__all__ = ["LayerPrediction", "Prediction", "predict"]

# Cycles from one place of the engine to another; `hw` says the same in its docstrings.
_FULL = 8  # from an element's last entry until write-back may drain its buffer
_RELEASED_EARLY = 4  # rows that are still to be drained when a buffer is released
_RELEASED = 2  # from the release of a buffer until elements may fill it
_FED = 2  # from the drain of a layer's last position until the next layer's start
_STORED = 7  # from the drain of a row until its word is stored, but for the sum of the groups
_POOLED = 5
_READABLE = 2  # from the store of a word until the next layer's feeders may read it
_DONE = 1  # from the store of a layer's last word until it is said to be the last
_NEXT = 1  # until write-back may drain the next layer, and its feeders need not ask any more
_STARTED = 2  # from the host's start to that of the first layer

_BUFFERS = 2  # of accumulators in an element


@dataclasses.dataclass(frozen=True)
class LayerPrediction:
    """What a layer takes in one run.

    Attributes
    ----------
    counts : LayerCounts
        As the engine's counters have it.
    feeding : int
        Cycles that the slowest feeder would need by itself.
    working : int
        Cycles that the busiest element would need by itself.
    draining : int
        Cycles that write-back would need by itself.
    """

    counts: LayerCounts
    feeding: int
    working: int
    draining: int

    @property
    def bound(self) -> str:
        """Which of the three is the greatest."""
        return max(("feeding", "working", "draining"), key=lambda name: getattr(self, name))

    def __add__(self, other: LayerPrediction) -> LayerPrediction:
        counts = _added(self.counts, other.counts)
        return LayerPrediction(
            counts,
            self.feeding + other.feeding,
            self.working + other.working,
            self.draining + other.draining,
        )


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a run takes.

    Attributes
    ----------
    layers : of every layer
    cycles : int
        As the register of that name has it.
    """

    layers: tuple[LayerPrediction, ...]
    cycles: int


def predict(image: Image, x: NDArray[np.integer]) -> Prediction:
    """Clock cycles of one run of integer inputs (vectors, inputs), `Image.vectors` at most."""
    layers: list[LayerPrediction] = []
    cycles = _STARTED
    before = _Before.nothing()
    for step in steps(image, x):
        layer, before = _layer(image, step, before)
        cycles += layer.counts.cycles
        if step.layer < len(layers):  # more rows of the same layer
            layer = layers.pop() + layer
        layers.append(layer)
    return Prediction(tuple(layers), cycles)


def _added(a: LayerCounts, b: LayerCounts) -> LayerCounts:
    pairs = zip(dataclasses.astuple(a), dataclasses.astuple(b), strict=True)
    return LayerCounts(*(one + other for one, other in pairs))


@dataclasses.dataclass(frozen=True)
class _Before:
    """What the instruction before leaves to be done, in cycles from the next one's start.

    Attributes
    ----------
    free : from when on elements may fill each accumulator buffer, the one that is next first
    joined : whether its vectors took all buffers
    drained : from when on write-back may drain
    index : (n,) int64
        Places that write-back comes to, in ascending order.
    readable : (n,) int64
        From when on the words before each may be read.
    """

    free: tuple[int, ...]
    joined: bool
    drained: int
    index: Ints
    readable: Ints

    @staticmethod
    def nothing() -> _Before:
        return _Before((0,) * _BUFFERS, False, 0, np.zeros(0, np.int64), np.zeros(0, np.int64))

    def gates(self, address: Ints) -> Ints:
        """From when on each of these words may be read."""
        place = np.searchsorted(self.index, address, side="right")
        gates = np.append(self.readable, self.drained)[place]
        return np.asarray(np.where(address < 0, 0, gates), np.int64)


def _layer(image: Image, step: Step, before: _Before) -> tuple[LayerPrediction, _Before]:
    config, store = image.config, step.instruction["store"]
    works = [
        work_of(image, feed, group, before.gates(feed.address))
        for group, feed in enumerate(step.feeds)
    ]
    groups = [
        Group(work, Elements(work.slots, config.queue_depth - QUEUE_RESERVE)) for work in works
    ]
    cycles, after = _run(config, step, groups, before)
    busy = int(step.walk.entries.sum())
    stalled = sum(group.elements.stalled for group in groups)
    counts = LayerCounts(
        cycles=cycles,
        activations=int(step.walk.tokens.sum()),
        blocked=sum(group.blocked for group in groups),
        busy=busy,
        stalled=stalled,
        starved=cycles * config.elements - busy - stalled,
    )
    prediction = LayerPrediction(
        counts,
        feeding=max(feeding(work) for work in works),
        working=max(int(work.slots.sum(axis=0).max()) for work in works),
        draining=step.positions * store["rows"],
    )
    return prediction, after


def _run(
    config: AcceleratorConfig, step: Step, groups: Sequence[Group], before: _Before
) -> tuple[int, _Before]:
    """Cycles of an instruction, and what it leaves to the next."""
    store = step.instruction["store"]
    drained, rows = before.drained, store["rows"]
    free = deque(before.free, len(before.free))
    firsts = np.zeros(step.positions, np.int64)
    for position in range(step.positions):
        alone = store["joined"] or (before.joined and position == 0)
        released = max(free) if alone else free[0]
        full = _FULL + max(group.advance(released) for group in groups)
        firsts[position] = first = max(full, drained)
        drained = first + rows
        free.append(first + max(0, rows - 1 - _RELEASED_EARLY) + _RELEASED)
    latency = (config.groups - 1).bit_length() + _STORED + (_POOLED if store["window"] else 0)
    done = drained - 1 + latency + _DONE
    if step.instruction["last"]:
        return done, before
    cycles = int(firsts[-1]) + _FED
    index, readable = _storing(config, store, firsts)
    return cycles, _Before(
        free=tuple(time - cycles for time in free),
        joined=bool(store["joined"]),
        drained=done + _NEXT - cycles,
        index=index,
        readable=readable + latency + _READABLE - cycles,
    )


def _storing(config: AcceleratorConfig, store: Fields, firsts: Ints) -> tuple[Ints, Ints]:
    """Places that write-back comes to, and in which cycle it has drained what is before them.

    Parameters
    ----------
    firsts : (positions,)
        When it drains the first row of each.
    """
    words = store["rows"] // config.groups
    pixels = firsts[store["window"] :: store["window"] + 1]
    word = np.arange(words)
    index = store["base"] + np.arange(len(pixels))[:, None] * (words + store["gap"]) + word + 1
    index[:, -1] += store["gap"]
    index %= 1 << layouts.position(config)["word"].width
    drained = pixels[:, None] + (word + 1) * config.groups - 1
    index, drained = (
        np.insert(each.ravel(), 0, first)
        for each, first in ((index, store["base"]), (drained, -(1 << 40)))
    )
    rising = np.append(True, np.diff(index) > 0)  # the last may wrap around
    return index[rising], drained[rising]
