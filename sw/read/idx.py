"""IDX files, plain or gzipped: the format in which MNIST and its kin are published.

A big-endian header (two zero bytes, the element type, the number of dimensions, one 32-bit size a
dimension) and then the elements, last dimension fastest: http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

__all__ = ["MAX_BYTES", "read_idx", "read_mnist"]

MAX_BYTES = 1 << 30
"""Largest array that is read; MNIST's training images take 47 MB."""

_UINT8 = 0x08
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # no deflate stream expands further: https://zlib.net/zlib_tech.html
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes.

    Whether it is gzipped is told by its first two bytes, not by its name.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    array of uint8, of one to four dimensions, none of them empty

    Raises
    ------
    BadInput
        The file cannot be read, is damaged, is not an IDX file of bytes, or its length is not
        what its header says. Nothing is allocated for more than the file can hold.
    """
    path = Path(path)
    # A pipe would block and a device would never end.
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file")
    try:
        with path.open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not zipped:
                return _read_stream(path, raw, size)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read_stream(path, cast(BinaryIO, stream), size * _DEFLATE_RATIO)
    except EOFError:
        raise BadInput(f"{path}: the gzip data is cut short") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path}: the gzip data is damaged ({error})") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None


def read_mnist(
    folder: str | os.PathLike[str], split: Literal["train", "test"]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one split of MNIST, or of a data set in its shape, under the canonical file names.

    Parameters
    ----------
    folder : holds ``train-images-idx3-ubyte`` and its three companions, each plain or ``.gz``
    split : "train" or "test"; the files of the latter are named ``t10k-``

    Returns
    -------
    images : (n, 28, 28) uint8, 0 is background
    labels : (n,) uint8, 0 to 9

    Raises
    ------
    BadInput
        A file is missing or unreadable, or images and labels do not belong together.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images_path = _plain_or_zipped(Path(folder) / f"{prefix}-images-idx3-ubyte")
    labels_path = _plain_or_zipped(Path(folder) / f"{prefix}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise BadInput(f"{images_path}: holds an array {images.shape}, not images (n, 28, 28)")
    if labels.shape != images.shape[:1]:
        raise BadInput(
            f"{labels_path}: holds an array {labels.shape}, not one label for each of the "
            f"{len(images)} images of {images_path.name}"
        )
    if labels.max() > 9:
        raise BadInput(f"{labels_path}: holds the label {labels.max()}; labels are 0 to 9")
    return images, labels


def _plain_or_zipped(path: Path) -> Path:
    zipped = path.with_name(path.name + ".gz")
    for candidate in (zipped, path):
        if candidate.exists():
            return candidate
    raise BadInput(f"{path}: neither this file nor {zipped.name} exists")


def _read_stream(path: Path, stream: BinaryIO, limit: int) -> NDArray[np.uint8]:
    """The array in `stream`, which comes from `path` and cannot hold more than `limit` bytes."""
    shape = _read_header(path, stream)
    size = math.prod(shape)
    if size > min(limit, MAX_BYTES):
        raise BadInput(
            f"{path}: the header claims {size} bytes {shape}; "
            + (f"at most {MAX_BYTES} are read" if size > MAX_BYTES else "the file is too short")
        )
    data = bytearray()
    while len(data) <= size and (chunk := stream.read(min(_CHUNK, size + 1 - len(data)))):
        data += chunk
    if len(data) != size:
        found = "more" if len(data) > size else f"only {len(data)}"
        raise BadInput(f"{path}: the header claims {size} bytes {shape}, but {found} follow it")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_header(path: Path, stream: BinaryIO) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise BadInput(
            f"{path}: not an IDX file: it starts with {magic.hex() or 'nothing'}, "
            "not with two zero bytes, the element type and the number of dimensions"
        )
    kind, dimensions = magic[2], magic[3]
    if kind != _UINT8:
        raise BadInput(f"{path}: IDX element type 0x{kind:02x}; only 0x08 (uint8) is read")
    if not 1 <= dimensions <= 4:
        raise BadInput(f"{path}: {dimensions} dimensions; 1 to 4 are read")
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise BadInput(f"{path}: the header ends within its {dimensions} sizes")
    shape = struct.unpack(f">{dimensions}I", sizes)
    if 0 in shape:
        raise BadInput(f"{path}: the array is empty: its sizes are {shape}")
    return shape
