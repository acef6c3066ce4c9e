"""Magnitude pruning: which weights stay, and exactly how many."""

from __future__ import annotations

import numpy as np
import pytest

from sw.compress.prune import prune
from sw.errors import BadInput


@pytest.mark.parametrize(
    ("size", "density", "kept"),
    [(100, 0.08, 8), (10, 0.25, 3), (10, 0.24, 2), (10, 1, 10), (10, 1e-9, 1), (30, 0.1, 3)],
)
def test_the_count_is_exact_and_the_largest_stay(size, density, kept):
    weights = np.random.default_rng(1).normal(size=(1, size))
    pruned = prune(weights, density)
    stay = pruned != 0
    assert stay.sum() == kept
    np.testing.assert_array_equal(pruned[stay], weights[stay])
    assert kept == size or np.abs(weights[stay]).min() > np.abs(weights[~stay]).max()


def test_equal_magnitudes_keep_the_count_and_the_first():
    weights = np.array([[1.0, -1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(prune(weights, 0.5), [[1.0, 0.0], [0.0, 2.0]])


def test_zeros_stay_and_the_argument_is_not_changed():
    weights = np.array([[0.0, 3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(prune(weights, 1.0), weights)
    np.testing.assert_array_equal(prune(weights, 0.75), weights)
    before = np.array([[1.0, 2.0]])
    prune(before, 0.5)
    np.testing.assert_array_equal(before, [[1.0, 2.0]])


@pytest.mark.parametrize("density", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_densities_out_of_range(density):
    with pytest.raises(BadInput, match=f"density is {density:g}; it must be above 0"):
        prune(np.ones((2, 2)), density)
