"""From named arrays to a network: what the readers of array files share."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.network import Layer, Network

__all__ = ["MAX_VALUES", "check_header", "pair", "require_file"]

# Values of one file: what it may cost in memory is known before anything is allocated.
MAX_VALUES = 1 << 27
_WANTED = "a network is made of arrays NAME_w (outputs, inputs) and NAME_b (outputs,)"

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
    if any(length < 0 for length in shape):
        raise BadInput(f"{where} has the impossible shape {shape}")
    total += math.prod(shape)
    if total > MAX_VALUES:
        raise BadInput(f"{where} brings the file to {total} values; at most {MAX_VALUES} are read")
    return total


def pair(path: Path, arrays: Sequence[tuple[str, Array]]) -> Network:
    """Fully connected network of arrays ``NAME_w`` and ``NAME_b``.

    Layers are executed in the order of their weights; ReLU stands between layers and not after
    the last.

    Parameters
    ----------
    path : Path
        File that the arrays are from, for messages.
    arrays : sequence of (name, array)
        In file order, names without repetition.

    Raises
    ------
    BadInput
        If a name or shape is not as above, an array has no partner, or a value is not finite.
    """
    if not arrays:
        raise BadInput(f"{path} holds no arrays; {_WANTED}")
    weights: dict[str, Array] = {}
    biases: dict[str, Array] = {}
    for array_name, array in arrays:
        name, suffix = array_name[:-2], array_name[-2:]
        if suffix not in ("_w", "_b") or not name:
            raise BadInput(f"{path} holds an array {array_name!r}; {_WANTED}")
        (weights if suffix == "_w" else biases)[name] = array
    for name in biases:
        if name not in weights:
            raise BadInput(f"{path}: layer {name!r} has a bias but no array {name + '_w'!r}")
    names = list(weights)
    layers = []
    for name in names:
        if name not in biases:
            raise BadInput(f"{path}: layer {name!r} has no bias; it needs an array {name + '_b'!r}")
        _check_shapes(f"{path}: layer {name!r}", weights[name].shape, biases[name].shape)
        layers.append(
            Layer(
                name,
                _finite(path, name + "_w", weights[name]),
                _finite(path, name + "_b", biases[name]),
                relu=name != names[-1],
            )
        )
    _check_chain(path, layers)
    return Network(tuple(layers))


def _check_shapes(where: str, weights: tuple[int, ...], bias: tuple[int, ...]) -> None:
    if len(weights) == 4:
        raise BadInput(
            f"{where} has weights of shape {weights}: convolutions are not supported yet"
        )
    if len(weights) != 2:
        raise BadInput(f"{where} has weights of shape {weights}; it must be (outputs, inputs)")
    if 0 in weights:
        raise BadInput(f"{where} is empty: its weights have shape {weights}")
    if bias != weights[:1]:
        raise BadInput(f"{where} has a bias of shape {bias}; with its weights it is {weights[:1]}")


def _check_chain(path: Path, layers: Sequence[Layer]) -> None:
    for before, after in itertools.pairwise(layers):
        outputs, inputs = before.weights.shape[0], after.weights.shape[1]
        if outputs != inputs:
            raise BadInput(
                f"{path}: layer {before.name!r} gives {outputs} outputs but layer {after.name!r} "
                f"takes {inputs} inputs; they must be equal"
            )


def _finite(path: Path, array_name: str, array: Array) -> NDArray[np.float64]:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise BadInput(
            f"{path}: array {array_name!r} holds {array[index]} at {list(index)}; "
            "every value must be finite"
        )
    return np.ascontiguousarray(array, np.float64)
