"""A network as read: float layers, shapes checked."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .convolution import Convolution, at_positions

__all__ = ["Layer", "Network"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """``relu(weights @ x + bias)``, or without the ReLU; of all x, or of a patch at every position.

    Attributes
    ----------
    weights : (rows, columns) float64; zeros are pruned weights
    bias : (rows,) float64
    convolution : Convolution, optional
        Where the layer is a convolution: a row is an output channel. None: fully connected.
    """

    name: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    convolution: Convolution | None = None

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

        def product(patches: NDArray[np.float64]) -> NDArray[np.float64]:
            y = patches @ self.weights.T + self.bias
            return np.maximum(y, 0.0) if self.relu else y

        return at_positions(self.convolution, x, product)


@dataclasses.dataclass(frozen=True)
class Network:
    """Layers in the order in which they are executed."""

    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def parameters(self) -> int:
        """Weights and biases, pruned ones included."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Float outputs (n, outputs) for inputs (n, inputs)."""
        for layer in self.layers:
            x = layer.run(x)
        return x
