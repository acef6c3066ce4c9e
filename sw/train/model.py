"""A network as tensors that can be trained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from sw.graph import sources
from sw.network import Layer, Network

__all__ = ["Model"]


class Model:
    """Weights and biases of a network's layers, and the way from inputs to logits.

    Attributes
    ----------
    layers : tuple of Layer
        Shapes, geometry and wiring; their numbers are those the model began with.
    learned : list of int
        Places of the layers that are not fixed. All that is said layer by layer is of these.
    weights : list of Tensor (rows, columns) float32
    biases : list of Tensor (rows,) float32
    """

    def __init__(self, network: Network) -> None:
        self.layers = network.layers
        self.learned = [place for place, layer in enumerate(self.layers) if not layer.fixed]
        pairs = [
            tuple(torch.tensor(array, dtype=torch.float32) for array in (layer.weights, layer.bias))
            for layer in self.layers
        ]
        self.weights, self.biases = ([pairs[place][i] for place in self.learned] for i in (0, 1))
        self._fixed = {
            place: pairs[place] for place, layer in enumerate(self.layers) if layer.fixed
        }
        last = {tensor: place for place, of in enumerate(sources(self.layers)) for tensor in of}
        self._dropped = [
            [tensor for tensor, place in last.items() if place == now]
            for now in range(len(self.layers))
        ]
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
        numbers = dict(zip(self.learned, zip(weights, self.biases, strict=True), strict=True))
        shares = dict(zip(self.learned, dropout or [0.0] * len(self.learned), strict=True))
        tensors = {0: x}
        for place, layer in enumerate(self.layers):
            x = _gather([tensors[place + 1 - distance] for distance in layer.sources], layer.added)
            if shares.get(place):
                x = F.dropout(x, shares[place])
            x = _run(layer, x, *(numbers.get(place) or self._fixed[place]))
            tensors[place + 1] = x
            for tensor in self._dropped[place]:
                del tensors[tensor]
        return x

    def network(self) -> Network:
        """The float network with the model's present numbers."""
        layers = list(self.layers)
        for place, weight, bias in zip(self.learned, self.weights, self.biases, strict=True):
            layers[place] = dataclasses.replace(
                layers[place],
                weights=weight.detach().numpy().astype(np.float64),
                bias=bias.detach().numpy().astype(np.float64),
            )
        return Network(tuple(layers))


def _gather(parts: list[Tensor], added: bool) -> Tensor:
    """What a layer is given, as `sw.graph.gather` has it."""
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum(0) if added else torch.cat(parts, 1)


def _run(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    convolution = layer.convolution
    if convolution is None:
        x = F.linear(x, weight, bias)
        return F.relu(x) if layer.relu else x
    planes = x.view(-1, convolution.channels, convolution.height, convolution.width)
    # Channel last, which is faster by a third on a CPU.
    planes = planes.contiguous(memory_format=torch.channels_last)
    kernel = weight.view(
        -1,
        convolution.channels // convolution.groups,
        convolution.kernel_height,
        convolution.kernel_width,
    )
    y = F.conv2d(
        planes,
        kernel,
        bias,
        convolution.stride,
        convolution.padding,
        groups=convolution.groups,
    )
    if convolution.average:
        y = F.relu(y) if layer.relu else y
        y = F.avg_pool2d(y, convolution.pool, convolution.pool_stride)
        return y.flatten(1)
    if convolution.pool > 1:
        y = F.max_pool2d(y, convolution.pool, convolution.pool_stride)
    return (F.relu(y) if layer.relu else y).flatten(1)
