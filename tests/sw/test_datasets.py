"""Data sets by name: the embedded images, and those of a folder."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sw import datasets
from sw.errors import BadInput


@pytest.fixture
def folder(tmp_path):
    """Five test images in the form in which MNIST is published."""
    images = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5], np.uint8)
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / name).write_bytes(header + array.tobytes())
    return tmp_path


def test_embedded_images():
    x, labels = datasets.load("mnist")
    assert x.shape == (1000, 784)
    assert x.dtype == np.float64
    assert labels.shape == (1000,)
    assert labels.dtype == np.int64
    pixels = x * 256
    np.testing.assert_array_equal(pixels, np.round(pixels))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.bincount(labels, minlength=10).min() > 80


def test_embedded_images_are_the_first_of_the_real_ones(mnist_folder):
    embedded, real = datasets.load("mnist"), datasets.load("mnist", 1000, mnist_folder)
    for one, other in zip(embedded, real, strict=True):
        np.testing.assert_array_equal(one, other)


def test_count_takes_the_first():
    x, labels = datasets.load("mnist", 7)
    everything = datasets.load("mnist")
    np.testing.assert_array_equal(x, everything[0][:7])
    np.testing.assert_array_equal(labels, everything[1][:7])


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_folder_of_files(folder, name):
    x, labels = datasets.load(name, folder=folder)
    assert x.shape == (5, 784)
    assert labels.tolist() == [3, 1, 4, 1, 5]
    raw = (folder / "t10k-images-idx3-ubyte").read_bytes()[16:]
    np.testing.assert_array_equal(x.ravel() * 256, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_more_images_than_there_are(count):
    with pytest.raises(BadInput) as error:
        datasets.load("mnist", count)
    assert str(error.value) == (
        f"{count} images of mnist are asked for, 1000 are there; "
        "--data FOLDER with the IDX files has more"
    )


def test_more_images_than_the_folder_has(folder):
    with pytest.raises(BadInput, match=r"6 images of mnist are asked for, 5 are there$"):
        datasets.load("mnist", 6, folder)


def test_a_set_that_is_not_embedded():
    with pytest.raises(BadInput, match="fashion-mnist is not embedded; name the folder of its IDX"):
        datasets.load("fashion-mnist")


def test_an_unknown_set(folder):
    for where in (None, folder):
        with pytest.raises(BadInput, match="'cifar' is unknown; there are mnist and fashion-mnist"):
            datasets.load("cifar", folder=where)


def test_a_folder_without_the_files(tmp_path):
    with pytest.raises(BadInput, match="t10k-images-idx3-ubyte"):
        datasets.load("mnist", folder=tmp_path)
