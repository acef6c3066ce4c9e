"""A single layer and its input, from an .npz file of arrays codes, codebook and activations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.layouts import CODE_BITS_MAX
from sw.errors import BadInput

from .arrays import check_size
from .npz import read_archive

__all__ = ["CodedLayer", "read_coded_layer"]

_NAMES = ("codes", "codebook", "activations")
_GREATEST = (1 << 15) - 1  # of 16 signed bits
_Array = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class CodedLayer:
    """What the file holds, in integers of 16 bits.

    Attributes
    ----------
    codes : (rows, columns) uint8
        0 where a weight was pruned.
    codebook : (n,) int64
        Weight of each code; that of 0 is 0.
    activations : (columns,) int64
    """

    codes: NDArray[np.uint8]
    codebook: NDArray[np.int64]
    activations: NDArray[np.int64]


def read_coded_layer(path: Path) -> CodedLayer:
    """Read a layer.

    Integers are taken as they are. Floats, of the codebook or of the activations, are scaled by the
    greatest power of two with which all of them fit into 16 bits, and rounded.

    Raises
    ------
    BadInput
        Naming the file, the array and the value.
    """
    codes, codebook, activations = _read(path)
    where = f"{path}: array 'codebook'"
    _check(where, codebook, 1)
    if len(codebook) > 1 << CODE_BITS_MAX:
        raise BadInput(f"{where} has {len(codebook)} values; at most {1 << CODE_BITS_MAX} fit")
    if codebook[0] != 0:
        raise BadInput(
            f"{where} begins with {codebook[0]}; it must begin with 0, the weight of code 0"
        )
    where = f"{path}: array 'codes'"
    _check(where, codes, 2)
    if codes.dtype.kind == "f":
        raise BadInput(f"{where} holds {codes.dtype} values; codes must be integers")
    wrong = np.argwhere((codes < 0) | (codes >= len(codebook)))
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        raise BadInput(
            f"{where} holds {codes[row, column]} at [{row}, {column}]; codes of a codebook of "
            f"{len(codebook)} values are from 0 to {len(codebook) - 1}"
        )
    where = f"{path}: array 'activations'"
    _check(where, activations, 1)
    if len(activations) != codes.shape[1]:
        raise BadInput(
            f"{where} has {len(activations)} values, but 'codes' has {codes.shape[1]} columns"
        )
    return CodedLayer(
        codes=codes.astype(np.uint8),
        codebook=_integers(f"{path}: array 'codebook'", codebook),
        activations=_integers(where, activations),
    )


def _read(path: Path) -> list[_Array]:
    arrays = dict(read_archive(path, _check_numbers))
    for name in _NAMES:
        if name not in arrays:
            raise BadInput(
                f"{path} has no array {name!r}; a layer is the arrays {', '.join(_NAMES)}"
            )
    return [arrays[name] for name in _NAMES]


def _check_numbers(where: str, dtype: np.dtype[Any], shape: tuple[int, ...], total: int) -> int:
    if dtype.kind not in "iuf":
        raise BadInput(f"{where} holds {dtype} values; they must be numbers")
    return check_size(where, shape, total)


def _check(where: str, array: _Array, dimensions: int) -> None:
    """Of the right number of dimensions, at least one and all finite."""
    if array.ndim != dimensions or not array.size:
        kind = "(n,)" if dimensions == 1 else "(rows, columns)"
        raise BadInput(f"{where} has shape {array.shape}; it must be {kind}, and not empty")
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = [int(place) for place in wrong[0]]
        raise BadInput(f"{where} holds {array[tuple(place)]} at {place}; values must be finite")


def _integers(where: str, array: _Array) -> NDArray[np.int64]:
    if array.dtype.kind == "f":
        greatest = float(np.abs(array).max())
        if not greatest:
            return np.zeros(len(array), np.int64)
        # greatest = m * 2**e with m below 1, so it comes to less than 2**15, or rounds to that.
        scaled = np.ldexp(array.astype(np.float64), 15 - int(np.frexp(greatest)[1]))
        return np.clip(np.rint(scaled), -_GREATEST, _GREATEST).astype(np.int64)
    wrong = np.argwhere((array > _GREATEST) | (array < -_GREATEST - 1))
    if len(wrong):
        place = int(wrong[0, 0])
        raise BadInput(
            f"{where} holds {array[place]} at [{place}]; integers must be from {-_GREATEST - 1} to "
            f"{_GREATEST}"
        )
    return array.astype(np.int64)
