"""Which lane computes a row, and which group stores it: so that all have about as much to do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig

__all__ = ["distribute", "light_last", "over_groups", "over_lanes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_EXCHANGES = 200  # at most, after which little is left to gain
_LOOKED_AT = 1 << 18  # pairs that are weighed for an exchange
_LIGHT = 0.02  # share of a network's inputs that come last


def distribute(work: Floats, kind: Ints, cells: Ints) -> Ints:
    """Bin (n,) of each item, so that the greatest load of any bin is as little as possible.

    Greedy, the heaviest item first (longest processing time, Graham 1969); then items of the
    fullest bin are exchanged for others as long as that makes it less full.

    Parameters
    ----------
    work : (n, measures)
        What an item adds to each measure of its bin; a bin's load is the greatest of them.
    kind : (n,)
    cells : (kinds, bins)
        How many items of each kind a bin has room for.
    """
    load, free = np.zeros((cells.shape[1], work.shape[1])), cells.copy()
    place = np.empty(len(work), np.int64)
    for item in np.argsort(-work.sum(axis=1), kind="stable"):
        after, left = load + work[item], free[kind[item]]
        # The total decides between bins with the same maximum, then the room; a full bin is last.
        found = int(np.lexsort((-left, after.sum(axis=1), after.max(axis=1), left == 0))[0])
        place[item] = found
        load[found] = after[found]
        left[found] -= 1
    # Room is an item that weighs nothing.
    kinds, bins = np.nonzero(free > 0)
    work = np.concatenate([work, np.zeros((len(kinds), work.shape[1]))])
    every = np.concatenate([place, bins])
    _exchange(work, np.concatenate([kind, kinds]), every, load)
    return every[: len(place)]


def _exchange(work: Floats, kind: Ints, place: Ints, load: Floats) -> None:
    """Exchange items of the fullest bin for others of their kind, in `place` and `load`."""
    for _ in range(_EXCHANGES):
        fullest = int(load.max(axis=1).argmax())
        mine = np.flatnonzero((place == fullest) & (work.sum(axis=1) > 0))
        others = np.flatnonzero(place != fullest)
        others = others[:: 1 + len(others) * len(mine) // _LOOKED_AT]
        if not len(mine) or not len(others):
            return
        change = work[others] - work[mine][:, None]
        here = (load[fullest] + change).max(axis=2)
        there = (load[place[others]] - change).max(axis=2)
        worst = np.where(kind[mine][:, None] == kind[others], np.maximum(here, there), np.inf)
        a, b = np.unravel_index(int(worst.argmin()), worst.shape)
        if worst[a, b] >= load[fullest].max() * (1 - 1e-9):
            return
        load[fullest] += change[a, b]
        load[place[others[b]]] -= change[a, b]
        place[mine[a]], place[others[b]] = place[others[b]], fullest


def over_lanes(work: Floats, lanes: int, rows: int) -> Ints:
    """Lane (outputs,) of each output row.

    Parameters
    ----------
    work : (outputs, groups)
        Of each row in the columns of each group; every group of a lane is an element by itself.
    rows : int
        That a lane has room for.
    """
    return distribute(work, np.zeros(len(work), np.int64), np.full((1, lanes), rows))


def over_groups(
    lane: Ints, demand: Floats, rows: int, config: AcceleratorConfig, weight: Floats | None = None
) -> Ints:
    """Slot (outputs,) of each output row: row * lanes + lane; group r % groups stores row r.

    Every group is to feed the layers after as long as the others.

    Parameters
    ----------
    lane : (outputs,)
    demand : (outputs, measures)
        Cycles that an output takes its group, in the layers after.
    rows : int
        Per lane, a multiple of the groups.
    weight : (outputs,), optional
        The heavier come first: with the entries of each row, gaps are small.
    """
    lanes, groups = config.lanes, config.groups
    group = distribute(demand, lane, np.full((lanes, groups), rows // groups))
    order = np.argsort(np.zeros(len(lane)) if weight is None else -weight, kind="stable")
    slots = np.empty(len(lane), np.int64)
    for cell in range(lanes * groups):
        number, mine = cell // lanes, cell % lanes
        found = order[(group[order] == number) & (lane[order] == mine)]
        slots[found] = (np.arange(len(found)) * groups + number) * lanes + mine
    return slots


def light_last(demand: Floats) -> Floats:
    """Weight (inputs,) of a network's inputs for `over_groups`: the lightest columns come last.

    When the feeder has sent the last token, queues then hold little that is still to be done. All
    others weigh the same, so they stay mixed: a run of heavy columns would fill the queues.

    Parameters
    ----------
    demand : (inputs,)
        Products that each input is likely to take.
    """
    return np.minimum(demand, np.quantile(demand, _LIGHT))
