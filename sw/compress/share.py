"""Weight sharing: a codebook of few weights, and a code for each weight."""

from __future__ import annotations

import kmeans1d
import numpy as np
from numpy.typing import NDArray

from hw.layouts import CODE_BITS_MAX
from sw.errors import BadInput

__all__ = ["share"]

# The optimal clustering takes 16 bytes and about 0.3 µs for each weight and centroid.
_OPTIMAL_MAX = 1 << 23
_SWEEPS_MAX = 300


def share(
    weights: NDArray[np.float64], code_bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Replace each non-zero weight by the nearest of few centroids.

    The centroids are the optimal one-dimensional k-means (Wu 1991) of the non-zero weights: weight
    sharing as in Deep Compression (Han et al. 2016, section 3), without its choice of starting
    points. Beyond `_OPTIMAL_MAX` weights × centroids, they are that optimum for evenly spaced order
    statistics, then improved on all weights by Lloyd's iteration.

    Parameters
    ----------
    weights : (outputs, inputs) float64
        Zeros are pruned weights.
    code_bits : int
        1 to 8; gives ``2**code_bits - 1`` centroids, code 0 being kept for pruned weights.

    Returns
    -------
    codes : (outputs, inputs) uint8
        0 where the weight is 0, otherwise the place of its centroid.
    centroids : (n,) float64
        ``centroids[0] == 0``, the others ascending. Exact if there are few distinct weights.

    Raises
    ------
    BadInput
        If `code_bits` is out of range.
    """
    if not 1 <= code_bits <= CODE_BITS_MAX:
        raise BadInput(f"code bits are {code_bits}; they must be from 1 to {CODE_BITS_MAX}")
    kept = weights != 0
    values = np.sort(weights[kept])
    count = (1 << code_bits) - 1
    centroids = np.unique(values)
    if len(centroids) > count:
        centroids = _cluster(values, count)
    codes = np.zeros(weights.shape, np.uint8)
    codes[kept] = np.searchsorted(_edges(centroids), weights[kept]) + 1
    return codes, np.concatenate([[0.0], centroids])


def _cluster(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Centroids of sorted values, ascending and distinct."""
    most = _OPTIMAL_MAX // count
    if len(values) <= most:
        return np.unique(kmeans1d.cluster(values, count).centroids)
    places = np.linspace(0, len(values) - 1, most // 2).astype(np.int64)
    centroids = np.unique(kmeans1d.cluster(values[places], count).centroids)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for _ in range(_SWEEPS_MAX):
        ends = np.searchsorted(values, _edges(centroids))
        ends = np.unique(np.concatenate([[0], ends, [len(values)]]))
        better = np.diff(sums[ends]) / np.diff(ends)
        if np.array_equal(better, centroids):
            break
        centroids = better
    return centroids


def _edges(centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    edges: NDArray[np.float64] = centroids[:-1] + np.diff(centroids) / 2
    return edges
