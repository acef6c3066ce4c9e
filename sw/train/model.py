"""A network as tensors that can be trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from sw.network import Layer, Network

__all__ = ["Model"]


class Model:
    """Weights and biases of a network's layers, and the way from inputs to logits.

    Attributes
    ----------
    layers : tuple of Layer
        Shapes and geometry; their numbers are those the model began with.
    weights : list of Tensor (rows, columns) float32
    biases : list of Tensor (rows,) float32
    """

    def __init__(self, network: Network) -> None:
        self.layers = network.layers
        self.weights = [torch.tensor(layer.weights, dtype=torch.float32) for layer in self.layers]
        self.biases = [torch.tensor(layer.bias, dtype=torch.float32) for layer in self.layers]
        for parameter in self.parameters:
            parameter.requires_grad_(True)

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    def initialise(self, generator: torch.Generator) -> None:
        """Random weights (He et al. 2015), biases 0."""
        with torch.no_grad():
            for weight, bias in zip(self.weights, self.biases, strict=True):
                weight.copy_(torch.randn(weight.shape, generator=generator))
                weight.mul_(math.sqrt(2 / weight.shape[1]))
                bias.zero_()

    def logits(
        self,
        x: Tensor,
        weights: Sequence[Tensor] | None = None,
        dropout: Sequence[float] | None = None,
    ) -> Tensor:
        """Outputs (n, outputs) for inputs (n, inputs).

        Parameters
        ----------
        weights : sequence of Tensor, optional
            To be used in place of the model's.
        dropout : sequence of float, optional
            Share of each layer's inputs that is dropped.
        """
        weights = self.weights if weights is None else weights
        for index, layer in enumerate(self.layers):
            if dropout is not None and dropout[index]:
                x = F.dropout(x, dropout[index])
            x = _run(layer, x, weights[index], self.biases[index])
        return x

    def network(self) -> Network:
        """The float network with the model's present numbers."""
        return Network(
            tuple(
                Layer(
                    layer.name,
                    weight.detach().numpy().astype(np.float64),
                    bias.detach().numpy().astype(np.float64),
                    layer.relu,
                    layer.convolution,
                )
                for layer, weight, bias in zip(self.layers, self.weights, self.biases, strict=True)
            )
        )


def _run(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    convolution = layer.convolution
    if convolution is None:
        x = F.linear(x, weight, bias)
        return F.relu(x) if layer.relu else x
    planes = x.view(-1, convolution.channels, convolution.height, convolution.width)
    # Channel last, which is faster by a third on a CPU.
    planes = planes.contiguous(memory_format=torch.channels_last)
    kernel = weight.view(
        -1, convolution.channels, convolution.kernel_height, convolution.kernel_width
    )
    y = F.conv2d(planes, kernel, bias, convolution.stride, convolution.padding)
    if convolution.pool > 1:
        y = F.max_pool2d(y, convolution.pool)
    return (F.relu(y) if layer.relu else y).flatten(1)
