"""Data sets by name: images as network inputs, with labels."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .read.idx import read_mnist

__all__ = ["HELD_OUT", "NAMES", "TrainingSet", "folder_of", "load", "load_training"]

NAMES = ("mnist", "fashion-mnist")
HELD_OUT = 5000
"""Training images on which choices are made, since none may be made on the test set."""


class TrainingSet(NamedTuple):
    """Images and labels to train on, and those on which choices are made.

    Attributes
    ----------
    x : (n, inputs) float32
    labels : (n,) int64
    held_x : (HELD_OUT, inputs) float32
    held_labels : (HELD_OUT,) int64
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    held_x: NDArray[np.float32]
    held_labels: NDArray[np.int64]


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
    if count < 1:
        raise BadInput(f"{count} images of {name} are asked for; it must be 1 or more")
    if count > len(images):
        more = "" if folder is not None else "; --data FOLDER with the IDX files has more"
        raise BadInput(f"{count} images of {name} are asked for, {len(images)} are there{more}")
    return images[:count].reshape(count, -1) / 256.0, labels[:count].astype(np.int64)


def folder_of(data: Path, name: str) -> Path:
    """Where the files of a data set are: the folder in `data` that has its name, or `data`."""
    return data / name if (data / name).is_dir() else data


def load_training(folder: Path) -> TrainingSet:
    """Training images of MNIST or its kin, shuffled, the last `HELD_OUT` of them held out.

    The split is the same for every seed: what was chosen on held-out images must not be trained on
    by another seed.

    Parameters
    ----------
    folder : Path
        Folder with the four IDX files.

    Returns
    -------
    TrainingSet
        Pixels are 0 to 255 / 256.

    Raises
    ------
    BadInput
        If the files are not there or not sound, or there are too few images.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder of training images")
    images, labels = read_mnist(folder, "train")
    if len(images) < 2 * HELD_OUT:
        raise BadInput(f"{folder}: {len(images)} training images; {2 * HELD_OUT} are needed")
    order = np.random.default_rng(0).permutation(len(images))
    x = images[order].reshape(len(images), -1).astype(np.float32) / np.float32(256)
    y = labels[order].astype(np.int64)
    return TrainingSet(x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:], y[-HELD_OUT:])
