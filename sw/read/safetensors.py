"""Arrays from .safetensors files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors

from sw.errors import BadInput

from .arrays import Array, check_header, check_name

__all__ = ["read_arrays"]

_DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def read_arrays(path: Path) -> list[tuple[str, Array]]:
    """Arrays of a .safetensors file with their names, in the order of their bytes in the file.

    The common writers sort by name, and with that ``10`` before ``2``. Such a file is taken in the
    order of the numbers in its names.

    Raises
    ------
    BadInput
        If the file cannot be read, is damaged, or holds anything but 16, 32 or 64-bit floats.
    """
    arrays: list[tuple[str, Array]] = []
    total = 0
    try:
        with safetensors.safe_open(path, framework="np") as file:
            for name in _ordered(file.offset_keys()):
                check_name(path, name)
                header = file.get_slice(name)
                if (dtype := header.get_dtype()) not in _DTYPES:
                    raise BadInput(
                        f"{path}: array {name!r} holds {dtype} values; they must be F16, F32 or F64"
                    )
                where = f"{path}: array {name!r}"
                shape = tuple(header.get_shape())
                total = check_header(where, np.dtype(_DTYPES[dtype]), shape, total)
                arrays.append((name, file.get_tensor(name)))
    except safetensors.SafetensorError as error:
        raise BadInput(f"{path} is not a sound .safetensors file: {error}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    return arrays


def _ordered(names: Sequence[str]) -> Sequence[str]:
    if list(names) != sorted(names):
        return names
    # Alternately text and number: numbers are compared as such.
    return sorted(
        names,
        key=lambda name: [
            (int(part), "") if place % 2 else (0, part)
            for place, part in enumerate(re.split(r"(\d{1,9})", name))
        ],
    )
