"""Which layers a recipe's rules are for: names with wildcards, and places."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from sw.errors import BadInput
from sw.graph import sources
from sw.network import Layer, Network

__all__ = ["PLACES", "matching"]

PLACES = ("@convolution", "@dense", "@first", "@flattened", "@last")


def matching(network: Network, patterns: Sequence[str]) -> list[list[int]]:
    """For each layer, the patterns that it matches, the last first.

    Raises
    ------
    BadInput
        If a pattern names no layer; places may be empty.
    """
    names = [layer.name for layer in network.layers]
    for pattern in patterns:
        if not pattern.startswith("@") and not fnmatch.filter(names, pattern):
            raise BadInput(
                f"the recipe has a rule for layer {pattern!r}; the network's layers are "
                + ", ".join(names)
            )
    return [
        [
            index
            for index in reversed(range(len(patterns)))
            if patterns[index] in places or fnmatch.fnmatchcase(name, patterns[index])
        ]
        for name, places in zip(names, _places(network), strict=True)
    ]


def _places(network: Network) -> list[set[str]]:
    """Which of `PLACES` each layer is in; fixed layers are neither first nor last."""
    layers = network.layers
    places = [_kinds(layers, *pair) for pair in zip(layers, sources(layers), strict=True)]
    learned = [place for place, layer in enumerate(layers) if not layer.fixed]
    if learned:
        places[learned[0]].add("@first")
        places[learned[-1]].add("@last")
    return places


def _kinds(layers: Sequence[Layer], layer: Layer, tensors: Sequence[int]) -> set[str]:
    """Places of a layer that takes these tensors, whatever its own."""
    if layer.convolution is not None:
        return {"@convolution"}
    given = [layers[tensor - 1].convolution for tensor in tensors if tensor]
    planes = any(c is not None and c.plane != (1, 1) for c in given)
    return {"@dense", "@flattened"} if planes else {"@dense"}
