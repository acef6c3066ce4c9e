"""A network as read: float layers, shapes checked."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["DenseLayer", "Network"]


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A fully connected layer: ``relu(weights @ x + bias)``, or without the ReLU.

    Attributes
    ----------
    weights : (outputs, inputs) float64; zeros are pruned weights
    bias : (outputs,) float64
    """

    name: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool


@dataclasses.dataclass(frozen=True)
class Network:
    """Layers in the order in which they are executed."""

    layers: tuple[DenseLayer, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases, pruned ones included."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Float outputs (n, outputs) for inputs (n, inputs)."""
        for layer in self.layers:
            x = x @ layer.weights.T + layer.bias
            if layer.relu:
                x = np.maximum(x, 0.0)
        return x
