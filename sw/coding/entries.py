"""Relative indices: a sparse matrix of codes as entries, each a code and the gap before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.layouts import GAP_BITS_MAX

__all__ = ["Runs", "best_gap_bits", "counts", "decode", "encode", "entry_count", "runs"]

_CHUNK = 1 << 22  # weights looked at at once


class Runs(NamedTuple):
    """The non-zero codes of a matrix, in row-major order, and the zeros around them.

    Attributes
    ----------
    codes : (n,) uint8
        None is 0.
    zeros : (n,) int32
        Zeros between each code and the one before it.
    tail : int
        Zeros after the last.
    """

    codes: NDArray[np.uint8]
    zeros: NDArray[np.int32]
    tail: int


def runs(matrix: NDArray[np.uint8]) -> Runs:
    """Runs of a matrix (rows, columns) of less than 2**31 codes."""
    flat = matrix.reshape(-1)
    codes = flat[flat != 0]
    # Places are int64 whether needed or not: never those of a whole dense layer at once.
    places = np.concatenate(
        [
            (np.flatnonzero(flat[start : start + _CHUNK]) + start).astype(np.int32)
            for start in range(0, flat.size, _CHUNK)
        ]
    )
    last = int(places[-1]) if len(places) else -1
    return Runs(codes, np.diff(places, prepend=np.int32(-1)) - np.int32(1), flat.size - 1 - last)


def entry_count(of: Runs, gap_bits: int) -> int:
    """Entries of a layer's codes, padding included."""
    return len(of.codes) + _padding(of, gap_bits)


def _padding(of: Runs, gap_bits: int) -> int:
    return int((of.zeros >> gap_bits).sum(dtype=np.int64)) + (of.tail >> gap_bits)


def best_gap_bits(of: Runs, code_bits: int) -> int:
    """Width of the gaps with which a layer's codes take fewest bits at fixed width."""
    sizes = [entry_count(of, bits) * (bits + code_bits) for bits in range(GAP_BITS_MAX + 1)]
    return int(np.argmin(sizes))


def counts(of: Runs, values: int, gap_bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each code occurs in the entries (values,), and each gap of a code (2**gap_bits,).

    Padding counts among the codes, as code 0, and not among the gaps.
    """
    codes = np.bincount(of.codes, minlength=values)
    codes[0] = _padding(of, gap_bits)
    gaps = np.bincount(of.zeros & ((1 << gap_bits) - 1), minlength=1 << gap_bits)
    return codes, gaps


def encode(of: Runs, gap_bits: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Codes (n,) and gaps (n,) of the entries of a layer, in row-major order.

    The gap counts the zeros since the entry before. Where it would not fit, and after the last
    non-zero code, padding entries (the largest gap, code 0) stand for ``2**gap_bits`` zeros each
    (Han et al. 2016, figure 2, whose padding is also a zero weight of its own).
    """
    padding = of.zeros >> gap_bits
    gap_max = (1 << gap_bits) - 1
    places = np.cumsum(padding, dtype=np.int64)
    places += np.arange(len(places))
    count = entry_count(of, gap_bits)
    codes, gaps = np.zeros(count, np.uint8), np.full(count, gap_max, np.uint8)
    codes[places] = of.codes
    gaps[places] = of.zeros & gap_max
    return codes, gaps


def decode(
    chunks: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    count: int,
    gap_bits: int,
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """Codes (rows, columns) of entries.

    Parameters
    ----------
    chunks : iterable of (codes (n,), gaps (n,))
        `count` entries in all. Nothing is taken from it before the count is checked.

    Raises
    ------
    ValueError
        If the entries are not those of a matrix of this shape. Nothing of the size of the shape is
        allocated unless there are entries enough to cover it.
    """
    size, step, gap_max = shape[0] * shape[1], 1 << gap_bits, (1 << gap_bits) - 1
    if not size // step <= count <= size:
        raise ValueError(f"{count} entries with gaps below {step} cannot cover {size} weights")
    matrix = np.zeros(size, np.uint8)
    last = -1
    for codes, gaps in chunks:
        if (bad := gaps[(codes == 0) & (gaps != gap_max)]).size:
            raise ValueError(f"an entry has code 0 with gap {bad[0]}; padding has gap {gap_max}")
        places = last + np.cumsum(gaps + np.int64(1))
        last = int(places[-1])
        if last >= size:
            raise ValueError(f"the entries go on to weight {last} of {size}")
        matrix[places] = codes
    if last < size - step:
        raise ValueError(f"the entries end at weight {last} of {size}")
    return matrix.reshape(shape)
