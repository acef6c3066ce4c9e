"""Relative indices: matrices of codes as entries, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sw.coding import entries

repeatable = settings(derandomize=True, deadline=None)


@st.composite
def matrices(draw):
    """Codes (rows, columns) of every density, and the length of the codebook."""
    values = draw(st.sampled_from([2, 3, 16, 256]))
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = rng.integers(0, values, shape).astype(np.uint8)
    codes[rng.random(shape) > draw(st.sampled_from([0.0, 0.003, 0.02, 0.2, 1.0]))] = 0
    return codes, values


def test_entries_by_hand():
    matrix = np.zeros((2, 8), np.uint8)
    matrix[0, 1], matrix[1, 3], matrix[1, 4] = 1, 2, 3
    # Gap 1; nine zeros are two paddings of four and gap 1; gap 0; three zeros left need none.
    codes, gaps = entries.encode(entries.runs(matrix), gap_bits=2)
    np.testing.assert_array_equal(codes, [1, 0, 0, 2, 3])
    np.testing.assert_array_equal(gaps, [1, 3, 3, 1, 0])
    counted = entries.counts(entries.runs(matrix), values=4, gap_bits=2)
    np.testing.assert_array_equal(counted[0], [2, 1, 1, 1])
    np.testing.assert_array_equal(counted[1], [1, 2, 0, 0])


@repeatable
@given(matrices(), st.integers(0, 8), st.integers(1, 9))
def test_every_gap_width_decodes_and_none_beats_the_best(drawn, gap_bits, step):
    matrix, values = drawn
    runs = entries.runs(matrix)
    codes, gaps = entries.encode(runs, gap_bits)
    assert len(codes) == len(gaps) == entries.entry_count(runs, gap_bits)
    chunks = ((codes[i : i + step], gaps[i : i + step]) for i in range(0, len(codes), step))
    again = entries.decode(chunks, len(codes), gap_bits, matrix.shape)
    np.testing.assert_array_equal(again, matrix, strict=True)
    code_bits = (values - 1).bit_length()
    best = entries.best_gap_bits(runs, code_bits)
    count = entries.entry_count(runs, best)
    assert count * (code_bits + best) <= len(codes) * (code_bits + gap_bits)


@repeatable
@given(matrices(), st.integers(0, 8))
def test_counts_are_those_of_the_entries(drawn, gap_bits):
    matrix, values = drawn
    runs = entries.runs(matrix)
    codes, gaps = entries.encode(runs, gap_bits)
    of_codes, of_gaps = entries.counts(runs, values, gap_bits)
    np.testing.assert_array_equal(of_codes, np.bincount(codes, minlength=values))
    np.testing.assert_array_equal(of_gaps, np.bincount(gaps[codes != 0], minlength=1 << gap_bits))


def test_runs_across_chunks(monkeypatch):
    matrix = np.random.default_rng(1).integers(0, 3, (30, 41)).astype(np.uint8)
    whole = entries.runs(matrix)
    monkeypatch.setattr(entries, "_CHUNK", 100)
    parts = entries.runs(matrix)
    np.testing.assert_array_equal(parts.zeros, whole.zeros, strict=True)
    assert parts.tail == whole.tail
