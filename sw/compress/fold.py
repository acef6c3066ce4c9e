"""Dead units: what no longer depends on the input becomes part of the next layer's biases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .shared import Shared

__all__ = ["fold_dead"]


def fold_dead(layers: Sequence[Shared]) -> list[Shared]:
    """Layers that compute the same with fewer weights and biases.

    A row without weights gives the same output for all inputs: it goes into the next layer's
    biases, with the weights that it meets there. A row that no weight of the next layer meets
    loses its weights and its bias. Repeated until nothing changes.
    """
    folded = list(layers)
    while True:
        weights = sum(np.count_nonzero(layer.codes) for layer in folded)
        for index in range(len(folded) - 1):
            folded[index : index + 2] = _fold(*folded[index : index + 2])
        if sum(np.count_nonzero(layer.codes) for layer in folded) == weights:
            return folded


def _fold(before: Shared, after: Shared) -> tuple[Shared, Shared]:
    rows = len(before.bias)
    value = np.maximum(before.bias, 0.0) if before.relu else before.bias
    constant: NDArray[np.bool_] = np.count_nonzero(before.codes, axis=1) == 0
    if after.convolution is not None and after.convolution.padding > 0:
        # It meets the zeros around a plane too.
        constant &= value == 0
    met = after.codes.reshape(len(after.bias), rows, -1)
    sums = after.centroids[met].sum(axis=2)
    bias = after.bias + sums @ np.where(constant, value, 0.0)
    left = np.where(constant[None, :, None], np.uint8(0), met)
    unused: NDArray[np.bool_] = np.count_nonzero(left, axis=(0, 2)) == 0
    return (
        dataclasses.replace(
            before,
            codes=_without(before.codes, unused),
            bias=np.where(unused, 0.0, before.bias),
        ),
        dataclasses.replace(after, codes=left.reshape(after.codes.shape), bias=bias),
    )


def _without(codes: NDArray[np.uint8], rows: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(rows[:, None], np.uint8(0), codes)
