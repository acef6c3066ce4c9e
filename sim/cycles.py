"""The cycle model: how many clock cycles a run takes, and what bounds it, from the image's bits.

No clock ticks here: it says for every word, token and column when it moves on, from when those
before it did. What stands in its way is what does so in the RTL, so the counters are met exactly.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from sw.driver import LayerCounts
from sw.image import Image

from .feed import Feed, Fields, Ints
from .walk import Step, pointers, steps

__all__ = ["QUEUE_RESERVE", "LayerPrediction", "Prediction", "predict"]

# Cycles from one place of the engine to another; `hw` says the same in its docstrings.
_SEGMENT_LAID = 1  # from the layer's start, when the first segment could leave its table
_TOKEN_TAKEN = 4  # from a token's hand-over until an element may take its column
_TOKEN_COUNTED = 5  # until it is among those that a queue holds
_READ_COUNTED = 2  # from the taking of a column until the feeder sees its place free
_FULL = 8  # from an element's last entry until write-back may drain its buffer
_RELEASED_EARLY = 4  # rows that are still to be drained when a buffer is released
_RELEASED = 2  # from the release of a buffer until elements may fill it
_FED = 2  # from the drain of a layer's last position until the next layer's start
_STORED = 7  # from the drain of a row until its word is stored, but for the sum of the groups
_POOLED = 5
_READABLE = 2  # from the store of a word until the next layer's feeders may read it
_DONE = 1  # from the store of a layer's last word until it is said to be the last
_NEXT = 1  # until write-back may drain the next layer, and its feeders need not ask any more
QUEUE_RESERVE = 5  # places of a queue that are kept for what is on its way
_STARTED = 2  # from the host's start to that of the first layer


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


def predict(image: Image, x: NDArray[np.integer], *, buffers: int = 2) -> Prediction:
    """Clock cycles of one run of integer inputs (vectors, inputs), `Image.vectors` at most.

    Parameters
    ----------
    buffers : accumulator buffers of an element; the engine has two
    """
    layers: list[LayerPrediction] = []
    cycles = _STARTED
    before = _Before.nothing(buffers)
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
    def nothing(buffers: int) -> _Before:
        return _Before((0,) * buffers, False, 0, np.zeros(0, np.int64), np.zeros(0, np.int64))

    def gates(self, address: Ints) -> Ints:
        """From when on each of these words may be read."""
        place = np.searchsorted(self.index, address, side="right")
        gates = np.append(self.readable, self.drained)[place]
        return np.asarray(np.where(address < 0, 0, gates), np.int64)


@dataclasses.dataclass(frozen=True)
class _Work:
    """What a group does in an instruction.

    Attributes
    ----------
    feed : Feed
    sent : (words,) int64
        Tokens of each word, those that are but a marker included.
    slots : (tokens, lanes) int64
        Cycles that each element has to do with each token.
    last : (words,) bool
        Whether a word is the last of its position.
    gates : (words,) int64
        From when on each may be read.
    """

    feed: Feed
    sent: Ints
    slots: Ints
    last: NDArray[np.bool_]
    gates: Ints

    def words(self) -> list[tuple[int, int, int, bool]]:
        """Of each word: what `_Reader.find` wants to know, tokens, whether it is the last."""
        skipped = np.where(self.feed.opens, self.feed.skipped, -1)
        return list(
            zip(
                *(each.tolist() for each in (skipped, self.gates, self.sent, self.last)),
                strict=True,
            )
        )


def _work(image: Image, feed: Feed, group: int, before: _Before) -> _Work:
    last = np.diff(feed.position, append=-1) != 0
    nonzeros = np.bincount(feed.word, minlength=len(last))
    null = last & (nonzeros == 0)
    sent = nonzeros + null
    lanes = image.config.lanes
    slots = np.zeros((sent.sum(), lanes), np.int64)
    # Where each non-zero is among the tokens.
    token = np.arange(len(feed.word)) + np.cumsum(null)[feed.word]
    for lane in range(lanes):
        slots[token, lane] = pointers(image, group * lanes + lane, feed.column)[1]
    marker = np.cumsum(sent)[last] - 1
    slots[marker] = np.maximum(slots[marker], 1)
    return _Work(feed, sent, slots, last, before.gates(feed.address))


def _layer(image: Image, step: Step, before: _Before) -> tuple[LayerPrediction, _Before]:
    config, store = image.config, step.instruction["store"]
    works = [_work(image, feed, group, before) for group, feed in enumerate(step.feeds)]
    groups = [
        _Group(work, _Elements(work.slots, config.queue_depth - QUEUE_RESERVE)) for work in works
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
        feeding=max(_feeding(work) for work in works),
        working=max(int(work.slots.sum(axis=0).max()) for work in works),
        draining=step.positions * store["rows"],
    )
    return prediction, after


def _feeding(work: _Work) -> int:
    """Cycles until a feeder has sent all its tokens, if the elements have always room."""
    reader = _Reader()
    word = sent = 0
    for skipped, _, tokens, _ in work.words():
        found = reader.find(skipped, 0, word)
        if tokens:
            word = max(found + 1, sent)
            sent = word + tokens
    return sent + 1


def _run(
    config: AcceleratorConfig, step: Step, groups: Sequence[_Group], before: _Before
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


class _Elements:
    """The elements of a group: when they take columns, and when the feeder must wait for them.

    Attributes
    ----------
    free : per lane, the cycle after the last entry that it has so far
    stalled : cycles, of all of them
    """

    def __init__(self, slots: Ints, room: int) -> None:
        """
        Parameters
        ----------
        slots : (tokens, lanes) int64
            Cycles that each element has to do with each token; it takes no column that has none.
        room : columns in a queue with which the feeder goes on
        """
        token, lane = np.nonzero(slots)
        self._widths = iter(np.bincount(token, minlength=len(slots)).tolist())
        self._columns = iter(list(zip(lane.tolist(), slots[token, lane].tolist(), strict=True)))
        self._taken = [deque([0] * (room + 1), room + 1) for _ in range(slots.shape[1])]
        self._coming: deque[tuple[int, int]] = deque()  # tokens that no queue counts yet
        self._gate = 0
        self.free = [0] * slots.shape[1]
        self.stalled = 0

    def hand_over(self, cycle: int, released: int) -> int:
        """The first cycle from `cycle` on in which all queues have room, and take the next token.

        Parameters
        ----------
        released : cycle from which on accumulators may be filled
        """
        coming = self._coming
        while True:
            while coming and coming[0][0] + _TOKEN_COUNTED <= cycle:
                self._gate = max(self._gate, coming.popleft()[1])
            if cycle >= self._gate:
                break
            cycle = min(self._gate, coming[0][0] + _TOKEN_COUNTED) if coming else self._gate
        coming.append((cycle, self._take(cycle + _TOKEN_TAKEN, released)))
        return cycle

    def _take(self, arrival: int, released: int) -> int:
        """Takes the next token's columns; returns when the queues, with these in, have room."""
        gate, free = 0, self.free
        for lane, slots in itertools.islice(self._columns, next(self._widths)):
            start = max(arrival, free[lane])
            if start < released:
                self.stalled += released - start
                start = released
            free[lane] = start + slots
            taken = self._taken[lane]
            taken.append(start)
            gate = max(gate, taken[0])
        return gate + _READ_COUNTED


class _Reader:
    """When the words of a group are known to hold non-zeros or none."""

    def __init__(self) -> None:
        # When the last segment was laid, and its words and those of the one before began to be
        # read; when the last word was read, was loaded, and its non-zeros were found, and those of
        # the one before it.
        self._laid, self._opened, self._opened_before = _SEGMENT_LAID, 0, 0
        self._read = self._loaded = self._found = self._found_before = 0

    def find(self, skipped: int, gate: int, sender: int) -> int:
        """When the next word's non-zeros are found.

        Parameters
        ----------
        skipped : segments in the padding before the word, if it is the first of its segment; else a
            negative number
        gate : from when on it may be read
        sender : when the last word with tokens went on to be sent
        """
        if skipped >= 0:
            # Two segments may wait.
            self._laid = max(self._laid, self._opened_before) + 1 + skipped
            self._opened_before = self._opened
            self._opened = max(self._laid + 1, self._read)
            self._read = max(self._opened + 1, self._loaded, gate)
        else:
            self._read = max(self._loaded, gate)
        # One may wait between the two.
        self._loaded = max(self._read + 1, self._found_before + 1)
        self._found_before = self._found
        self._found = max(self._loaded + 1, self._found_before + 1, sender)
        return self._found


class _Group:
    """A group's feeder before its elements.

    Attributes
    ----------
    elements : _Elements
    blocked : cycles in which a token had to wait
    """

    def __init__(self, work: _Work, elements: _Elements) -> None:
        self._words = iter(work.words())
        self._reader = _Reader()
        # When the last word and its last token went on to be sent, and when that was taken.
        self._word = self._sent = self._passed = 0
        self.elements = elements
        self.blocked = 0

    def advance(self, released: int) -> int:
        """Feed the next position; returns the cycle after the last entry of it.

        Parameters
        ----------
        released : see `_Elements.hand_over`
        """
        sent, passed = self._sent, self._passed
        for skipped, gate, tokens, last in self._words:
            found = self._reader.find(skipped, gate, self._word)
            if tokens:
                self._word = max(found + 1, sent)
                sent = self._word + 1
            for _ in range(tokens):
                sent = max(sent, passed)
                passed = self.elements.hand_over(sent + 1, released)
                self.blocked += passed - sent - 1
            if last:
                break
        self._sent, self._passed = sent, passed
        return max(self.elements.free)
