"""From named arrays to a network: what the readers of array files share."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sw.architectures import NAMES, template
from sw.errors import BadInput
from sw.network import Layer, Network

__all__ = [
    "MAX_VALUES",
    "check_header",
    "check_name",
    "check_size",
    "finite",
    "require_file",
    "to_network",
]

# Values of one file: what it may cost in memory is known before anything is allocated.
MAX_VALUES = 1 << 27
_PARTS = {".weight": "weight", ".bias": "bias", "_w": "weight", "_b": "bias"}
_NORMALISATION = (".running_mean", ".running_var", ".num_batches_tracked")
_WANTED = (
    "a network is made of arrays NAME.weight (outputs, inputs) and NAME.bias (outputs,), "
    "or NAME_w and NAME_b"
)

Array = NDArray[np.floating[Any]]


def require_file(path: Path) -> None:
    """Refuse what is no regular file: a pipe would block, and a device may never end."""
    # Unlike Path's, these two never raise.
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadInput(f"{path} cannot be read: it is not a regular file")


def check_header(where: str, dtype: np.dtype[Any], shape: tuple[int, ...], total: int) -> int:
    """Refuse an array by its header, before its values are read.

    Parameters
    ----------
    where : str
        File and array, for the message.
    dtype, shape
        As the header says.
    total : int
        Values of the arrays before this one.

    Returns
    -------
    int
        Values up to and with this array.

    Raises
    ------
    BadInput
        If it does not hold 16, 32 or 64-bit floats, or the file holds more than `MAX_VALUES`.
    """
    if dtype not in (np.float16, np.float32, np.float64):
        raise BadInput(f"{where} holds {dtype} values; they must be 16, 32 or 64-bit floats")
    return check_size(where, shape, total)


def check_size(where: str, shape: tuple[int, ...], total: int) -> int:
    """`check_header`, of values of any type."""
    if any(length < 0 for length in shape):
        raise BadInput(f"{where} has the impossible shape {shape}")
    total += math.prod(shape)
    if total > MAX_VALUES:
        raise BadInput(f"{where} brings the file to {total} values; at most {MAX_VALUES} are read")
    return total


def check_name(path: Path, array_name: str) -> tuple[str, str]:
    """Layer of an array and which of its arrays it is, "weight" or "bias".

    Raises
    ------
    BadInput
        If it is neither.
    """
    for suffix, part in _PARTS.items():
        if array_name.endswith(suffix) and array_name != suffix:
            return array_name.removesuffix(suffix), part
    if array_name.endswith(_NORMALISATION):
        raise BadInput(
            f"{path} holds an array {array_name!r} of a batch normalisation, whose epsilon is not "
            "in a file of arrays; write the network with torch.export.save (.pt2) or as ONNX"
        )
    raise BadInput(f"{path} holds an array {array_name!r}; {_WANTED}")


def to_network(
    path: Path, arrays: Sequence[tuple[str, Array]], architecture: str | None = None
) -> Network:
    """Network of arrays ``NAME.weight`` and ``NAME.bias``, or ``NAME_w`` and ``NAME_b``.

    Without an architecture, all layers are fully connected, in the order of their weights, with
    ReLU between them and none after the last. With one, each of its layers that are not fixed, in
    order, takes the first weights left that have its shape, and keeps its own name: file order
    decides between layers of equal shape, and the order of the others does not matter.

    Parameters
    ----------
    path : Path
        File that the arrays are from, for messages.
    arrays : sequence of (name, array)
        In file order, names without repetition. A layer without ``NAME.bias`` has zeros for it, as
        ``bias=False`` in PyTorch; ``NAME_b`` must be there.
    architecture : str, optional
        One of `sw.architectures.NAMES`.

    Raises
    ------
    BadInput
        If a name or shape is not as above, an array has no partner, or a value is not finite.
    """
    if not arrays:
        raise BadInput(f"{path} holds no arrays; {_WANTED}")
    pairs = _pair(path, arrays)
    if architecture is not None:
        return _fit(path, pairs, architecture)
    last = pairs[-1].name
    layers = []
    for item in pairs:
        _check_dense(f"{path}: layer {item.name!r}", item.weights.shape)
        layers.append(Layer(item.name, item.weights, item.bias, relu=item.name != last))
    _check_chain(path, layers)
    return Network(tuple(layers))


class _Pair(NamedTuple):
    name: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


def _pair(path: Path, arrays: Sequence[tuple[str, Array]]) -> list[_Pair]:
    """Weights with their biases, in the order of the weights; shapes of biases are checked."""
    weights: dict[str, tuple[str, Array]] = {}
    biases: dict[str, tuple[str, Array]] = {}
    for array_name, array in arrays:
        name, part = check_name(path, array_name)
        found = weights if part == "weight" else biases
        if name in found:
            raise BadInput(f"{path} holds both {found[name][0]!r} and {array_name!r}")
        found[name] = (array_name, array)
    for name, (array_name, _) in biases.items():
        if name not in weights:
            wanted = name + (".weight" if array_name.endswith(".bias") else "_w")
            raise BadInput(f"{path}: layer {name!r} has a bias but no array {wanted!r}")
    pairs = []
    for name, (array_name, array) in weights.items():
        if not array.ndim or 0 in array.shape:
            raise BadInput(f"{path}: layer {name!r} is empty: its weights have shape {array.shape}")
        rows = array.shape[:1]
        if name not in biases and array_name.endswith("_w"):
            raise BadInput(f"{path}: layer {name!r} has no bias; it needs an array {name + '_b'!r}")
        bias_name, bias = biases.get(name, ("", np.zeros(rows)))
        if bias.shape != rows:
            raise BadInput(
                f"{path}: layer {name!r} has a bias of shape {bias.shape}; with its weights it is "
                f"{rows}"
            )
        pairs.append(
            _Pair(
                name,
                finite(f"{path}: array {array_name!r}", array),
                finite(f"{path}: array {bias_name!r}", bias),
            )
        )
    return pairs


def _fit(path: Path, pairs: Sequence[_Pair], architecture: str) -> Network:
    left = list(pairs)
    layers = []
    for layer in template(architecture).layers:
        if layer.fixed:
            layers.append(layer)
            continue
        shape = layer.weights.shape
        if (geometry := layer.convolution) is not None:
            channels = geometry.channels // geometry.groups
            shape = (len(layer.bias), channels, geometry.kernel_height, geometry.kernel_width)
        found = next((item for item in left if item.weights.shape == shape), None)
        if found is None:
            rest = ", ".join(f"{item.name!r} {item.weights.shape}" for item in left) or "none"
            raise BadInput(
                f"{path}: layer {layer.name!r} of architecture {architecture} takes weights of "
                f"shape {shape}; of those in the file there are left: {rest}"
            )
        left.remove(found)
        weights = found.weights.reshape(layer.weights.shape)
        layers.append(dataclasses.replace(layer, weights=weights, bias=found.bias))
    if left:
        raise BadInput(
            f"{path}: layer {left[0].name!r} with weights of shape {left[0].weights.shape} has no "
            f"place in architecture {architecture}"
        )
    return Network(tuple(layers))


def _check_dense(where: str, weights: tuple[int, ...]) -> None:
    if len(weights) == 4:
        raise BadInput(
            f"{where} has weights of shape {weights}, a convolution's, and a file of arrays does "
            f"not say where kernels go; name its architecture: {', '.join(NAMES)}"
        )
    if len(weights) != 2:
        raise BadInput(f"{where} has weights of shape {weights}; it must be (outputs, inputs)")


def _check_chain(path: Path, layers: Sequence[Layer]) -> None:
    for before, after in itertools.pairwise(layers):
        outputs, inputs = before.weights.shape[0], after.weights.shape[1]
        if outputs != inputs:
            raise BadInput(
                f"{path}: layer {before.name!r} gives {outputs} outputs but layer {after.name!r} "
                f"takes {inputs} inputs; they must be equal"
            )


def finite(where: str, array: Array) -> NDArray[np.float64]:
    """The array as float64.

    Parameters
    ----------
    where : str
        File and array, for the message.

    Raises
    ------
    BadInput
        If a value is not finite; says where it is.
    """
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise BadInput(f"{where} holds {array[index]} at {list(index)}; every value must be finite")
    return np.ascontiguousarray(array, np.float64)
