"""Data sets by name: images as network inputs, with labels."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .read.idx import read_mnist

__all__ = ["NAMES", "load"]

NAMES = ("mnist", "fashion-mnist")


def load(
    name: str, count: int | None = None, folder: Path | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The first `count` test images, flattened, pixel / 256, and their labels.

    Parameters
    ----------
    name : "mnist" or "fashion-mnist"
    count : int, optional
        All that there are, if not given.
    folder : Path, optional
        Folder with the four IDX files; without it the 1,000 embedded MNIST images.

    Returns
    -------
    x : (count, 784) float64, 0 to 255 / 256
    labels : (count,) int64

    Raises
    ------
    BadInput
        If the name is unknown, or there are fewer images than asked for.
    """
    if name not in NAMES:
        raise BadInput(f"data set {name!r} is unknown; there are {' and '.join(NAMES)}")
    if folder is not None:
        images, labels = read_mnist(folder, "test")
    elif name == "mnist":
        with resources.files("sw").joinpath("data/mnist_test_1000.npz").open("rb") as file:
            stored = np.load(file)
            images, labels = stored["images"], stored["labels"]
    else:
        raise BadInput(
            f"data set {name} is not embedded; name the folder of its IDX files (--data)"
        )
    count = len(images) if count is None else count
    if not 0 < count <= len(images):
        more = "" if folder is not None else "; --data FOLDER with the IDX files has more"
        raise BadInput(f"{count} images of {name} are asked for, {len(images)} are there{more}")
    return images[:count].reshape(count, -1) / 256.0, labels[:count].astype(np.int64)
