"""What the feeders do with an instruction: which words they read, and which non-zeros are in them.

From the packed bits alone, as everything in `sim.walk`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.regmap import Window
from sw.image import Image

__all__ = ["Feed", "Fields", "Ints", "feed", "number_of", "positions_of"]

Ints = NDArray[np.int64]
Fields = dict[Any, Any]


@dataclasses.dataclass(frozen=True)
class Feed:
    """The words that one group's feeder reads, in order, and the non-zeros that it finds in them.

    Attributes
    ----------
    position : (words,) int64
        For which each word is read.
    opens : (words,) bool
        Whether it is the first of a segment.
    skipped : (words,) int64
        Segments in the padding that are left out before it.
    address : (words,) int64
        Where each is read; -1 for a segment in the padding, of which nothing is read.
    word, column, activation : (tokens,) int64
        Of each non-zero: place of its word among those read, place of its pointers, value.
    """

    position: Ints
    opens: NDArray[np.bool_]
    skipped: Ints
    address: Ints
    word: Ints
    column: Ints
    activation: Ints


def number_of(parts: NDArray[np.uint32]) -> int:
    """An item of several bus words."""
    return sum(int(part) << (layouts.BUS_BITS * place) for place, part in enumerate(parts))


def positions_of(walk: Fields, vectors: int) -> dict[str, Ints]:
    """Where each patch begins, in order: (positions,) for every field of `hw.layouts.position`.

    Sums do not wrap around here.
    """
    # Passes through all loops below a level, and how often the level then goes on.
    passes = np.cumprod([1, *(repeat + 1 for repeat in walk["repeats"].values()), vectors])
    place = np.arange(passes[-1])
    here = {name: np.full(len(place), start) for name, start in walk["start"].items()}
    for level, step in walk["steps"].items():
        times = place // passes[level] - place // passes[level + 1]
        for name, distance in step.items():
            here[name] += distance * times
    return here


def feed(
    image: Image, instruction: Fields, memory: Ints, positions: dict[str, Ints], group: int
) -> Feed:
    """What the feeder of a group does with an instruction.

    Parameters
    ----------
    memory : (words, lanes)
        The group's activations.
    positions : see `positions_of`
    """
    lanes, segments = image.config.lanes, _segments(image, instruction["patch"], group)
    here = {name: values[:, None] for name, values in positions.items()}
    inside = _inside(instruction["patch"], here, segments)
    kept = inside.copy()
    kept[:, -1] = True  # carries the marker
    (run,) = np.nonzero(kept.ravel())
    number, segment = np.divmod(run, kept.shape[1])

    first = (here["word"] + segments["word"]) * lanes + here["lane"] + segments["lane"]
    first = first.ravel()[run]
    length = (inside * (segments["words"] * lanes + segments["lanes"] + 1)).ravel()[run]
    words = np.maximum(1, -(-(first % lanes + length) // lanes))
    word_ends, ends = np.cumsum(words), np.cumsum(length)
    opens = np.zeros(words.sum(), np.bool_)
    opens[word_ends - words] = True
    skipped = np.zeros(len(opens), np.int64)
    skipped[opens] = np.diff(run, prepend=-1) - 1

    of = np.repeat(np.arange(len(run)), length)
    offset = np.arange(len(of)) - (ends - length)[of]
    slots = 1 << layouts.position(image.config)["word"].width  # words wrap around
    value = memory.reshape(-1)[(first[of] + offset) % (slots * lanes)]
    (active,) = np.nonzero(value)
    of, offset = of[active], offset[active]
    address = np.repeat(first // lanes - (word_ends - words), words) + np.arange(len(opens))
    return Feed(
        position=np.repeat(number, words),
        opens=opens,
        skipped=skipped,
        address=np.where(np.repeat(length, words) > 0, address % slots, -1),
        word=(word_ends - words)[of] + ((first % lanes)[of] + offset) // lanes,
        column=segments["column"][segment[of]] + offset,
        activation=value[active],
    )


def _segments(image: Image, patch: Fields, group: int) -> dict[str, Ints]:
    """A patch's segments in a group's table: (segments,) for every field of the layout."""
    table = image.contents[Window.SEGMENTS][group]
    rows = table[patch["segment_base"] : patch["segment_last"] + 1]
    layout = layouts.segment(image.config)
    items = [layouts.decode(layout, number_of(parts)) for parts in rows]
    return {name: np.array([item[name] for item in items]) for name, _ in layout}


def _inside(patch: Fields, here: dict[str, Ints], segments: dict[str, Ints]) -> NDArray[np.bool_]:
    """(positions, segments): whether a segment is used there and not in the padding."""
    coordinates = 1 << layouts.COORDINATE_BITS
    y, x = ((here[name] + segments[f"d{name}"]) % coordinates for name in ("y", "x"))
    inside: NDArray[np.bool_] = (
        (segments["used"] == 1) & (y < patch["height"]) & (x < patch["width"])
    )
    return inside
