"""How much pruning each layer bears: the error when one layer at a time is pruned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.network import Layer, Network

from .prune import prune

__all__ = ["scan"]


def scan(
    network: Network,
    x: NDArray[np.floating],
    labels: NDArray[np.int64],
    densities: Sequence[float],
    advance: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Error at each density of each layer, the others as they are (Han et al. 2015, figure 6).

    The layer's weights of least magnitude are pruned, without training after it. Zeros that are
    there count as pruned, so at densities above the layer's own nothing changes.

    Parameters
    ----------
    network : Network
    x : (n, inputs) floating
        Inputs to choose by: not those of the test set.
    labels : (n,) int64
    densities : sequence of float
        Shares of a layer's weights to keep, above 0 and at most 1.
    advance : callable
        Called after each error, for a progress bar.

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
    activations = x.astype(np.float64)
    errors: dict[str, list[float]] = {}
    for place, layer in enumerate(network.layers):
        if place:
            activations = network.layers[place - 1].run(activations)
        rest = network.layers[place + 1 :]
        of_layer = errors[layer.name] = []
        for density in densities:
            pruned = dataclasses.replace(layer, weights=prune(layer.weights, density))
            of_layer.append(_error((pruned, *rest), activations, labels))
            advance()
    return errors


def _error(layers: Sequence[Layer], x: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    y = Network(tuple(layers)).predict(x)
    return float(np.mean(y.argmax(axis=1) != labels))
