"""Compressed networks in the .net layout of Deep Compression's authors.

Little endian: a count of stored entries a layer, uint32; then, layer after layer, a codebook of
256 float32, a float32 bias a row, a byte of code an entry, and four bits of gap an entry, the first
of two in the low bits of their byte. An entry lies gap + 1 places after the one before it, in the
weights (rows, channels, kernel height, kernel width) as one line. Padding has code 0, whose weight
is 0, and the greatest gap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sw.architectures import template
from sw.errors import BadInput
from sw.network import Layer

from .arrays import finite, require_file
from .shapes import naming

__all__ = ["StoredLayer", "read_net"]

_CODES = 256
_COUNT_BYTES = 4
_FLOAT = np.dtype("<f4")


class StoredLayer(NamedTuple):
    """A layer as the file has it.

    Attributes
    ----------
    codes : (rows, columns) uint8
    codebook : (256,) float64; the first is 0
    bias : (rows,) float64
    entries : int
        That are stored, padding among them.
    """

    codes: NDArray[np.uint8]
    codebook: NDArray[np.float64]
    bias: NDArray[np.float64]
    entries: int


def read_net(path: str | Path, architecture: str) -> list[StoredLayer]:
    """Layers of a .net file, those of the architecture that are not fixed, in order.

    Parameters
    ----------
    path : str or Path
    architecture : str
        One of `sw.architectures.NAMES`.

    Raises
    ------
    BadInput
        If there is no such architecture, or the file cannot be read, is not as long as its counts
        and the architecture say, or holds a number that there cannot be.
    """
    path = Path(path)
    layers = [layer for layer in template(architecture).layers if not layer.fixed]
    require_file(path)
    with naming(str(path)):
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno()).st_size
                data = file.read(_COUNT_BYTES * len(layers))
                counts = _counts(data, layers, architecture)
                _check_size(found, counts, layers, architecture)
                return [
                    _layer(file.read(_bytes(layer, count)), layer, count)
                    for layer, count in zip(layers, counts, strict=True)
                ]
        except OSError as error:
            raise BadInput(f"it cannot be read: {error.strerror or error}") from error


def _bytes(layer: Layer, entries: int) -> int:
    """What a layer takes of the file."""
    return _FLOAT.itemsize * (_CODES + len(layer.bias)) + entries + (entries + 1) // 2


def _counts(data: bytes, layers: Sequence[Layer], architecture: str) -> list[int]:
    """Entries of each layer, no more than it has weights."""
    if len(data) < _COUNT_BYTES * len(layers):
        raise BadInput(
            f"it has {len(data)} bytes; the counts of {architecture}'s {len(layers)} layers alone "
            f"take {_COUNT_BYTES * len(layers)}"
        )
    counts = [int(count) for count in np.frombuffer(data, "<u4")]
    for layer, count in zip(layers, counts, strict=True):
        if count > layer.weights.size:
            raise BadInput(
                f"it says that layer {layer.name!r} has {count} entries, but {architecture} has "
                f"{layer.weights.size} weights there: it is of another architecture, or damaged"
            )
    return counts


def _check_size(
    found: int, counts: Sequence[int], layers: Sequence[Layer], architecture: str
) -> None:
    sizes = [_bytes(layer, count) for layer, count in zip(layers, counts, strict=True)]
    wanted = _COUNT_BYTES * len(layers) + sum(sizes)
    if found != wanted:
        raise BadInput(
            f"it has {found} bytes; with the counts that it begins with, a file of {architecture} "
            f"has {wanted}"
        )


def _layer(data: bytes, layer: Layer, entries: int) -> StoredLayer:
    with naming(f"layer {layer.name!r}"):
        rows = len(layer.bias)
        numbers = np.frombuffer(data, _FLOAT, _CODES + rows)
        codebook = finite("its codebook", numbers[:_CODES])
        bias = finite("its bias", numbers[_CODES:])
        if codebook[0] != 0:
            raise BadInput(f"its codebook begins with {codebook[0]:g}; code 0 must be the weight 0")
        rest = np.frombuffer(data, np.uint8, offset=numbers.nbytes)
        packed = rest[entries:]
        gaps = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:entries]
        places = np.cumsum(gaps.astype(np.int64) + 1) - 1
        size = layer.weights.size
        if entries and places[-1] >= size:
            first = int(np.argmax(places >= size))
            raise BadInput(
                f"entry {first} lies in place {places[first]}; it has {size} weights, so the last "
                f"place is {size - 1}"
            )
        codes = np.zeros(size, np.uint8)
        codes[places] = rest[:entries]
        return StoredLayer(codes.reshape(layer.weights.shape), codebook, bias, entries)
