"""A group in the cycle model: its feeder, and behind that the elements with their queues."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque

import numpy as np
from numpy.typing import NDArray

from sw.image import Image

from .feed import Feed, Ints
from .walk import pointers

__all__ = ["Elements", "Group", "Work", "feeding", "work_of"]

# Cycles from one place of the engine to another, as in `sim.cycles`.
_SEGMENT_LAID = 1  # from the layer's start, when the first segment could leave its table
_TOKEN_TAKEN = 4  # from a token's hand-over until an element may take its column
_TOKEN_COUNTED = 5  # until it is among those that a queue holds
_READ_COUNTED = 2  # from the taking of a column until the feeder sees its place free


@dataclasses.dataclass(frozen=True)
class Work:
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


def work_of(image: Image, feed: Feed, group: int, gates: Ints) -> Work:
    """The work of a group, of whose words each may be read from a cycle of `gates` on."""
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
    return Work(feed, sent, slots, last, gates)


class Elements:
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


class Group:
    """A group's feeder before its elements.

    Attributes
    ----------
    elements : Elements
    blocked : cycles in which a token had to wait
    """

    def __init__(self, work: Work, elements: Elements) -> None:
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
        released : see `Elements.hand_over`
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


def feeding(work: Work) -> int:
    """Cycles until a feeder has sent all its tokens, if the elements have always room."""
    reader = _Reader()
    word = sent = 0
    for skipped, _, tokens, _ in work.words():
        found = reader.find(skipped, 0, word)
        if tokens:
            word = max(found + 1, sent)
            sent = word + tokens
    return sent + 1
