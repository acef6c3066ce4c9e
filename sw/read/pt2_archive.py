"""The .pt2 archive of ``torch.export.save``, version 0: JSON and raw tensors in a zip file.

``torch/export/pt2_archive/constants.py`` and ``torch/_export/serde/schema.py`` of PyTorch define
it. Tensors that it holds as pickles are refused.
"""

from __future__ import annotations

import json
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

from .arrays import MAX_VALUES, check_header, finite

__all__ = ["FLOATS", "Archive"]

_MAX_JSON_BYTES = 1 << 24
_MAX_BYTES = 8 * MAX_VALUES
_MARK = "/archive_format"
_SCHEMA = 8  # major version of the graph's schema
_STRIDED = 7  # a Layout
_TENSORS = (
    ("data/weights/", "_weights_config.json"),
    ("data/constants/", "_constants_config.json"),
)
FLOATS: dict[int, np.dtype[Any]] = {6: np.dtype("<f2"), 7: np.dtype("<f4"), 8: np.dtype("<f8")}
"""NumPy's types of the schema's ScalarType."""


class Archive:
    """An open archive. Its fields may be of any type: reading them may raise what Python raises.

    Parameters
    ----------
    file : zipfile.ZipFile

    Attributes
    ----------
    graph, signature : dict
        Of the one model in it, as the schema has them.

    Raises
    ------
    BadInput
        If it holds anything but one model of a version that is known.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._members = {member.filename: member for member in file.infolist()}
        self._total = 0
        if any(member.compress_type != zipfile.ZIP_STORED for member in self._members.values()):
            raise BadInput("it is compressed, and torch.export.save does not compress")
        marks = [name for name in self._members if name.endswith(_MARK)]
        if len(marks) != 1 or self._read(marks[0], 16) != b"pt2":
            raise BadInput(
                "it is not a .pt2 archive, or that of an older PyTorch; write it again with "
                "torch.export.save of PyTorch 2.13"
            )
        self._top = marks[0].removesuffix(_MARK[1:])
        if self._read(f"{self._top}byteorder", 16) != b"little":
            raise BadInput("its byte order is not little")
        folder = f"{self._top}models/"
        models = [name for name in self._members if name.startswith(folder)]
        if len(models) != 1:
            raise BadInput(f"it holds {len(models)} models; it must hold one")
        model = self._json(models[0])
        if (version := model["schema_version"]["major"]) != _SCHEMA:
            raise BadInput(f"its graph has schema version {version}; {_SCHEMA} is supported")
        self.graph: dict[str, Any] = model["graph_module"]["graph"]
        self.signature: dict[str, Any] = model["graph_module"]["signature"]
        name = models[0].removeprefix(folder).removesuffix(".json")
        self._tensors: dict[str, tuple[str, Any]] = {}
        for place, ending in _TENSORS:
            if (config := f"{self._top}{place}{name}{ending}") not in self._members:
                raise BadInput(
                    f"it has no {place}{name}{ending}: it is of an older PyTorch; write it again "
                    "with torch.export.save of PyTorch 2.13"
                )
            for tensor, payload in self._json(config)["config"].items():
                self._tensors[tensor] = (place, payload)

    def floats(self, name: str) -> NDArray[np.float64]:
        """Tensor of that name.

        Raises
        ------
        BadInput
            If it does not hold plain, finite floats, or is stored as a pickle.
        """
        where = f"tensor {name!r}"
        if name not in self._tensors:
            raise BadInput(f"{where} is missing")
        folder, payload = self._tensors[name]
        if payload["use_pickle"]:
            raise BadInput(f"{where} is stored as a pickle, which is not read")
        meta = payload["tensor_meta"]
        dtype = FLOATS.get(meta["dtype"])
        if dtype is None or meta["layout"] != _STRIDED:
            raise BadInput(f"{where} holds no plain values of 16, 32 or 64-bit floats")
        sizes, strides = _ints(meta["sizes"]), _ints(meta["strides"])
        self._total = check_header(where, dtype.newbyteorder("="), tuple(sizes), self._total)
        data = self._read(f"{self._top}{folder}{payload['path_name']}", _MAX_BYTES)
        start = _int(meta["storage_offset"])
        steps = [stride * dtype.itemsize for stride in strides]
        end = dtype.itemsize * (1 + start)
        end += sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        count = math.prod(sizes)
        if min(start, *steps, 0) < 0 or (count and end > len(data)):
            raise BadInput(
                f"{where} of sizes {sizes}, strides {strides} and offset {start} does not lie in "
                f"its {len(data)} bytes"
            )
        if not count:
            return np.zeros(sizes)
        values = np.frombuffer(data, dtype, len(data) // dtype.itemsize)[start:]
        return finite(where, np.lib.stride_tricks.as_strided(values, sizes, steps))

    def _json(self, name: str) -> Any:
        return json.loads(self._read(name, _MAX_JSON_BYTES))

    def _read(self, name: str, limit: int) -> bytes:
        if name not in self._members:
            raise BadInput(f"it has no {name!r}")
        if (size := self._members[name].file_size) > limit:
            raise BadInput(f"{name!r} in it has {size} bytes; at most {limit} are read")
        return self._file.read(name)


def _ints(values: list[Any]) -> list[int]:
    return [_int(value) for value in values]


def _int(value: Any) -> int:
    """An integer of the schema; those that depend on an input are no integers."""
    if not isinstance(number := value["as_int"], int):
        raise TypeError(f"{number!r} stands where an integer must be")
    return number
