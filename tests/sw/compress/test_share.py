"""Weight sharing against an exhaustive clustering."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sw.compress import share as share_module
from sw.compress.share import share
from sw.errors import BadInput


def distortion(weights, codes, centroids) -> float:
    return float(np.square(centroids[codes] - weights).sum())


def least_distortion(values, count) -> float:
    """Over all ways to cut the sorted values into `count` runs."""
    values = np.sort(values)
    best = np.inf
    for cuts in itertools.combinations(range(1, len(values)), count - 1):
        runs = np.split(values, cuts)
        best = min(best, sum(np.square(run - run.mean()).sum() for run in runs))
    return float(best)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("code_bits", [1, 2])
def test_centroids_are_optimal(seed, code_bits):
    weights = np.random.default_rng(seed).normal(size=(3, 4))
    weights[1] = 0
    codes, centroids = share(weights, code_bits)
    count = 2**code_bits - 1
    assert len(centroids) == count + 1
    best = least_distortion(weights[weights != 0], count)
    assert distortion(weights, codes, centroids) == pytest.approx(best)


def test_zeros_have_code_0_and_nothing_else_has():
    weights = np.random.default_rng(1).normal(size=(40, 30))
    weights[weights < 0.5] = 0
    codes, centroids = share(weights, 4)
    np.testing.assert_array_equal(codes == 0, weights == 0)
    assert centroids[0] == 0
    assert (np.diff(centroids[1:]) > 0).all()
    assert codes.max() == 15


@pytest.mark.parametrize("distinct", [1, 2, 14, 15])
def test_few_distinct_weights_are_exact(distinct):
    rng = np.random.default_rng(distinct)
    weights = rng.choice(rng.normal(size=distinct), size=(20, 20))
    codes, centroids = share(weights, 4)
    assert len(centroids) == distinct + 1
    np.testing.assert_array_equal(centroids[codes], weights)


def test_a_layer_without_weights_has_code_0_only():
    codes, centroids = share(np.zeros((3, 4)), 4)
    np.testing.assert_array_equal(codes, np.zeros((3, 4)))
    np.testing.assert_array_equal(centroids, [0.0])


@pytest.mark.parametrize(("code_bits", "size", "limit"), [(4, 4000, 1 << 15), (8, 12000, 1 << 21)])
def test_beyond_the_optimal_size_it_is_nearly_optimal(monkeypatch, code_bits, size, limit):
    weights = np.random.default_rng(2).normal(size=(1, size))
    best = distortion(weights, *share(weights, code_bits))
    monkeypatch.setattr(share_module, "_OPTIMAL_MAX", limit)
    codes, centroids = share(weights, code_bits)
    assert centroids[0] == 0
    assert 2**code_bits * 0.9 < len(centroids) <= 2**code_bits
    assert best < distortion(weights, codes, centroids) < 1.2 * best


@pytest.mark.parametrize("code_bits", [0, 9, -1])
def test_code_bits_out_of_range(code_bits):
    with pytest.raises(BadInput, match=f"code bits are {code_bits}; they must be from 1 to 8"):
        share(np.ones((2, 2)), code_bits)
