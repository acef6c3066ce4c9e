"""A network as read: float layers, shapes checked."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .convolution import Convolution, at_positions, multiply
from .graph import gather

__all__ = ["Layer", "Network"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """``relu(weights @ x + bias)``, or without the ReLU; of all x, or of a patch at every position.

    Attributes
    ----------
    weights : (rows, columns) float64; zeros are pruned weights
        With the groups of a convolution, a row has the columns of its own group only.
    bias : (rows,) float64
    convolution : Convolution, optional
        Where the layer is a convolution: a row is an output channel. None: fully connected.
    sources : tuple of int
        What it takes (see `sw.graph`).
    added : bool
        Whether sources are added; else they are concatenated.
    fixed : bool
        Its weights are a part of the structure, such as the ones of an addition or the 1/n of a
        mean: they are neither pruned, nor trained, nor shared with others.
    """

    name: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    convolution: Convolution | None = None
    sources: tuple[int, ...] = (1,)
    added: bool = False
    fixed: bool = False

    @property
    def inputs(self) -> int:
        """Activations that go in; those of a convolution are flattened, channel first."""
        return int(self.weights.shape[1]) if self.convolution is None else self.convolution.inputs

    @property
    def outputs(self) -> int:
        """Activations that come out, flattened likewise."""
        rows = int(self.weights.shape[0])
        return rows if self.convolution is None else rows * int(np.prod(self.convolution.plane))

    def run(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs (n, outputs) for inputs (n, inputs)."""

        groups = 1 if self.convolution is None else self.convolution.groups

        def product(patches: NDArray[np.float64]) -> NDArray[np.float64]:
            y = multiply(patches, self.weights, groups) + self.bias
            return np.maximum(y, 0.0) if self.relu else y

        return at_positions(self.convolution, x, product)


@dataclasses.dataclass(frozen=True)
class Network:
    """Layers in the order in which they are executed."""

    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        # The first layer takes the input alone, though perhaps several times.
        first = self.layers[0]
        return first.inputs if first.added else first.inputs // max(1, len(first.sources))

    @property
    def parameters(self) -> int:
        """Weights and biases, pruned ones included."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Float outputs (n, outputs) for inputs (n, inputs)."""
        tensors = [x]
        for layer in self.layers:
            tensors.append(layer.run(gather(tensors, layer)))
        return tensors[-1]
