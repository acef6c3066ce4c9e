"""Canonical Huffman codes: optimal, limited in length, and nothing unsound is read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bitarray.util import huffman_code
from hypothesis import given, settings
from hypothesis import strategies as st

from sw.coding import entries, huffman

repeatable = settings(derandomize=True, deadline=None)
frequencies = st.lists(st.integers(0, 1000) | st.integers(0, 3), min_size=2, max_size=40)


def kraft(lengths: np.ndarray) -> float:
    return float((2.0 ** -lengths[lengths > 0]).sum())


@repeatable
@given(frequencies)
def test_as_short_as_without_a_limit(counts):
    counts = np.array(counts)
    lengths = huffman.lengths(counts)
    np.testing.assert_array_equal(lengths > 0, counts > 0)
    if np.count_nonzero(counts) > 1:
        free = huffman_code({s: int(n) for s, n in enumerate(counts) if n})
        assert lengths.max() <= 15
        assert counts @ lengths == sum(counts[s] * len(word) for s, word in free.items())
        assert kraft(lengths) == 1


@pytest.mark.parametrize("most", [3, 4, 5])
def test_the_best_of_all_codes_that_are_limited(most):
    counts = np.array([1, 1, 2, 3, 5, 8])
    choices = itertools.product(range(1, most + 1), repeat=len(counts))
    best = min(counts @ np.array(c) for c in choices if kraft(np.array(c)) <= 1)
    lengths = huffman.lengths(counts, most)
    assert lengths.max() == most
    assert counts @ lengths == best


def test_codewords_of_a_steep_distribution_are_limited():
    lengths = huffman.lengths(2 ** np.arange(40))
    assert lengths.max() == 15
    assert kraft(lengths) == 1


@pytest.mark.parametrize("counts", [[0, 0, 0], [0, 7, 0]])
def test_few_symbols(counts):
    np.testing.assert_array_equal(huffman.lengths(np.array(counts)), np.array(counts) // 7)


def matrix(seed: int, density: float, values: int, shape=(30, 40)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.clip(np.rint(rng.normal(values / 2, values / 6, shape)), 1, values - 1)
    codes[rng.random(shape) >= density] = 0
    return codes.astype(np.uint8)


@repeatable
@given(
    st.integers(0, 1000),
    st.sampled_from([0, 0.001, 0.02, 0.3, 1]),
    st.sampled_from([2, 3, 16, 200]),
    st.integers(0, 8),
)
def test_round_trip(seed, density, values, gap_bits):
    codes = matrix(seed, density, values)
    of = entries.runs(codes)
    data = huffman.encode(of, values, gap_bits)
    count = entries.entry_count(of, gap_bits)
    again = huffman.decode(data, count, values, gap_bits, codes.shape)
    np.testing.assert_array_equal(again, codes, strict=True)
    sizes = huffman.best(of, values)
    best = len(huffman.encode(of, values, sizes.gap_bits))
    assert best <= len(data)
    assert best == -(-(sizes.tables + sizes.codes + sizes.gaps) // 8)


def test_close_to_the_entropy():
    codes = matrix(1, 0.08, 16, (300, 784))
    of = entries.runs(codes)
    sizes = huffman.best(of, 16)
    for bits, counted in zip(sizes[2:], entries.counts(of, 16, sizes.gap_bits), strict=True):
        share = counted[counted > 0] / counted.sum()
        entropy = -(share * np.log2(share)).sum() * counted.sum()
        assert entropy <= bits <= 1.02 * entropy
    # A table of lengths at fixed width takes 4 bits for each symbol.
    assert sizes.tables < 0.8 * 4 * (16 + (1 << sizes.gap_bits))


def test_a_file_of_another_length_or_filling_is_refused():
    codes = matrix(1, 0.2, 16)
    of = entries.runs(codes)
    sizes = huffman.best(of, 16)
    data = huffman.encode(of, 16, sizes.gap_bits)
    count = entries.entry_count(of, sizes.gap_bits)
    assert (sizes.tables + sizes.codes + sizes.gaps) % 8
    filled = data[:-1] + bytes([data[-1] | 128])
    for bad, number in (
        (data[:-1], count),
        (data + b"\0", count),
        (filled, count),
        (data, count - 1),
        (data, count + 1),
        (data, 8 * len(data) + 1),
    ):
        with pytest.raises(ValueError, match=r"codewords|entries|bitarray"):
            huffman.decode(bad, number, 16, sizes.gap_bits, codes.shape)


def table(*steps: int) -> bytes:
    """Table of lengths whose steps, plus 1 in zigzag form, are given."""
    bits = "".join(f"{step:0{2 * step.bit_length() - 1}b}" for step in steps)
    return sum(int(bit) << i for i, bit in enumerate(bits)).to_bytes(-(-len(bits) // 8), "little")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes cannot hold 1 entries"),
        (b"\0\0", "cut off, or a step in it too large"),
        (b"\x10", "cut off"),
        (table(4, 1), "a codeword has -1 bits"),
        (table(31, 1), "a codeword has 16 bits"),
        (table(64, 1), "too large"),
        (table(3, 1), "do not make a complete code"),
        (table(1, 2, 1), "reached end of bitarray"),
        (table(2, 1) + b"\0", "reached end of bitarray"),
    ],
)
def test_tables_that_are_not_sound(data, message):
    with pytest.raises(ValueError, match=message):
        huffman.decode(data, 1, 2, 0, (1, 1))
