"""The steps of a recipe that need no training, layer by layer."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.errors import BadInput
from sw.network import Network

from .prune import prune
from .recipe import Recipe
from .share import share_values
from .shared import Shared

__all__ = ["prune_layers", "share_layers"]


def prune_layers(network: Network, recipe: Recipe) -> Network:
    """The network with the weights of least magnitude set to 0, as many as the recipe says.

    Fixed layers are left as they are, and count for nothing.
    """
    if recipe.prune.method == "none":
        return network
    of_layers = recipe.densities(network)
    places = [place for place, layer in enumerate(network.layers) if not layer.fixed]
    weights = [network.layers[place].weights for place in places]
    densities = [of_layers[place] for place in places]
    if recipe.prune.scope == "network":
        sizes = [each.size for each in weights]
        whole = np.concatenate([each.ravel() for each in weights])[None, :]
        pruned = prune(whole, float(np.dot(densities, sizes)) / sum(sizes))
        parts = np.split(pruned[0], np.cumsum(sizes)[:-1])
        left = [part.reshape(each.shape) for part, each in zip(parts, weights, strict=True)]
    else:
        left = [prune(each, density) for each, density in zip(weights, densities, strict=True)]
    layers = list(network.layers)
    for place, each in zip(places, left, strict=True):
        layers[place] = dataclasses.replace(layers[place], weights=each)
    return Network(tuple(layers))


def share_layers(network: Network, recipe: Recipe, seed: int = 0) -> list[Shared]:
    """The layers with their weights replaced by those of a codebook each.

    The distinct weights of a fixed layer are its codebook.

    Parameters
    ----------
    seed : int
        Of clustering that starts at random (Forgy).

    Raises
    ------
    BadInput
        If a fixed layer has more distinct weights than a codebook holds.
    """
    method = recipe.share.method
    layers = []
    for layer, values, initialisation in zip(
        network.layers, recipe.values(network), recipe.initialisations(network), strict=True
    ):
        if layer.fixed and (found := len(np.unique(layer.weights[layer.weights != 0]))) > values:
            raise BadInput(
                f"layer {layer.name!r} is fixed but has {found} distinct weights; a codebook holds "
                f"{values}"
            )
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
