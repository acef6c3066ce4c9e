"""What layers do, told from their integers, and where each takes its inputs from, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sw.compressed import CompressedLayer, CompressedNetwork
from sw.convolution import Convolution

__all__ = [
    "KINDS",
    "STRUCTURE",
    "inputs",
    "is_plain",
    "is_structure",
    "kernel",
    "kind",
    "learned",
    "outputs",
    "parameters",
    "pooling",
    "sentence",
    "shape_record",
    "taken",
]

STRUCTURE = ("addition", "mean", "identity")
"""Kinds of layers whose weights are no parameters of the network."""

KINDS = ("dense", "convolution", "grouped", "depthwise", *STRUCTURE)

_WORDS = {
    "dense": "Fully connected",
    "convolution": "Convolution",
    "grouped": "Grouped convolution",
    "depthwise": "Depthwise convolution",
    "addition": "Addition",
    "mean": "Mean of windows",
    "identity": "Identity",
}
_INPUT = "input"


def is_structure(layer: CompressedLayer) -> bool:
    """Whether a layer does nothing but add, take means, pool, or cut off negative values.

    That is a convolution of every channel by itself, in which all weights are 1 over their number
    and all biases 0.
    """
    where = layer.convolution
    if where is None or not where.groups == where.channels == layer.rows:
        return False
    value = int(np.rint(np.ldexp(1.0 / layer.columns, layer.weight_fraction)))
    code = int(layer.codes[0, 0])
    alike = bool((layer.codes == code).all()) and int(layer.codebook[code]) == value
    return value != 0 and alike and not layer.bias.any()


def kind(layer: CompressedLayer) -> str:
    """One of `KINDS`."""
    where = layer.convolution
    if where is None:
        return "dense"
    if is_structure(layer):
        if layer.columns > 1:
            return "mean"
        return "addition" if layer.added else "identity"
    if where.groups == 1:
        return "convolution"
    return "depthwise" if where.groups == where.channels else "grouped"


def learned(network: CompressedNetwork) -> tuple[CompressedLayer, ...]:
    """The layers whose weights are parameters of the network; all of them if none are."""
    found = tuple(layer for layer in network.layers if not is_structure(layer))
    return found or network.layers


def parameters(network: CompressedNetwork) -> int:
    """Weights and biases, pruned ones included, those of structure not."""
    return sum(layer.codes.size + layer.bias.size for layer in learned(network))


def is_plain(network: CompressedNetwork) -> bool:
    """Whether every layer takes what the layer before gives and nothing else."""
    return all(layer.sources == (1,) for layer in network.layers)


def taken(names: Sequence[str], network: CompressedNetwork, place: int) -> str:
    """What a layer takes, in words: sources that are added, or that are concatenated.

    Parameters
    ----------
    names : sequence of str
        Of the layers.
    """
    found = [names[tensor - 1] if tensor else _INPUT for tensor in network.sources[place]]
    return (" + " if network.layers[place].added else ", ").join(found)


def kernel(layer: CompressedLayer) -> str:
    """Size of a convolution's kernel, and what is unusual about it; empty where it does nothing."""
    where = layer.convolution
    if where is None or kind(layer) in ("addition", "identity"):
        return ""
    said = [f"{where.kernel_height} × {where.kernel_width}"]
    if where.padding:
        said.append(f"padding {where.padding}")
    if where.stride > 1:
        said.append(f"stride {where.stride}")
    if 1 < where.groups < where.channels:
        said.append(f"{where.groups} groups")
    return ", ".join(said)


def pooling(where: Convolution | None) -> str:
    """What comes after a convolution, in words; empty where nothing does."""
    if where is None or where.pool == 1:
        return ""
    how = f"{'mean' if where.average else 'max'} {where.pool} × {where.pool}"
    return f"{how}, stride {where.pool_stride}" if where.overlap else how


def inputs(network: CompressedNetwork) -> str:
    """Channels, height and width of what a network is given, as far as they are known."""
    first = network.layers[0]
    where = first.convolution
    if where is None or (len(first.sources) > 1 and not first.added):
        return f"{network.inputs:,}"
    return f"{where.channels:,} × {where.height:,} × {where.width:,}"


def outputs(layer: CompressedLayer) -> str:
    """Channels, height and width of what a layer gives."""
    lengths = (layer.rows,) if layer.convolution is None else (layer.rows, *layer.convolution.plane)
    return " × ".join(f"{length:,}" for length in lengths)


def sentence(names: Sequence[str], network: CompressedNetwork, place: int) -> str:
    """What a layer is, what it takes unless that is the layer before, and what it gives."""
    layer = network.layers[place]
    said = [_WORDS[kind(layer)]]
    if layer.sources != (1,):
        said.append(f"of {taken(names, network, place)}")
    what = " ".join(said)
    if geometry := [part for part in (kernel(layer), pooling(layer.convolution)) if part]:
        what += f", {', then '.join(geometry)}"
    return f"{what}, gives {outputs(layer)}"


def shape_record(network: CompressedNetwork, place: int) -> dict[str, Any]:
    """Kind, wiring and geometry of a layer, as JSON has them.

    ``kind``, ``structure``
        One of `KINDS`; whether the weights are no parameters.
    ``sources``, ``added``
        What it takes: 0 is the network's input, n the outputs of the n-th layer. Whether these are
        added; else they are concatenated.
    ``outputs``
        Channels, height and width; of a dense layer, the number alone.
    ``convolution``
        Null, or its ``kernel``, ``groups``, ``stride``, ``padding``, and ``pooling``: null, or its
        ``kind`` (max or mean), ``side`` and ``stride``.
    """
    layer = network.layers[place]
    made: dict[str, Any] = {
        "kind": kind(layer),
        "structure": is_structure(layer),
        "sources": list(network.sources[place]),
        "added": layer.added,
        "outputs": [layer.rows],
        "convolution": None,
    }
    where = layer.convolution
    if where is not None:
        how = "mean" if where.average else "max"
        pooled = {"kind": how, "side": where.pool, "stride": where.pool_stride}
        made["outputs"] = [layer.rows, *where.plane]
        made["convolution"] = {
            "kernel": [where.kernel_height, where.kernel_width],
            "groups": where.groups,
            "stride": where.stride,
            "padding": where.padding,
            "pooling": pooled if where.pool > 1 else None,
        }
    return made
