"""Optimal one-dimensional k-means: dynamic programming on cuts that are made finer where needed.

The clusters of an optimal clustering are runs of the sorted values, so what is sought is where to
break them. Dynamic programming over all places (Wu 1991; Grønlund et al. 2017) takes time and
memory in proportion to values × clusters. Here breaks are at first allowed at few cuts only, and
what that can cost is bounded: a break of the optimum that lies within a block between two cuts can
be moved to one of them for at most half of ``items of the block × extent of the block × distance of
the two centroids``, and those distances add up to the range of the values at most. Cuts that no
clustering within the bound breaks at are dropped, those around the others are made finer, until
blocks within which all values are equal bring the bound to 0. Nothing is approximated on the way:
the result is the optimum.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["optimal_breaks"]

_Floats = NDArray[np.float64]
_Places = NDArray[np.int64]

# A cluster, from the cuts of the break before it to those of the break after it. For either:
# (3, cuts), the sorted values before each cut as their number (which is the place of the cut),
# their sum and the sum of their squares, of which only differences count.
_Cluster = tuple[_Floats, _Floats]

_CUTS = 24  # for each cluster in the first round
_FINER = 8  # times as many in each further round
_ALL = 1 << 14  # places that are few enough to leave none out
_CUTS_MAX = 1 << 22  # of all breaks together; each takes about 70 bytes
_GRID = 1 << 21  # places, of either kind, that are looked at to choose cuts
_CHUNK = 1 << 22  # values that exist squared at once
_ROUNDING = 2.0**-42  # more than a sum of squares errs by
_EXACT = 2.0**-38  # of the squared error


def optimal_breaks(values: _Floats, count: int) -> tuple[_Places, float]:
    """Where to break sorted values into `count` clusters of least squared error.

    Parameters
    ----------
    values : (n,) float64, ascending
        Finite, with squares that neither overflow nor vanish.
    count : int
        Clusters, 1 to n.

    Returns
    -------
    breaks : (count - 1,) int64, ascending
        Places of the first value of every cluster but the first.
    excess : float
        Bound of what the squared error exceeds the optimum by. 0, but for rounding, unless so many
        clusterings are nearly as good that more than 2**22 cuts would have to be kept.
    """
    size = len(values)
    grid = _grid(values)
    fine = _CUTS * count
    cuts = _cuts(grid, fine, (0, size))
    places = [np.array([0]), *[cuts] * (count - 1), np.array([size])]
    sums = _sums(values, cuts)
    clusters: list[_Cluster] = [(sums, sums)] * count
    clusters[0] = (sums[:, :1], clusters[0][1])
    clusters[-1] = (clusters[-1][0], sums[:, -1:])
    blur = np.inf
    while True:
        costs, choices = _forward(clusters)
        excess = _excess(values, places)
        last, blur = blur, _ROUNDING * sum(float(y[2, -1] - x[2, 0]) for x, y in clusters)
        # The narrower the cuts of a break, the more exact are the sums.
        exact = blur <= _EXACT * costs[-1][0] or blur >= last / 2
        if excess == 0 and exact:
            return _trace(places, choices), 0.0
        spans = _narrow(places, clusters, costs, excess + blur)
        items = sum(end - start for start, end in spans)
        fine *= size if items <= _ALL else _FINER
        inner = _refine(grid, fine, spans)
        if inner is None:
            return _trace(places, choices), excess
        places = [places[0], *inner, places[-1]]
        clusters = [_cluster(values, *pair) for pair in itertools.pairwise(places)]


def _grid(values: _Floats) -> tuple[_Places, _Floats]:
    """Places where cuts can be, all if there are not too many, and a weight up to each.

    The weight of a block is the square root of items × extent. Blocks of equal weight are the
    fewest that keep small what `_excess` adds up, in the humps and in the tails.
    """
    size = len(values)
    places = np.arange(size + 1)
    if size > _GRID:
        lines = np.linspace(values[0], values[-1], _GRID)
        places = np.linspace(0, size, _GRID).astype(np.int64)
        places = _merged(places, np.searchsorted(values, lines))
    extents = np.diff(values[np.minimum(places, size - 1)])
    return places, np.concatenate([[0.0], np.cumsum(np.sqrt(np.diff(places) * extents))])


def _refine(
    grid: tuple[_Places, _Floats], fine: int, spans: list[tuple[int, int]]
) -> list[_Places] | None:
    """`_cuts` of each span, or None if they are too many."""
    cuts: list[_Places] = []
    total = 0
    for span in spans:
        if fine >= len(grid[0]) and total + span[1] - span[0] > _CUTS_MAX:
            return None
        cuts.append(_cuts(grid, fine, span))
        total += len(cuts[-1])
        if total > _CUTS_MAX:
            return None
    return cuts


def _cuts(grid: tuple[_Places, _Floats], fine: int, span: tuple[int, int]) -> _Places:
    """First and last of `span`, and between them places by 1/`fine` of all weight apart."""
    places, weights = grid
    start, end = span
    if fine >= len(places):
        return np.arange(start, end + 1)
    first, last = np.searchsorted(places, span)
    unit = weights[-1] / fine
    marks = np.arange(weights[first], weights[last], unit) if unit else np.zeros(0)
    cuts = places[first + np.searchsorted(weights[first : last + 1], marks)]
    return _merged(np.array([start]), cuts, np.array([end]))


def _merged(*places: _Places) -> _Places:
    merged: _Places = np.sort(np.concatenate(places))  # np.unique, which hashes, takes longer
    first: NDArray[np.bool_] = np.append(True, np.diff(merged) > 0)
    return merged[first]


def _cluster(values: _Floats, before: _Places, after: _Places) -> _Cluster:
    cuts = _merged(before, after)
    sums = _sums(values, cuts)
    return sums[:, np.searchsorted(cuts, before)], sums[:, np.searchsorted(cuts, after)]


def _sums(values: _Floats, cuts: _Places) -> _Floats:
    """(3, cuts) number of values before each cut, their sum and that of their squares.

    The sums begin at the first cut, and are about the mean from there to the last cut.
    """
    part = values[cuts[0] : cuts[-1]]
    starts = cuts[:-1] - cuts[0]
    sums = np.zeros((2, len(cuts)), np.longdouble)
    centre = part.mean() if len(part) else 0.0
    for group in np.array_split(np.arange(len(starts)), 1 + len(part) // _CHUNK):
        if len(group):
            low, high = starts[group[0]], cuts[group[-1] + 1] - cuts[0]
            block = part[low:high] - centre
            sums[0, group + 1] = np.add.reduceat(block, starts[group] - low)
            sums[1, group + 1] = np.add.reduceat(block * block, starts[group] - low)
    return np.vstack([cuts.astype(np.float64), np.cumsum(sums, axis=1).astype(np.float64)])


def _forward(clusters: list[_Cluster]) -> tuple[list[_Floats], list[_Places]]:
    """For each cut of each break but the first: the least squared error of all that is before it,
    and the cut of the break before with which it is had."""
    cost = np.zeros(1)
    costs, choices = [], []
    for before, after in clusters:
        cost, choice = _step(cost, before, after)
        costs.append(cost)
        choices.append(choice)
    return costs, choices


def _step(costs: _Floats, before: _Floats, after: _Floats) -> tuple[_Floats, _Places]:
    """One more cluster: least cost at each cut of `after`, and the cut of `before` it comes from.

    The better a cut is further on, the further on is the cut that it comes from: divide and
    conquer, all cuts of a depth at once.
    """
    width, most = after.shape[1], before.shape[1] - 1
    last = np.searchsorted(before[0], after[0], "right") - 1
    limit = np.maximum(last, 0)
    base = costs - before[2]
    best, choice = np.empty(width), np.empty(width, np.int64)
    stride = 1 << width.bit_length()
    while stride := stride >> 1:
        cuts = np.arange(stride - 1, width, 2 * stride)
        low = np.where(cuts >= stride, choice[cuts - stride], 0)
        beyond = cuts + stride
        high = np.where(beyond < width, choice[np.minimum(beyond, width - 1)], most)
        high = np.minimum(high, limit[cuts])
        low = np.minimum(low, high)
        lengths = high - low + 1
        starts = np.cumsum(lengths) - lengths
        source = np.arange(lengths.sum()) + np.repeat(low - starts, lengths)
        target = np.repeat(cuts, lengths)
        number = np.maximum(after[0][target] - before[0][source], 1.0)
        total = after[1][target] - before[1][source]
        cost = base[source] + (after[2][target] - total * total / number)
        least = np.minimum.reduceat(cost, starts)
        hits = np.flatnonzero(cost == np.repeat(least, lengths))
        best[cuts] = least
        choice[cuts] = source[hits[np.searchsorted(hits, starts)]]
    best[last < 0] = np.inf  # no cut of `before` is before it
    return best, choice


def _excess(values: _Floats, places: list[_Places]) -> float:
    """Bound of what breaking at cuts only can cost, if the optimum breaks between first and last.

    Let m be half way between the centroids on either side of a break, and lie within a block. To
    move the break to the block's end costs twice the centroids' distance times the sum of v - m
    over the values v behind m; to its beginning, likewise. The lesser of the two sums is at most a
    quarter of the block's items × its extent. Distances are at most what the cuts allow, and all
    together the range of the values: the bound is for those that cost the most.
    """
    lows = np.array([values[min(cuts[0], len(values) - 1)] for cuts in places])
    highs = np.array([values[max(cuts[-1] - 1, 0)] for cuts in places])
    rates = np.array(
        [
            (np.diff(cuts) * (values[cuts[1:] - 1] - values[cuts[:-1]])).max(initial=0.0) / 2
            for cuts in places[1:-1]
        ]
    )
    distances = np.maximum(highs[2:] - lows[:-2], 0.0)
    order = np.argsort(-rates)
    shares = np.diff(np.minimum(np.cumsum(distances[order]), values[-1] - values[0]), prepend=0.0)
    return float(shares @ rates[order])


def _narrow(
    places: list[_Places], clusters: list[_Cluster], costs: list[_Floats], slack: float
) -> list[tuple[int, int]]:
    """First and last place that each break can have in a clustering of the least cost + slack."""
    mirrored = [(-after[:, ::-1], -before[:, ::-1]) for before, after in clusters[::-1]]
    rests = [cost[::-1] for cost in _forward(mirrored)[0]]
    most = costs[-1][0] + slack
    spans = []
    for cuts, cost, rest in zip(places[1:-1], costs[:-1], rests[-2::-1], strict=True):
        kept = np.flatnonzero(cost + rest <= most)
        # The optimum's break may be in the block before the first kept cut, or after the last.
        first, last = max(kept[0] - 1, 0), min(kept[-1] + 1, len(cuts) - 1)
        spans.append((int(cuts[first]), int(cuts[last])))
    return spans


def _trace(places: list[_Places], choices: list[_Places]) -> _Places:
    """Breaks of the best clustering, found from the last to the first."""
    cut, breaks = 0, []
    for cuts, choice in zip(places[-2:0:-1], choices[:0:-1], strict=True):
        cut = int(choice[cut])
        breaks.append(int(cuts[cut]))
    return np.array(breaks[::-1], np.int64)
