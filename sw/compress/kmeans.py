"""One-dimensional k-means: the optimum, and Lloyd's iteration from Deep Compression's starts."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

from .optimal import optimal_breaks

__all__ = ["INITIALISATIONS", "METHODS", "Initialisation", "Method", "cluster", "nearest", "starts"]

Method = Literal["optimal", "lloyd"]
Initialisation = Literal["linear", "density", "forgy"]
METHODS: tuple[Method, ...] = get_args(Method)
INITIALISATIONS: tuple[Initialisation, ...] = get_args(Initialisation)

_SWEEPS_MAX = 300  # of Lloyd's iteration, as in scikit-learn

_Floats = NDArray[np.float64]


def cluster(
    values: _Floats,
    count: int,
    method: Method = "optimal",
    initialisation: Initialisation = "linear",
    seed: int = 0,
) -> _Floats:
    """Centroids that values are replaced by with little squared error.

    The optimum is what `sw.compress.optimal` finds, in about n log n: exact, whatever the number of
    values, but for the case that its `optimal_breaks` describes; Lloyd's iteration then goes on
    from there. Beside `values` it takes their sorted copy, and memory that does not grow with them.

    Parameters
    ----------
    values : (n,) float64, in any order, finite
    count : int
        Centroids wanted, 1 or more.
    method : "optimal" or "lloyd"
        The least squared error that there is, or Lloyd's iteration until nothing changes, 300 times
        at most.
    initialisation : "linear", "density" or "forgy"
        Where Lloyd's iteration starts: `starts`.
    seed : int
        Of "forgy".

    Returns
    -------
    (m,) float64, m <= count
        Ascending; the mean of the values that are nearest to it. The values themselves, if no more
        than `count` are distinct. Centroids that Lloyd's iteration leaves without a value are not
        among them.

    Raises
    ------
    BadInput
        If there is no such method or initialisation, the count is not positive, or a value is not
        finite.
    """
    _check(count, method, initialisation)
    values = np.sort(np.asarray(values, np.float64), axis=None)
    if len(values) and not np.isfinite(values[[0, -1]]).all():  # NaN is sorted to the end
        bad = values[0] if np.isinf(values[0]) else values[-1]
        raise BadInput(f"one of the values to cluster is {bad}; all must be finite")
    centroids = _distinct(values, count)
    if len(centroids) <= count:
        return centroids
    if method == "lloyd":
        return _lloyd(values, _starts(values, count, initialisation, seed))
    # No square overflows or vanishes.
    exponent = int(np.frexp(np.abs(values[[0, -1]]).max())[1])
    values = np.ldexp(values, -exponent, out=values)
    breaks, _ = optimal_breaks(values, count)
    ends = np.unique(np.concatenate([[0], breaks, [len(values)]]))
    # From the optimum, a sweep that changes nothing but rounding.
    centroids = _lloyd(values, np.add.reduceat(values, ends[:-1]) / np.diff(ends))
    return np.ldexp(centroids, exponent)


def starts(
    values: _Floats, count: int, initialisation: Initialisation = "linear", seed: int = 0
) -> _Floats:
    """Where Lloyd's iteration starts (Han et al. 2016, section 3.2).

    "forgy" takes `count` of the values at random. "density" spaces the cumulative distribution
    evenly, which is to say at the quantiles (i + 1/2) / count. "linear" spaces the range from the
    least value to the greatest evenly, both included.

    Parameters
    ----------
    values : (n,) float64, in any order, n >= count
    count : int
    initialisation : "linear", "density" or "forgy"
    seed : int
        Of "forgy".

    Returns
    -------
    (m,) float64, m <= count
        Ascending and distinct: fewer where values repeat.

    Raises
    ------
    BadInput
        If there is no such initialisation, or the count is not positive.
    """
    _check(count, "lloyd", initialisation)
    return _starts(np.sort(values, axis=None), count, initialisation, seed)


def nearest(values: _Floats, centroids: _Floats) -> NDArray[np.intp]:
    """Place of the nearest centroid of each value, of two equally near the lower.

    Parameters
    ----------
    values : float64, of any shape
    centroids : (n,) float64, ascending
    """
    places: NDArray[np.intp] = np.searchsorted(_middles(centroids), values)
    return places


def _check(count: int, method: str, initialisation: str) -> None:
    if count < 1:
        raise BadInput(f"the number of centroids is {count}; it must be 1 or more")
    if method not in METHODS:
        raise BadInput(f"clustering method {method!r} is unknown; use {' or '.join(METHODS)}")
    if initialisation not in INITIALISATIONS:
        raise BadInput(
            f"initialisation {initialisation!r} is unknown; use {', '.join(INITIALISATIONS)}"
        )


def _distinct(values: _Floats, most: int) -> _Floats:
    """Distinct values of sorted ones, or the first `most` + 1 of them."""
    place = 0
    found: list[float] = []
    while place < len(values) and len(found) <= most:
        found.append(values[place])
        place = int(np.searchsorted(values, values[place], "right"))
    return np.array(found, np.float64)


def _starts(values: _Floats, count: int, initialisation: Initialisation, seed: int) -> _Floats:
    if initialisation == "linear":
        return np.unique(np.linspace(values[0], values[-1], count))
    if initialisation == "density":
        return np.unique(values[((np.arange(count) + 0.5) / count * len(values)).astype(np.int64)])
    return np.unique(values[np.random.default_rng(seed).choice(len(values), count, replace=False)])


def _lloyd(values: _Floats, centroids: _Floats) -> _Floats:
    """Lloyd's iteration on sorted values; a centroid without values stays where it is."""
    for _ in range(_SWEEPS_MAX):
        first = np.concatenate([[0], np.searchsorted(values, _middles(centroids), "right")])
        sizes = np.diff(first, append=len(values))
        used = sizes > 0
        better = centroids.copy()
        better[used] = np.add.reduceat(values, first[used]) / sizes[used]
        if np.array_equal(better, centroids):
            break
        centroids = better
    return centroids[used]


def _middles(centroids: _Floats) -> _Floats:
    middles: _Floats = centroids[:-1] + np.diff(centroids) / 2
    return middles
