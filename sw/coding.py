"""Relative indices and bit packing: the codes of a layer as entries, entries as bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hw.layouts import GAP_BITS_MAX

__all__ = ["best_gap_bits", "decode", "encode", "entry_count", "pack", "packed_bytes", "unpack"]

_CHUNK = 1 << 16  # numbers packed or unpacked at once; a multiple of 8, so chunks end on a byte


def packed_bytes(count: int, width: int) -> int:
    """Bytes of `count` packed numbers of `width` bits."""
    return (count * width + 7) // 8


def pack(values: NDArray[np.int64], width: int) -> bytes:
    """Low `width` bits of each value (n,), without gaps, low bits first; the last byte 0-filled."""
    places = np.arange(width)
    chunks = []
    for start in range(0, len(values), _CHUNK):
        bits = (values[start : start + _CHUNK, None] >> places & 1).astype(np.uint8)
        chunks.append(np.packbits(bits, bitorder="little").tobytes())
    return b"".join(chunks)


def unpack(data: bytes, count: int, width: int) -> NDArray[np.int64]:
    """`count` unsigned numbers of `width` bits, as `pack` wrote them.

    Raises
    ------
    ValueError
        If the length of `data` is not that of the numbers, or a bit after the last is not 0.
    """
    chunks = list(_unpack_chunks(data, count, width))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def _unpack_chunks(data: bytes, count: int, width: int) -> Iterator[NDArray[np.int64]]:
    if len(data) != packed_bytes(count, width):
        raise ValueError(f"{len(data)} bytes do not hold {count} numbers of {width} bits")
    if count and data[-1] >> ((count * width - 1) % 8 + 1):
        raise ValueError("the bits after the last number are not 0")
    weights = 1 << np.arange(width, dtype=np.int64)
    raw = np.frombuffer(data, np.uint8)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        part = raw[start * width // 8 :][: packed_bytes(size, width)]
        bits = np.unpackbits(part, count=size * width, bitorder="little")
        yield bits.reshape(size, width) @ weights


def _zeros_before(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """Zeros between each non-zero code and the one before it, and after the last."""
    places = np.flatnonzero(codes)
    last = int(places[-1]) if len(places) else -1
    return np.diff(places, prepend=-1) - 1, codes.size - 1 - last


def entry_count(codes: NDArray[np.uint8], gap_bits: int) -> int:
    """Entries of a layer's codes (outputs, inputs), padding included."""
    zeros, tail = _zeros_before(codes)
    return int(len(zeros) + (zeros >> gap_bits).sum() + (tail >> gap_bits))


def best_gap_bits(codes: NDArray[np.uint8], code_bits: int) -> int:
    """Width of the gaps with which a layer's codes take fewest bits."""
    zeros, tail = _zeros_before(codes)
    sizes = [
        (len(zeros) + int((zeros >> bits).sum()) + (tail >> bits)) * (bits + code_bits)
        for bits in range(GAP_BITS_MAX + 1)
    ]
    return int(np.argmin(sizes))


def encode(codes: NDArray[np.uint8], code_bits: int, gap_bits: int) -> NDArray[np.int64]:
    """Entries (n,) of a layer's codes: ``gap << code_bits | code``, in row-major order.

    The gap counts the zeros since the entry before. Where it would not fit, and after the last
    non-zero code, padding entries (the largest gap, code 0) stand for ``2**gap_bits`` zeros each
    (Han et al. 2016, figure 2, whose padding is also a zero weight of its own).
    """
    zeros, tail = _zeros_before(codes)
    padding = zeros >> gap_bits
    places = np.arange(len(zeros)) + np.cumsum(padding)
    count = len(zeros) + int(padding.sum()) + (tail >> gap_bits)
    gap_max = (1 << gap_bits) - 1
    entries = np.full(count, gap_max << code_bits, np.int64)
    entries[places] = (zeros & gap_max) << code_bits | codes.ravel()[codes.ravel() != 0]
    return entries


def decode(
    data: bytes, count: int, code_bits: int, gap_bits: int, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Codes (outputs, inputs) of `count` packed entries.

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
    for entries in _unpack_chunks(data, count, code_bits + gap_bits):
        gaps, codes = entries >> code_bits, entries & ((1 << code_bits) - 1)
        if (bad := gaps[(codes == 0) & (gaps != gap_max)]).size:
            raise ValueError(f"an entry has code 0 with gap {bad[0]}; padding has gap {gap_max}")
        places = last + np.cumsum(gaps + 1)
        last = int(places[-1])
        if last >= size:
            raise ValueError(f"the entries go on to weight {last} of {size}")
        matrix[places] = codes
    if last < size - step:
        raise ValueError(f"the entries end at weight {last} of {size}")
    return matrix.reshape(shape)
