"""Constants of an ONNX model: its initialisers, in the file or beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from sw.errors import BadInput

from .arrays import check_header, finite

__all__ = ["Constants"]

_FLOATS: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype("<f4"),
    onnx.TensorProto.FLOAT16: np.dtype("<f2"),
    onnx.TensorProto.DOUBLE: np.dtype("<f8"),
}
_INTEGERS: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.INT64: np.dtype("<i8"),
    onnx.TensorProto.BOOL: np.dtype("?"),
}
_MAX_INTEGERS = 64  # of a shape


class Constants:
    """Constants by name; none is read before it is asked for.

    Parameters
    ----------
    folder : Path
        Of the model file. External data is read from inside it and from nowhere else.
    initialisers : iterable of onnx.TensorProto

    Raises
    ------
    BadInput
        If two have the same name.
    """

    def __init__(self, folder: Path, initialisers: Iterable[onnx.TensorProto]) -> None:
        self._folder = folder
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._total = 0
        for tensor in initialisers:
            self.add(tensor.name, tensor)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self._arrays

    def add(self, name: str, value: onnx.TensorProto | NDArray[Any]) -> None:
        """One more constant, such as what a node of constants gives."""
        if name in self:
            raise BadInput(f"there are two constants of the name {name!r}")
        if isinstance(value, onnx.TensorProto):
            self._tensors[name] = value
        else:
            self._arrays[name] = value

    def floats(self, name: str) -> NDArray[np.float64]:
        """A constant of finite floats.

        Raises
        ------
        BadInput
            If it is of another type, damaged, too large, or not finite.
        """
        array = self._get(name)
        if array.dtype.kind != "f":
            raise BadInput(f"constant {name!r} holds {array.dtype} values; they must be floats")
        return finite(f"constant {name!r}", array)

    def integers(self, name: str) -> list[int]:
        """A constant of integers or truth values, such as a shape, flattened."""
        array = self._get(name)
        if array.dtype.kind not in "bi":
            raise BadInput(f"constant {name!r} holds {array.dtype} values; they must be integers")
        return [int(value) for value in array.reshape(-1)]

    def transpose(self, name: str, axes: list[int] | None) -> NDArray[Any]:
        """A constant with its axes in another order; reversed, if None is given."""
        array = self._get(name)
        if axes is not None and sorted(axes) != list(range(array.ndim)):
            raise BadInput(f"perm is {axes}, which is no order of {array.ndim} axes")
        return array.transpose(axes)

    def alias(self, name: str) -> onnx.TensorProto | NDArray[Any]:
        """The constant as it was added."""
        return self._arrays[name] if name in self._arrays else self._tensors[name]

    def _get(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            self._arrays[name] = self._decode(f"constant {name!r}", self._tensors[name])
        return self._arrays[name]

    def _decode(self, where: str, tensor: onnx.TensorProto) -> NDArray[Any]:
        shape = tuple(tensor.dims)
        if (dtype := _FLOATS.get(tensor.data_type)) is not None:
            self._total = check_header(where, dtype.newbyteorder("="), shape, self._total)
        elif (dtype := _INTEGERS.get(tensor.data_type)) is None:
            names = onnx.TensorProto.DataType
            kind = tensor.data_type
            shown = names.Name(kind) if kind in names.values() else f"unknown ({kind})"
            raise BadInput(f"{where} holds {shown} values; FLOAT, FLOAT16 and DOUBLE are read")
        elif len(shape) > 1 or not 0 <= math.prod(shape) <= _MAX_INTEGERS:
            raise BadInput(f"{where} holds integers of shape {shape}; they can only be a shape")
        wanted = math.prod(shape) * dtype.itemsize
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            data = _external(where, self._folder, tensor, wanted)
        elif tensor.HasField("raw_data"):
            data = tensor.raw_data
        else:
            return _typed(where, tensor, math.prod(shape))
        if len(data) != wanted:
            raise BadInput(f"{where} has {len(data)} bytes of data; shape {shape} needs {wanted}")
        return np.frombuffer(data, dtype).reshape(shape)


def _typed(where: str, tensor: onnx.TensorProto, wanted: int) -> NDArray[Any]:
    """Values of a tensor that is stored as numbers, not as bytes."""
    fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
    if (count := sum(map(len, fields))) != wanted:
        raise BadInput(f"{where} has {count} values; shape {tuple(tensor.dims)} needs {wanted}")
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"{where} is damaged: {error}") from error


def _external(where: str, folder: Path, tensor: onnx.TensorProto, wanted: int) -> bytes:
    """Bytes of a tensor from a file beside the model, no more than `wanted`."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = os.path.join(folder, location)
    inside = os.path.normpath(os.path.join(os.path.realpath(folder), location))
    # Only what is reached without "..", absolute paths and links is inside for certain.
    plain = location and "\0" not in location and ".." not in Path(location).parts
    if not plain or os.path.isabs(location) or os.path.realpath(path) != inside:
        raise BadInput(
            f"{where} has its data in {location!r}; it must be a file inside the model's folder, "
            "by a relative path without '..' and links"
        )
    if not os.path.isfile(path):
        raise BadInput(f"{where} has its data in {location!r}, which is no regular file")
    numbers = [entries.get("offset", "0"), entries.get("length", str(wanted))]
    if not all(text.isascii() and text.isdecimal() and len(text) < 19 for text in numbers):
        raise BadInput(f"{where} has its data at offset, length {numbers}, which are no numbers")
    offset, length = map(int, numbers)
    try:
        size = os.path.getsize(path)
        if length != wanted or offset + length > size:
            raise BadInput(
                f"{where} has its data in {length} bytes of {location!r} from {offset}; it needs "
                f"{wanted}, and the file has {size}"
            )
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise BadInput(f"{where} has its data in {location!r}: {error.strerror}") from error
