"""Magnitude pruning."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

__all__ = ["prune"]


def prune(weights: NDArray[np.float64], density: float) -> NDArray[np.float64]:
    """Keep the weights of greatest magnitude (Han et al. 2015), set the others to 0.

    Kept are ``max(1, floor(density * size + 1/2))`` weights, and never a weight that was 0. Of
    equal magnitudes the earlier in row-major order is kept, so the count is exact.

    Parameters
    ----------
    weights : (outputs, inputs) float64
    density : float
        Share of all weights to keep, above 0 and at most 1.

    Returns
    -------
    (outputs, inputs) float64

    Raises
    ------
    BadInput
        If the density is out of range.
    """
    if not 0 < density <= 1:
        raise BadInput(f"density is {density:g}; it must be above 0 and at most 1")
    keep = max(1, math.floor(density * weights.size + 0.5))
    order = np.argsort(-np.abs(weights), axis=None, kind="stable")
    pruned = weights.copy()
    pruned.reshape(-1)[order[keep:]] = 0.0
    return pruned
