from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sw.errors import BadInput
from sw.read.idx import MAX_BYTES, read_idx, read_mnist


def encode(array: np.ndarray, kind: int = 0x08) -> bytes:
    """The bytes of an IDX file."""
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def random_bytes(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, data: bytes, zipped: bool) -> Path:
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def zipped(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("shape", [(1,), (9,), (3, 28, 28), (2, 3, 4, 5)])
def test_round_trip(tmp_path, zipped, shape):
    array = random_bytes(*shape)
    read = read_idx(write(tmp_path / "a", encode(array), zipped))
    assert read.dtype == np.uint8
    assert_array_equal(read, array)


def test_round_trip_of_more_than_one_chunk(tmp_path, zipped):
    array = random_bytes(3000, 28, 28)
    assert_array_equal(read_idx(write(tmp_path / "a", encode(array), zipped)), array)


GOOD = encode(random_bytes(5, 4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file"),
        (GOOD[:3], "not an IDX file"),
        (b"\x89PNG" + GOOD[4:], "not an IDX file"),
        (encode(random_bytes(5), kind=0x0D), "0x0d"),
        (b"\0\0\x08\0", "0 dimensions"),
        (encode(random_bytes(1, 2, 1, 2, 1)), "5 dimensions"),
        (GOOD[:9], "ends within its 2 sizes"),
        (encode(np.zeros((0, 4), np.uint8)), "empty"),
        (GOOD[:-1], "but only 19 follow|too short"),
        (GOOD + b"\0", "but more follow"),
    ],
)
def test_refuses(tmp_path, zipped, data, message):
    path = write(tmp_path / "a", data, zipped)
    with pytest.raises(BadInput, match=message) as raised:
        read_idx(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0xFFFFFFFF,) * 4, f"at most {MAX_BYTES} are read"),
        ((MAX_BYTES + 1,), f"at most {MAX_BYTES} are read"),
        ((MAX_BYTES,), "too short"),
    ],
)
def test_oversized_claim_allocates_nothing(tmp_path, zipped, sizes, message):
    data = bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + b"body"
    with pytest.raises(BadInput, match=message):
        read_idx(write(tmp_path / "a", data, zipped))


def test_decompression_bomb_is_read_no_further_than_its_claim(tmp_path):
    path = write(tmp_path / "a", encode(np.zeros(4, np.uint8)) + bytes(1 << 26), zipped=True)
    with pytest.raises(BadInput, match="but more follow"):
        read_idx(path)


@pytest.mark.parametrize("cut", [3, 15, -9, -1])
def test_refuses_cut_gzip(tmp_path, cut):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(GOOD)[:cut])
    with pytest.raises(BadInput, match=r"gzip data is (cut short|damaged)"):
        read_idx(path)


@pytest.mark.parametrize("place", range(2, 40))
def test_damaged_gzip_never_raises_anything_else(tmp_path, place):
    data = bytearray(gzip.compress(GOOD))
    data[place] ^= 0xFF
    path = tmp_path / "a"
    path.write_bytes(data)
    try:
        array = read_idx(path)
    except BadInput:
        return
    assert_array_equal(array, random_bytes(5, 4))  # a byte of the header that says nothing


def test_refuses_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadInput, match="there is no such file"):
            read_idx(path)


def write_mnist(folder: Path, images: np.ndarray, labels: np.ndarray, zipped: bool) -> None:
    ending = ".gz" if zipped else ""
    write(folder / f"t10k-images-idx3-ubyte{ending}", encode(images), zipped)
    write(folder / f"t10k-labels-idx1-ubyte{ending}", encode(labels), zipped)


def test_mnist_round_trip(tmp_path, zipped):
    images, labels = random_bytes(6, 28, 28), random_bytes(6) % 10
    write_mnist(tmp_path, images, labels, zipped)
    read_images, read_labels = read_mnist(tmp_path, "test")
    assert_array_equal(read_images, images)
    assert_array_equal(read_labels, labels)
    with pytest.raises(BadInput, match=r"train-images-idx3-ubyte\.gz exists"):
        read_mnist(tmp_path, "train")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (random_bytes(6, 28, 27), random_bytes(6) % 10, "not images"),
        (random_bytes(6, 784), random_bytes(6) % 10, "not images"),
        (random_bytes(6, 28, 28), random_bytes(5) % 10, "each of the 6 images"),
        (random_bytes(1, 28, 28), np.full(1, 10, np.uint8), "the label 10"),
    ],
)
def test_mnist_refuses(tmp_path, images, labels, message):
    write_mnist(tmp_path, images, labels, zipped=False)
    with pytest.raises(BadInput, match=message):
        read_mnist(tmp_path, "test")
