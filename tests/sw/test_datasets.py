"""Data sets by name: the embedded images, and those of a folder."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sw import datasets
from sw.errors import BadInput


def write_idx(path, array: np.ndarray) -> None:
    """An array in the form in which MNIST is published."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def folder(tmp_path):
    """Five test images."""
    images = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([3, 1, 4, 1, 5], np.uint8))
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


def test_more_images_than_there_are():
    with pytest.raises(BadInput) as error:
        datasets.load("mnist", 1001)
    assert str(error.value) == (
        "1001 images of mnist are asked for, 1000 are there; "
        "--data FOLDER with the IDX files has more"
    )


@pytest.mark.parametrize("count", [0, -3])
def test_no_images(count):
    with pytest.raises(BadInput) as error:
        datasets.load("mnist", count)
    assert str(error.value) == f"{count} images of mnist are asked for; it must be 1 or more"


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


def training_files(folder, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Training images of which each has its number in its first pixels, and labels to match."""
    images = np.zeros((count, 28, 28), np.uint8)
    number = np.arange(count)
    images[:, 0, 0], images[:, 0, 1] = number % 256, number // 256
    images[:, 5, 5] = 255
    labels = (number % 10).astype(np.uint8)
    write_idx(folder / "train-images-idx3-ubyte", images)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    return images, labels


@pytest.fixture(scope="module")
def training_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    training_files(folder, 10_003)
    return folder


def test_training_images_are_split_and_none_is_lost(training_folder):
    of = datasets.load_training(training_folder)
    assert of.x.shape == (5_003, 784)
    assert of.held_x.shape == (datasets.HELD_OUT, 784)
    assert of.x.dtype == of.held_x.dtype == np.float32
    assert of.labels.dtype == of.held_labels.dtype == np.int64
    numbers = []
    for x, labels in ((of.x, of.labels), (of.held_x, of.held_labels)):
        pixels = x * 256
        np.testing.assert_array_equal(pixels[:, 5 * 28 + 5], 255)
        number = (pixels[:, 0] + 256 * pixels[:, 1]).astype(np.int64)
        np.testing.assert_array_equal(labels, number % 10)
        numbers.append(number)
    assert sorted(np.concatenate(numbers)) == list(range(10_003))


def test_the_held_out_ones_are_chosen_by_lot_and_always_the_same(training_folder):
    one, again = datasets.load_training(training_folder), datasets.load_training(training_folder)
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    first = (one.held_x[:, :2] @ np.array([256, 65536])).astype(np.int64)
    assert (np.diff(first) < 0).any()
    assert 4_500 < np.mean(first) < 5_500


def test_images_to_train_on_may_be_written_to(training_folder):
    # PyTorch warns of arrays that may not.
    assert all(array.flags.writeable for array in datasets.load_training(training_folder))


def test_too_few_training_images(tmp_path):
    training_files(tmp_path, 9_999)
    with pytest.raises(BadInput, match=r": 9999 training images; 10000 are needed$"):
        datasets.load_training(tmp_path)


def test_training_images_that_are_not_there(tmp_path):
    with pytest.raises(BadInput, match="none: there is no such folder of training images"):
        datasets.load_training(tmp_path / "none")
    with pytest.raises(BadInput, match="train-images-idx3-ubyte"):
        datasets.load_training(tmp_path)


def test_held_out_images_of_mnist(mnist_folder):
    of = datasets.load_training(mnist_folder)
    assert of.x.shape == (55_000, 784)
    assert np.bincount(of.held_labels, minlength=10).min() > 400
    assert 0 <= of.x.min() < of.x.max() == np.float32(255 / 256)
