"""Packed numbers, bit fields and varints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sw.coding import bits


@pytest.mark.parametrize("count", [0, 1, 7, 8, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_001])
@pytest.mark.parametrize("width", [0, 1, 5, 16, 48])
def test_packing_across_chunks(count, width):
    values = np.random.default_rng(count).integers(0, 1 << width, count)
    data = bits.pack(values, width)
    assert len(data) == bits.packed_bytes(count, width)
    np.testing.assert_array_equal(bits.unpack(data, count, width), values)


def test_packing_by_hand():
    assert bits.pack(np.array([5, -1, 2]), 3) == bytes([0b10_111_101, 0b0])
    assert bits.pack_fields({"a": 1, "b": 4, "c": 5}, {"a": 1, "b": 9, "c": -2}) == bytes(
        [0b110_1001_1, 0b11]
    )


@pytest.mark.parametrize(
    ("data", "count", "message"),
    [(b"\1", 3, "1 bytes do not hold 3 numbers of 5 bits"), (b"\1\x80", 3, "are not 0")],
)
def test_packed_numbers_that_are_not_sound(data, count, message):
    with pytest.raises(ValueError, match=message):
        bits.unpack(data, count, 5)


@pytest.mark.parametrize("widths", [(), (1,), (7, 1), (8,), (3, 11, 2), (1, 30, 5, 9)])
@pytest.mark.parametrize("seed", range(3))
def test_fields(widths, seed):
    rng = np.random.default_rng(seed)
    named = {f"field {i}": width for i, width in enumerate(widths)}
    values = {name: int(rng.integers(1 << width)) for name, width in named.items()}
    data = bits.pack_fields(named, values)
    assert len(data) == -(-sum(widths) // 8)
    assert bits.Reader(data).fields(named) == values


def test_bits_after_the_last_field_are_0():
    with pytest.raises(ValueError, match="bits after the last field are not 0"):
        bits.Reader(b"\x10").fields({"a": 4})


@settings(derandomize=True)
@given(st.integers(0, 1 << 60))
def test_varints(value):
    data = bits.varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    reader = bits.Reader(data + b"x")
    assert reader.varint("it", 0, 1 << 60) == value
    assert (reader.place, reader.left) == (len(data), 1)
    assert bits.unzigzag(value) == (value // 2 if value % 2 == 0 else -(value + 1) // 2)
    assert bits.zigzag(bits.unzigzag(value)) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1 bytes are wanted where 0 are left"),
        (b"\x80", "1 bytes are wanted where 0 are left"),
        (b"\x80\x00", "needless byte"),
        (b"\x04", "it is 4, less than 5"),
        (b"\xad\x02", "it is over 300"),
        (b"\xff" * 99, "it is over 300"),
        (b"\x80" * 99, "it is over 300"),
    ],
)
def test_varints_that_are_not_sound(data, message):
    assert bits.Reader(b"\xac\x02").varint("it", 5, 300) == 300
    with pytest.raises(ValueError, match=message):
        bits.Reader(data).varint("it", 5, 300)
