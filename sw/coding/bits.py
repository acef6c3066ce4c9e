"""Numbers as bytes: packed at a fixed width, in bit fields, and as varints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Reader",
    "pack",
    "pack_fields",
    "packed_bytes",
    "unpack",
    "unpack_chunks",
    "unzigzag",
    "varint",
    "zigzag",
]

_CHUNK = 1 << 16  # numbers packed or unpacked at once; a multiple of 8, so chunks end on a byte


def packed_bytes(count: int, width: int) -> int:
    """Bytes of `count` packed numbers of `width` bits."""
    return (count * width + 7) // 8


def pack(values: NDArray[np.integer], width: int) -> bytes:
    """Low `width` bits of each value (n,), without gaps, low bits first; the last byte 0-filled."""
    places = np.arange(width)
    chunks = []
    for start in range(0, len(values), _CHUNK):
        numbers = values[start : start + _CHUNK].astype(np.int64)
        bits = (numbers[:, None] >> places & 1).astype(np.uint8)
        chunks.append(np.packbits(bits, bitorder="little").tobytes())
    return b"".join(chunks)


def unpack(data: bytes, count: int, width: int) -> NDArray[np.int64]:
    """`count` unsigned numbers of `width` bits, as `pack` wrote them.

    Raises
    ------
    ValueError
        If the length of `data` is not that of the numbers, or a bit after the last is not 0.
    """
    chunks = list(unpack_chunks(data, count, width))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def unpack_chunks(data: bytes, count: int, width: int) -> Iterator[NDArray[np.int64]]:
    """`unpack`, some numbers at a time."""
    if len(data) != packed_bytes(count, width):
        raise ValueError(f"{len(data)} bytes do not hold {count} numbers of {width} bits")
    if data and data[-1] >> ((count * width - 1) % 8 + 1):
        raise ValueError("the bits after the last number are not 0")
    weights = 1 << np.arange(width, dtype=np.int64)
    raw = np.frombuffer(data, np.uint8)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        part = raw[start * width // 8 :][: packed_bytes(size, width)]
        bits = np.unpackbits(part, count=size * width, bitorder="little")
        yield bits.reshape(size, width) @ weights


def pack_fields(widths: Mapping[str, int], values: Mapping[str, int]) -> bytes:
    """Bit fields, the first in the lowest bits, as little-endian bytes; unused bits are 0.

    Parameters
    ----------
    widths : bits of each field, by name
    values : what each holds; negative ones in two's complement
    """
    word = place = 0
    for name, width in widths.items():
        word |= (values[name] & ((1 << width) - 1)) << place
        place += width
    return word.to_bytes(packed_bytes(place, 1), "little")


def zigzag(value: int) -> int:
    """Small natural numbers for small integers: 0, -1, 1, -2, 2 … become 0, 1, 2, 3, 4 …"""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """Inverse of `zigzag`."""
    return -(value + 1 >> 1) if value & 1 else value >> 1


def varint(value: int) -> bytes:
    """A natural number as LEB128: 7 bits a byte, low ones first, bit 7 set in all but the last."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


class Reader:
    """Reads bytes from first to last. Every method raises ValueError where they do not suffice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._place

    @property
    def place(self) -> int:
        """Bytes read."""
        return self._place

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise ValueError(f"{count} bytes are wanted where {self.left} are left")
        self._place += count
        return self._data[self._place - count : self._place]

    def varint(self, name: str, least: int, most: int) -> int:
        """The next varint, which is `name`, from `least` to `most`, and no longer than it must."""
        value = shift = 0
        more = True
        while more:
            (byte,) = self.take(1)
            more = byte > 127
            value |= (byte & 127) << shift
            shift += 7
            if value > most or (more and shift > most.bit_length()):
                raise ValueError(f"{name} is over {most}")
            if shift > 7 and byte == 0:
                raise ValueError(f"{name} is written with a needless byte")
        if value < least:
            raise ValueError(f"{name} is {value}, less than {least}")
        return value

    def fields(self, widths: Mapping[str, int]) -> dict[str, int]:
        """Unsigned values of bit fields, as `pack_fields` wrote them."""
        word = int.from_bytes(self.take(packed_bytes(sum(widths.values()), 1)), "little")
        values = {}
        for name, width in widths.items():
            values[name] = word & ((1 << width) - 1)
            word >>= width
        if word:
            raise ValueError("the bits after the last field are not 0")
        return values
