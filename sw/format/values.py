"""Codebook and biases as packed integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sw.coding.bits import Reader, pack, packed_bytes, unpack, unzigzag, varint, zigzag
from sw.numbers import signed_bits

__all__ = [
    "BIAS_BITS_MAX",
    "Codebook",
    "from_step",
    "pack_codebook",
    "read_biases",
    "read_codebook",
    "to_step",
]

BIAS_BITS_MAX = 48  # the widest accumulator
_VALUE_BITS_MAX = 16


class Codebook(NamedTuple):
    """A codebook as stored.

    Attributes
    ----------
    ascending : bool
        Whether `data` holds the first value and the differences to each next, not the values.
    width : int
        Bits of a value, or of a difference.
    bits : int
        Of `data`, without the filling of its last byte.
    """

    ascending: bool
    width: int
    data: bytes
    bits: int


def pack_codebook(codebook: NDArray[np.int64]) -> Codebook:
    """Values (n,) of a codebook beside the first, which is 0, in the form that is shorter."""
    values = codebook[1:]
    if not len(values):
        return Codebook(False, 1, b"", 0)
    width = max(signed_bits(int(values.min())), signed_bits(int(values.max())))
    plain = Codebook(False, width, pack(values, width), width * len(values))
    steps = np.diff(values)
    if not len(steps) or steps.min() < 0:
        return plain
    first, width = varint(zigzag(int(values[0]))), max(1, int(steps.max()).bit_length())
    data = first + pack(steps, width)
    ascending = Codebook(True, width, data, 8 * len(first) + width * len(steps))
    return min(plain, ascending, key=lambda form: len(form.data))


def read_codebook(reader: Reader, count: int, width: int, ascending: bool) -> NDArray[np.int64]:
    """Codebook (count + 1,) from what `pack_codebook` made, the 0 before it included.

    Raises
    ------
    ValueError
        If the bytes do not suffice, or are not sound.
    """
    codebook = np.zeros(count + 1, np.int64)
    if ascending and count:
        first = reader.varint("the first codebook value", 0, (1 << _VALUE_BITS_MAX) - 1)
        steps = unpack(reader.take(packed_bytes(count - 1, width)), count - 1, width)
        codebook[1] = unzigzag(first)
        codebook[2:] = codebook[1] + np.cumsum(steps)
    else:
        codebook[1:] = _signed(reader.take(packed_bytes(count, width)), count, width)
    return codebook


def to_step(bias: NDArray[np.int64]) -> tuple[NDArray[np.int64], int, int]:
    """Biases (n,) without the trailing zero bits that all have, how many those are, and a width.

    The width is the least signed one that holds what is left; 0 where all biases are 0.
    """
    together = int(np.bitwise_or.reduce(bias))
    if not together:
        return bias, 0, 0
    step = (together & -together).bit_length() - 1
    left = bias >> step
    return left, step, max(signed_bits(int(left.min())), signed_bits(int(left.max())))


def from_step(left: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Inverse of `to_step`.

    Raises
    ------
    ValueError
        If a bias has more bits than any accumulator.
    """
    width = max(signed_bits(int(left.min())), signed_bits(int(left.max()))) + step
    if width > BIAS_BITS_MAX:
        raise ValueError(f"a bias has {width} bits, over {BIAS_BITS_MAX}")
    return left << step


def read_biases(reader: Reader, count: int, width: int) -> NDArray[np.int64]:
    """Biases (count,) packed at a signed width; zeros at width 0.

    Raises
    ------
    ValueError
        If the bytes do not suffice, or a bit after the last is not 0.
    """
    return _signed(reader.take(packed_bytes(count, width)), count, width)


def _signed(data: bytes, count: int, width: int) -> NDArray[np.int64]:
    sign = (1 << width) >> 1
    return (unpack(data, count, width) ^ sign) - sign
