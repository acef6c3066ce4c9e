"""A float layer whose weights are those of a codebook."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sw.convolution import Convolution
from sw.graph import Wired
from sw.network import Layer

__all__ = ["Shared", "sizes"]


@dataclasses.dataclass(frozen=True)
class Shared:
    """A float layer whose weights are ``centroids[codes]``; ``centroids[0] == 0``.

    All else is as in `sw.network.Layer`.
    """

    name: str
    codes: NDArray[np.uint8]
    centroids: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    convolution: Convolution | None = None
    sources: tuple[int, ...] = (1,)
    added: bool = False
    fixed: bool = False

    @property
    def layer(self) -> Layer:
        """The float layer that this stands for."""
        return Layer(
            self.name,
            self.centroids[self.codes],
            self.bias,
            self.relu,
            self.convolution,
            self.sources,
            self.added,
            self.fixed,
        )

    @property
    def inputs(self) -> int:
        """Activations that go in."""
        return int(self.codes.shape[1]) if self.convolution is None else self.convolution.inputs

    @property
    def outputs(self) -> int:
        """Activations that come out."""
        plane = 1 if self.convolution is None else int(np.prod(self.convolution.plane))
        return len(self.bias) * plane

    @property
    def groups(self) -> int:
        return 1 if self.convolution is None else self.convolution.groups

    @functools.cached_property
    def used(self) -> NDArray[np.bool_]:
        """Whether any weight has a centroid (n,)."""
        return np.bincount(self.codes.ravel(), minlength=len(self.centroids)) > 0

    @functools.cached_property
    def split(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (rows, columns): the positive ones, and the negative ones, 0 elsewhere."""
        return (
            np.maximum(self.centroids, 0.0)[self.codes],
            np.minimum(self.centroids, 0.0)[self.codes],
        )


def sizes(layers: Sequence[Wired]) -> list[int]:
    """Activations of all tensors: the network's input, and every layer's outputs."""
    first = layers[0]
    given = first.inputs if first.added else first.inputs // len(first.sources)
    return [given, *(layer.outputs for layer in layers)]
