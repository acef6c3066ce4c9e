"""Arithmetic coding: what is decoded is what was encoded, and structure is made use of."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sw.coding import arithmetic
from sw.coding.mixing import exponential, logarithm, squash
from sw.coding.range_coder import ONE, Decoder, Encoder

repeatable = settings(derandomize=True, deadline=None, max_examples=25)
NONE = np.zeros(0, np.int64)


def matrix(
    shape: tuple[int, int], density: float, values: int, seed: int = 0
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Codes that tell nothing of each other; middle ones are frequent."""
    random = np.random.default_rng(seed)
    codes = np.rint(random.normal(values / 2, values / 6, shape)).clip(1, max(1, values - 1))
    return np.where(random.random(shape) < density, codes, 0).astype(np.uint8)


def picture(seed: int = 0, side: int = 12, units: int = 30) -> np.ndarray:
    """Codes (units, side * side) of units that each look at a round place, of one sign inside."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].reshape(2, -1)
    centre = random.integers(0, side, (2, units, 1))
    far = np.hypot(y - centre[0], x - centre[1])
    sign = np.where(far < 2.5, 1, -1) * random.choice([-1, 1], (units, 1))
    level = sign * random.integers(1, 5, far.shape)
    codes = np.where(level > 0, level + 4, level + 5)
    return np.where((far < 4) & (random.random(far.shape) < 0.5), codes, 0).astype(np.uint8)


def entropy(codes: np.ndarray) -> float:
    """Bytes that codes take at best if each is drawn alone, by frequencies known before."""
    counts = np.bincount(codes.ravel())
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / codes.size)).sum() / 8)


def check(codes: np.ndarray, values: int, integers: np.ndarray = NONE) -> bytes:
    data = arithmetic.encode(codes, values, integers)
    found, numbers = arithmetic.decode(data, codes.shape, values, len(integers))
    assert found.dtype == np.uint8
    assert numbers.dtype == np.int64
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_array_equal(numbers, integers)
    return data


@repeatable
@given(
    shape=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    density=st.sampled_from([0, 0.01, 0.1, 0.5, 1]),
    values=st.integers(1, 256),
    bits=st.integers(0, 48),
    own=st.booleans(),
    count=st.integers(0, 25),
    seed=st.integers(0, 99),
)
def test_decoded_is_what_was_encoded(shape, density, values, bits, own, count, seed):
    codes = matrix(shape, density if values > 1 else 0, values, seed)
    random = np.random.default_rng(seed)
    high = 1 << bits
    integers = random.integers(-high + 1, high, shape[0] if own else count)
    integers[random.random(len(integers)) < 0.3] = 0
    check(codes, values, integers)


@pytest.mark.parametrize(
    ("shape", "places"),
    [
        ((1, 33_000), [0, 4_095, 4_096, 32_999]),
        ((33_000, 2), [1, 65_999]),
        ((1, 1), [0]),
        ((70, 1), [3, 69]),
        ((1, 70), [69]),
    ],
)
def test_long_and_single_rows_and_columns(shape, places):
    codes = np.zeros(shape, np.uint8)
    codes.ravel()[places] = 1 + np.arange(len(places))
    check(codes, 5)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_all_codes_the_same(code):
    data = check(np.full((60, 50), code, np.uint8), 4)
    assert len(data) < 40


def test_nothing_takes_nothing():
    assert len(check(np.zeros((300, 784), np.uint8), 16, np.zeros(300, np.int64))) <= 1
    assert check(np.zeros((0, 5), np.uint8), 16) == b""


def test_integers_of_all_sizes():
    ones = (1 << np.arange(49)) - 1
    integers = np.concatenate([ones, -ones, ones // 2 + 1, [0] * 50])
    check(np.zeros((2, 2), np.uint8), 1, integers)


def test_integers_take_what_their_size_takes():
    integers = np.rint(np.random.default_rng(0).laplace(0, 500, 2000)).astype(np.int64)
    data = check(np.zeros((1, 1), np.uint8), 1, integers)
    assert len(data) < 2000 / 8 * (np.log2(2 * np.e * 500) + 0.15)  # entropy of that distribution


def test_integers_of_empty_rows_are_cheap_when_0():
    codes = matrix((120, 20), 0.2, 8)
    codes[::2] = 0
    random = np.random.default_rng(1)
    integers = np.where(codes.any(axis=1), random.integers(-9999, 9999, 120), 0)
    mixed = random.permutation(integers)
    assert len(check(codes, 8, integers)) + 8 < len(check(codes, 8, mixed))


@pytest.mark.parametrize("density", [0.02, 0.3])
@pytest.mark.parametrize("values", [2, 16])
def test_codes_without_structure_take_hardly_more_than_their_entropy(density, values):
    codes = matrix((120, 160), density, values)
    assert len(check(codes, values)) < 1.03 * entropy(codes) + 20


def test_empty_rows_and_columns_are_cheap():
    codes = np.zeros((200, 300), np.uint8)
    codes[60:120, 100:180] = matrix((60, 80), 0.15, 8)
    assert len(check(codes, 8)) < 1.03 * entropy(codes[60:120, 100:180]) + 45


def test_full_columns_are_learned():
    random = np.random.default_rng(0)
    share = np.where(random.random(100) < 0.1, 0.6, 0.01)
    codes = (random.random((150, 100)) < share).astype(np.uint8)
    alone = sum(entropy(codes[:, share == p]) for p in (0.6, 0.01))
    for oriented in (codes, codes.T):
        assert len(check(np.ascontiguousarray(oriented), 2)) < 1.1 * alone + 20


def test_pictures_are_seen_in_both_orientations():
    codes = picture()
    random = np.random.default_rng(0)
    shuffled = codes[:, random.permutation(codes.shape[1])]
    size = len(check(codes, 9))
    assert size < 0.88 * entropy(codes)
    assert size < 0.86 * len(check(shuffled, 9))
    assert len(check(np.ascontiguousarray(codes.T), 9)) <= size + 1


@functools.cache
def example() -> tuple[np.ndarray, np.ndarray, bytes]:
    codes = picture(3, 6, 8)
    integers = np.random.default_rng(3).integers(-500, 500, 8)
    return codes, integers, arithmetic.encode(codes, 9, integers)


def test_coded_bytes_never_change():
    # What other versions and machines have written must stay readable.
    parts = [example()[2], arithmetic.encode(matrix((50, 90), 0.2, 30), 30, NONE)]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    assert digest == "23ba08cbb8267d5b"


def test_damaged_bytes_are_refused_or_another_matrix():
    codes, integers, data = example()
    refused = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        refused += is_refused(bytes(damaged), codes, integers)
    assert refused > len(data) / 2


def test_cut_bytes_are_refused_or_another_matrix():
    # Most beginnings of a good code are whole codes of something else.
    codes, integers, data = example()
    for end in range(0, len(data), 3):
        is_refused(data[:end], codes, integers)


def test_bytes_after_the_end_are_refused():
    codes, integers, data = example()
    for more in (b"\0", b"\1", bytes(8), b"\xff" * 9):
        with pytest.raises(ValueError, match="goes on"):
            arithmetic.decode(data + more, codes.shape, 9, len(integers))


def is_refused(data: bytes, codes: np.ndarray, integers: np.ndarray) -> bool:
    try:
        found, numbers = arithmetic.decode(data, codes.shape, 9, len(integers))
    except ValueError:
        return True
    assert found.shape == codes.shape
    assert found.max(initial=0) < 9
    assert numbers.shape == integers.shape
    assert not (np.array_equal(found, codes) and np.array_equal(numbers, integers))
    return False


@repeatable
@given(
    data=st.binary(max_size=60),
    shape=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    values=st.integers(0, 300),
    count=st.integers(0, 30),
)
def test_any_bytes_are_refused_or_some_matrix(data, shape, values, count):
    try:
        codes, integers = arithmetic.decode(data, shape, values, count)
    except ValueError:
        return
    assert codes.shape == shape
    assert codes.max(initial=0) < values
    assert len(integers) == count
    assert np.abs(integers).max(initial=0) < 1 << 48


def test_what_cannot_be_coded_is_refused():
    codes = np.full((2, 2), 3, np.uint8)
    with pytest.raises(ValueError, match="a code is 3; there are 3 values"):
        arithmetic.encode(codes, 3, NONE)
    for integer in (1 << 48, -(1 << 48), np.iinfo(np.int64).min):
        with pytest.raises(ValueError, match="48 bits"):
            arithmetic.encode(codes, 4, np.array([integer]))
    with pytest.raises(ValueError, match="257 values"):
        arithmetic.encode(codes, 257, NONE)
    with pytest.raises(ValueError, match="weights"):
        arithmetic.decode(b"", (1 << 20, 1 << 20), 4, 0)


def test_tables_are_the_functions_that_they_stand_for():
    x = np.linspace(-7.9, 7.9, 2000)
    np.testing.assert_allclose(exponential(x), np.exp(x), rtol=4e-4, atol=1e-6)
    np.testing.assert_allclose(squash(x) / ONE, 1 / (1 + np.exp(-x)), atol=2e-5)
    np.testing.assert_allclose(logarithm(np.exp(x)), x, atol=0.0011)
    ends = np.array([-1e9, -12.0, 12.0, 1e9])
    assert squash(ends).tolist() == [6, 6, ONE - 6, ONE - 6]
    assert exponential(ends).tolist() == exponential(np.array([-8.0, -8.0, 8.0, 8.0])).tolist()


class Book:
    """The range decoder of docs/arithmetic.md, in integers."""

    def __init__(self, data: bytes):
        self.words = [
            int.from_bytes(data[place : place + 4].ljust(4, b"\0"), "big")
            for place in range(0, len(data), 4)
        ]
        self.range, self.low = (1 << 64) - 1, self.word() << 32
        self.low |= self.word()

    def word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def symbol(self, weights: list[int]) -> int:
        ends = [sum(weights[:index]) for index in range(len(weights))]
        starts = [
            (end * ((1 << 24) - len(weights)) >> 20) + index for index, end in enumerate(ends)
        ]
        scale = self.range >> 24
        place = self.low // scale
        symbol = max(index for index, start in enumerate(starts) if start <= place)
        end = [*starts, 1 << 24][symbol + 1]
        self.low -= starts[symbol] * scale
        self.range = (end - starts[symbol]) * scale
        if self.range < 1 << 32:
            self.range <<= 32
            self.low = self.low << 32 | self.word()
        return symbol

    def bits(self, ones: np.ndarray, bits: None) -> np.ndarray:
        return np.array([self.symbol([ONE - one, one]) for one in ones.tolist()], np.int64)

    def symbols(self, weights: np.ndarray, symbols: None) -> np.ndarray:
        return np.array([self.symbol(row) for row in weights.tolist()], np.int64)


def test_range_coder_is_as_specified():
    codes, integers, data = example()
    found, numbers = arithmetic._code(Book(data), codes.shape, 9, len(integers), None)
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_array_equal(numbers, integers)


def test_range_coder_carries_and_ends_in_few_bytes():
    random = np.random.default_rng(0)
    for size in range(400):
        # Improbable ones bring the lower end of the interval near its upper one: carries.
        ones = random.choice([1, 3, ONE // 2, ONE - 1], size)
        bits = (random.random(size) < 0.4).astype(np.int64)
        encoder = Encoder()
        encoder.bits(ones, bits)
        data = encoder.finish()
        need = -np.log2(np.where(bits, ones, ONE - ones) / ONE).sum() / 8
        assert len(data) <= need + 1.02
        decoder = Decoder(data)
        np.testing.assert_array_equal(decoder.bits(ones, None), bits)
        decoder.finish()


@pytest.mark.models
def test_pruned_lenet_takes_little_more_than_half_of_its_entropy(shared_models: Path):
    with np.load(shared_models / "lenet300100_pruned.npz") as arrays:
        weights = arrays["ip1_w"]
    edges = np.quantile(weights[weights != 0], np.arange(1, 7) / 7)
    codes = np.where(weights != 0, np.searchsorted(edges, weights) + 1, 0).astype(np.uint8)
    assert len(check(codes, 8)) < 0.55 * entropy(codes)
