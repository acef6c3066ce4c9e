"""The steps of a recipe that need no training, layer by layer."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.network import Network

from .prune import prune
from .recipe import Recipe
from .share import share_values
from .shared import Shared

__all__ = ["prune_layers", "share_layers"]


def prune_layers(network: Network, recipe: Recipe) -> Network:
    """The network with the weights of least magnitude set to 0, as many as the recipe says."""
    if recipe.prune.method == "none":
        return network
    densities = recipe.densities(network)
    weights = [layer.weights for layer in network.layers]
    if recipe.prune.scope == "network":
        sizes = [each.size for each in weights]
        whole = np.concatenate([each.ravel() for each in weights])[None, :]
        pruned = prune(whole, float(np.dot(densities, sizes)) / sum(sizes))
        parts = np.split(pruned[0], np.cumsum(sizes)[:-1])
        left = [part.reshape(each.shape) for part, each in zip(parts, weights, strict=True)]
    else:
        left = [prune(each, density) for each, density in zip(weights, densities, strict=True)]
    return Network(
        tuple(
            dataclasses.replace(layer, weights=each)
            for layer, each in zip(network.layers, left, strict=True)
        )
    )


def share_layers(network: Network, recipe: Recipe, seed: int = 0) -> list[Shared]:
    """The layers with their weights replaced by those of a codebook each.

    Parameters
    ----------
    seed : int
        Of clustering that starts at random (Forgy).
    """
    method = recipe.share.method
    layers = []
    for layer, values, initialisation in zip(
        network.layers, recipe.values(network), recipe.initialisations(network), strict=True
    ):
        codes, centroids = share_values(layer.weights, values, method, initialisation, seed)
        layers.append(
            Shared(
                layer.name,
                codes,
                centroids,
                layer.bias,
                layer.relu,
                layer.convolution,
                layer.sources,
                layer.added,
                layer.fixed,
            )
        )
    return layers
