"""How layers are wired: what each takes of the activations that came before it.

The tensors of a network are its input and the outputs of its layers, in order of execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Wired", "consumers", "gather", "sources", "wiring_fault"]


class Wired(Protocol):
    """What has sources.

    Attributes
    ----------
    sources : tuple of int
        How many tensors back each source is: 1 is what the layer before gives, or the network's
        input where there is no layer before.
    added : bool
        Whether sources are added; else they are concatenated, channel after channel.
    """

    @property
    def sources(self) -> tuple[int, ...]: ...
    @property
    def added(self) -> bool: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...


def gather(tensors: Sequence[NDArray[Any]], layer: Wired) -> NDArray[Any]:
    """Activations (..., inputs) that the next layer is given, from all tensors (..., n) so far."""
    parts = [tensors[-distance] for distance in layer.sources]
    if layer.added:
        total: NDArray[Any] = np.sum(parts, axis=0)
        return total
    # Planes are flattened channel first, so channels follow each other as the tensors do.
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def sources(layers: Sequence[Wired]) -> list[tuple[int, ...]]:
    """Tensors that each layer takes: 0 is the network's input, i the output of layer i - 1."""
    return [
        tuple(place + 1 - distance for distance in layer.sources)
        for place, layer in enumerate(layers)
    ]


def consumers(layers: Sequence[Wired]) -> list[list[int]]:
    """Layers that take each tensor; the last layer's output has none."""
    found: list[list[int]] = [[] for _ in range(len(layers) + 1)]
    for layer, tensors in enumerate(sources(layers)):
        for tensor in tensors:
            found[tensor].append(layer)
    return found


def wiring_fault(layers: Sequence[Wired], inputs: int) -> tuple[int, str] | None:
    """(layer, why) of the first layer that cannot be wired so, or None.

    Parameters
    ----------
    inputs : int
        Activations that the network is given.
    """
    sizes = [inputs, *(layer.outputs for layer in layers)]
    for place, layer in enumerate(layers):
        if not layer.sources or not all(1 <= d <= place + 1 for d in layer.sources):
            return place, (
                f"has sources {list(layer.sources)} tensors back; there must be some, each from 1 "
                f"to {place + 1}"
            )
        given = [sizes[place + 1 - distance] for distance in layer.sources]
        if layer.added and len(set(given)) > 1:
            return place, f"adds sources of {given} activations, which must be equally many"
        total = given[0] if layer.added else sum(given)
        if total != layer.inputs:
            return place, f"takes {layer.inputs} inputs but its sources give {total}"
    return None
