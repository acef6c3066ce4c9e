"""How much pruning each layer bears: the error when one layer at a time is pruned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.graph import gather
from sw.network import Layer, Network

from .formats import blocks
from .prune import prune

__all__ = ["scan"]


def scan(
    network: Network,
    x: NDArray[np.floating],
    labels: NDArray[np.int64],
    densities: Sequence[float],
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, list[float]]:
    """Error at each density of each layer, the others as they are (Han et al. 2015, figure 6).

    The layer's weights of least magnitude are pruned, without training after it. Zeros that are
    there count as pruned, so at densities above the layer's own nothing changes. Fixed layers are
    left out.

    Parameters
    ----------
    network : Network
    x : (n, inputs) floating
        Inputs to choose by: not those of the test set.
    labels : (n,) int64
    densities : sequence of float
        Shares of a layer's weights to keep, above 0 and at most 1.
    advance : callable
        Called with the number of inputs when they have been run for one error.

    Returns
    -------
    dict
        For each layer, in order, one error a density: the share of inputs, 0 to 1, whose largest
        output is not the label's.

    Raises
    ------
    BadInput
        If a density is out of range, there are no inputs, or they do not fit the network or the
        labels.
    """
    if x.ndim != 2 or x.shape[1] != network.inputs or not len(x):
        raise BadInput(f"inputs have shape {x.shape}; this network takes (n, {network.inputs})")
    if labels.shape != x.shape[:1]:
        raise BadInput(f"labels have shape {labels.shape}; {len(x)} inputs need ({len(x)},)")
    wrong: dict[str, list[int]] = {
        layer.name: [0] * len(densities) for layer in network.layers if not layer.fixed
    }
    for part in blocks(network.layers, len(x)):
        tensors = [x[part].astype(np.float64)]
        for place, layer in enumerate(network.layers):
            if not layer.fixed:
                for index, density in enumerate(densities):
                    pruned = dataclasses.replace(layer, weights=prune(layer.weights, density))
                    y = _finish((pruned, *network.layers[place + 1 :]), tensors)
                    wrong[layer.name][index] += int((y.argmax(axis=1) != labels[part]).sum())
                    advance(len(y))
            if place + 1 < len(network.layers):
                tensors.append(layer.run(gather(tensors, layer)))
    return {name: [count / len(x) for count in of] for name, of in wrong.items()}


def _finish(layers: Sequence[Layer], tensors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Outputs of the last layer, from all tensors before the first."""
    tensors = list(tensors)
    for layer in layers:
        tensors.append(layer.run(gather(tensors, layer)))
    return tensors[-1]
