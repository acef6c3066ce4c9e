"""Where the neighbours of a weight are, and what a layer's models are told of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Neighbours", "Setting", "batches", "levels"]

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK, _CHUNKS = 16, 64  # columns of a chunk at least; chunks at most, unless that is fewer


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the encoder chooses for a matrix.

    Attributes
    ----------
    stride : int
        Rows from a weight to the one above it, where rows are the pixels of a picture; 0: none.
    density : int
        Logit of the share of weights that are not 0, in tenths, plus 128.
    split : int
        The first code whose weight is positive.
    """

    stride: int = 0
    density: int = 128
    split: int = 1


class Neighbours:
    """Rows before a weight's, that are looked at in its column.

    Attributes
    ----------
    distances : (k,) int64
        How many rows before.
    shares : (k,) float64
        How much each counts in a weighted sum. With few bits: sums of integers are exact.
    inner, cross : list of int
        Which of them tell together whether a weight is 0, and which its sign.
    above : int
        The greatest distance.
    """

    def __init__(self, stride: int) -> None:
        distances, shares = [1, 2, 3], [1.0, 0.375, 0.25]
        self.inner, self.cross = [0, 1], [0, 1]
        if stride:
            distances += [stride, stride + 1, stride - 1, 2 * stride]
            distances += [stride + 2, stride - 2, 2 * stride + 1, 2 * stride - 1]
            shares += [1.0, 0.625, 0.625, 0.375, 0.25, 0.25, 0.25, 0.25]
            self.inner, self.cross = [0, 1, 3, 4, 5, 6], [0, 3, 4, 5]
        self.distances = np.array(distances)
        self.shares = np.array(shares)
        self.above = max(distances)

    def rows(self, rows: Integers) -> Integers:
        """Rows (k, n) of the neighbours of weights in `rows` (n,)."""
        found: Integers = rows - self.distances[:, None]
        return found


@dataclasses.dataclass(frozen=True)
class Batch:
    """Weights that are coded at once: successive columns, of chunks of successive rows.

    Attributes
    ----------
    rows : (chunks,) int64
        Row of each chunk.
    starts : (chunks,) int64
        First weight of each chunk.
    chunk : (n,) int64
        Chunk of each weight.
    columns : slice
        Of all weights.
    """

    rows: Integers
    starts: Integers
    chunk: Integers
    columns: slice


def batches(rows: Integers, columns: int) -> Iterator[Batch]:
    """All weights in the order in which they are coded, of `columns` in each of `rows` (n,)."""
    chunk = max(_CHUNK, -(-columns // _CHUNKS))
    chunks = -(-columns // chunk)
    for step in range(len(rows) + chunks - 1):
        first, last = max(0, step - len(rows) + 1), min(chunks - 1, step)
        place = slice(first * chunk, min(columns, (last + 1) * chunk))
        yield Batch(
            rows[step - np.arange(first, last + 1)],
            np.arange(last - first + 1) * chunk,
            np.arange(place.stop - place.start) // chunk,
            place,
        )


def levels(values: int, split: int) -> Integers:
    """Level (values,) of each code: its place in the codebook, counted from 0 up and down."""
    places = np.arange(values) - split
    found = np.where(places >= 0, places + 1, places)
    found[0] = 0
    return found
