"""Layers changed by the nodes after them, and the layers of nodes that no other can take in.

A node that a layer can take in gives the changed layer; where it cannot, None, and the node becomes
a depthwise convolution, whose row c meets channel c alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.layouts import CODE_BITS_MAX
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer

__all__ = ["check_geometry", "elementwise", "mean", "with_pool", "with_relu", "with_scale"]


def check_geometry(geometry: Convolution) -> None:
    """Refuse a convolution that there cannot be.

    Raises
    ------
    BadInput
        Naming the fault.
    """
    if (fault := geometry.fault()) is not None:
        raise BadInput(fault)


def with_relu(layer: Layer) -> Layer | None:
    """The layer and a ReLU: which is the same before and after a maximum, not so a mean."""
    if layer.relu:
        return layer
    if layer.convolution is not None and layer.convolution.average:
        return None
    return dataclasses.replace(layer, relu=True)


def with_pool(layer: Layer, side: int, stride: int, average: bool) -> Layer | None:
    """The layer and a pooling, if it has none."""
    geometry = layer.convolution
    if geometry is None or geometry.pool != 1:
        return None
    pooled = dataclasses.replace(geometry, pool=side, overlap=side - stride, average=average)
    return dataclasses.replace(layer, convolution=pooled)


def with_scale(
    layer: Layer, factor: NDArray[np.float64], offset: NDArray[np.float64]
) -> Layer | None:
    """Every row times `factor`, plus `offset`, both (rows,); not over a ReLU or a maximum."""
    geometry = layer.convolution
    pooled = geometry is not None and geometry.pool != 1 and not geometry.average
    if layer.relu or pooled:
        return None
    weights = layer.weights * factor[:, None]
    return dataclasses.replace(
        layer,
        weights=weights,
        bias=layer.bias * factor + offset,
        fixed=layer.fixed and _fits_codebook(weights),
    )


def elementwise(
    name: str, shape: Sequence[int], factor: NDArray[np.float64], offset: NDArray[np.float64]
) -> Layer:
    """Activations of any shape, times `factor`, plus `offset`, both (shape[0],).

    Fixed, unless the factors are more than a codebook holds and must be shared.
    """
    channels, height, width = (*shape, 1, 1) if len(shape) == 1 else (*shape[:2], _size(shape[2:]))
    geometry = Convolution(channels, height, width, 1, 1, groups=channels)
    weights = factor.reshape(-1, 1).copy()
    return Layer(name, weights, offset, False, geometry, fixed=_fits_codebook(weights))


def mean(name: str, geometry: Convolution) -> Layer:
    """The mean of every window of a depthwise convolution."""
    weights = np.full((geometry.channels, geometry.columns), 1.0 / geometry.columns)
    return Layer(name, weights, np.zeros(geometry.channels), False, geometry, fixed=True)


def _size(shape: Sequence[int]) -> int:
    return math.prod(shape)


def _fits_codebook(weights: NDArray[np.float64]) -> bool:
    return len(np.unique(weights[weights != 0])) < 1 << CODE_BITS_MAX
