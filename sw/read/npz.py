"""Arrays from NumPy's files: .npz networks and .npy inputs, neither with pickles."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.vectors import as_rows

from .arrays import Array, check_header, check_name, require_file

__all__ = ["Check", "read_archive", "read_arrays", "read_inputs"]

Check = Callable[[str, np.dtype[Any], tuple[int, ...], int], int]


def read_arrays(path: Path) -> list[tuple[str, Array]]:
    """Arrays of a network's .npz file with their names, in archive order.

    Raises
    ------
    BadInput
        If the file cannot be read, is damaged, or holds anything but arrays of floats.
    """
    return read_archive(path, check_header, lambda name: check_name(path, name))


def read_archive(
    path: Path, check: Check, check_its_name: Callable[[str], object] = lambda _name: None
) -> list[tuple[str, NDArray[Any]]]:
    """Arrays of an .npz file with their names, in archive order.

    Every header is checked against the zip directory, and with `check`, before the first value is
    read.

    Parameters
    ----------
    check : see `sw.read.arrays.check_header`
    check_its_name : called with the name of every array, before its header is read

    Raises
    ------
    BadInput
        If the file cannot be read or is damaged, or a check fails.
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(set(names)) != len(names):
                raise BadInput(f"{path} holds two arrays of the same name")
            if any(member.comment for member in members):
                # A damaged length makes a comment of the directory entries that follow.
                raise BadInput(f"{path} is a damaged .npz file: its directory holds comments")
            total = 0
            for member in members:
                check_its_name(_name(path, member))
                total = _check_member(path, archive, member, (check, total))
            return [(_name(path, member), _read_member(archive, member)) for member in members]
    except BadInput:
        raise
    except zipfile.BadZipFile as error:
        raise BadInput(f"{path} is not a sound .npz file: {error}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zipfile, zlib and the header parser have no common exception
        raise BadInput(f"{path} is a damaged .npz file: {error}") from error


def read_inputs(path: str | Path, inputs: int) -> NDArray[np.float64]:
    """Input vectors of a network from an .npy file.

    Parameters
    ----------
    path : str or Path
        File of an array (n, inputs) of floats or integers, of one vector (inputs,), or of planes
        (n, channels, height, width), which are flattened.
    inputs : int
        Inputs of the network.

    Returns
    -------
    (n, inputs) float64

    Raises
    ------
    BadInput
        If the file cannot be read, or the array has another shape or a value that is not finite.
    """
    require_file(Path(path))
    try:
        # A memory map: a header that lies about the size fails before anything is allocated.
        array: NDArray[Any] = npy.open_memmap(path, mode="r")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the header parser raises many kinds
        if zipfile.is_zipfile(path):
            raise BadInput(
                f"{path} is an archive of arrays (.npz); inputs are one array, in an .npy file as "
                "numpy.save writes it"
            ) from error
        raise BadInput(f"{path} is not a sound .npy file of numbers: {error}") from error
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{path} holds {array.dtype} values; inputs must be numbers")
    flat = as_rows(array, inputs)
    if flat is None:
        raise BadInput(
            f"{path} has shape {array.shape}; this network takes (vectors, {inputs}), one vector "
            f"({inputs},), or planes of as many numbers in all, channels first"
        )
    if not len(flat):
        raise BadInput(f"{path} has shape {array.shape}: it holds no input")
    bad = np.argwhere(~np.isfinite(flat))
    if len(bad):
        vector, index = (int(i) for i in bad[0])
        raise BadInput(
            f"{path} holds {flat[vector, index]} at [{vector}, {index}]; inputs must be finite"
        )
    return np.asarray(flat, np.float64)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"an array has .npy version {version}")
    return shape, dtype


def _name(path: Path, member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise BadInput(f"{path} holds {member.filename!r}, which is not an array")
    return member.filename.removesuffix(".npy")


def _check_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, by: tuple[Check, int]
) -> int:
    """Values up to and with this array.

    Parameters
    ----------
    by : the check, and the values before
    """
    check, total = by
    where = f"{path}: array {_name(path, member)!r}"
    with archive.open(member) as file:
        shape, dtype = _header(file)
        total = check(where, dtype, shape, total)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if size != member.file_size:
        raise BadInput(f"{where} should take {size} bytes but takes {member.file_size}")
    return total


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array
