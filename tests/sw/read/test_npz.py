"""Networks and inputs from array files: sound ones, and every way to be wrong."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from sw.errors import BadInput
from sw.read import read_inputs, read_network

SUFFIXES = [".npz", ".safetensors"]


def arrays(**change) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    whole = {
        # Not in alphabetical order: the order is that of the file.
        "z_w": rng.normal(size=(4, 6)).astype(np.float32),
        "z_b": rng.normal(size=4).astype(np.float32),
        "a_w": rng.normal(size=(3, 4)).astype(np.float32),
        "a_b": rng.normal(size=3).astype(np.float32),
    }
    return {name: array for name, array in (whole | change).items() if array is not None}


def save(folder, suffix, named):
    path = folder / f"network{suffix}"
    if suffix == ".npz":
        np.savez(path, **named)
    else:
        path.write_bytes(safetensors_bytes(named))
    return path


def safetensors_bytes(named) -> bytes:
    """The library's writer sorts by name; the order of layers is that of the bytes."""
    forms = {"f2": "F16", "f4": "F32", "f8": "F64", "i4": "I32"}
    header, data = {}, b""
    for name, array in named.items():
        start, data = len(data), data + array.tobytes()
        header[name] = {
            "dtype": forms[array.dtype.str[1:]],
            "shape": array.shape,
            "data_offsets": [start, len(data)],
        }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_layers_in_file_order_with_relu_between(tmp_path, suffix, dtype):
    named = {name: array.astype(dtype) for name, array in arrays().items()}
    network = read_network(save(tmp_path, suffix, named))
    assert [(layer.name, layer.relu) for layer in network.layers] == [("z", True), ("a", False)]
    for layer in network.layers:
        np.testing.assert_array_equal(layer.weights, named[f"{layer.name}_w"].astype(np.float64))
        np.testing.assert_array_equal(layer.bias, named[f"{layer.name}_b"].astype(np.float64))
        assert layer.weights.dtype == layer.bias.dtype == np.float64


def test_what_the_libraries_write(tmp_path):
    named = {"a_w": np.ones((2, 3), np.float32), "a_b": np.zeros(2, np.float32)}
    safetensors.numpy.save_file(named, tmp_path / "network.safetensors")
    np.savez_compressed(tmp_path / "network.NPZ.npz", **named)
    for name in ("network.safetensors", "network.NPZ.npz"):
        np.testing.assert_array_equal(read_network(tmp_path / name).layers[0].weights, 1.0)


def test_fortran_order(tmp_path):
    named = arrays()
    named["z_w"] = np.asfortranarray(named["z_w"])
    network = read_network(save(tmp_path, ".npz", named))
    np.testing.assert_array_equal(network.layers[0].weights, named["z_w"].astype(np.float64))


NAN = np.zeros((3, 4), np.float32)
NAN[2, 1] = np.nan
INFINITE = np.array([0, 0, -np.inf, 0], np.float32)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a_b": None}, "layer 'a' has no bias; it needs an array 'a_b'"),
        ({"a_w": None}, "layer 'a' has a bias but no array 'a_w'"),
        ({"scale": np.ones(3, np.float32)}, "array 'scale'; a network is made of"),
        ({"_w": np.ones((3, 3), np.float32)}, "array '_w'; a network is made of"),
        (
            {"z_w": np.ones((4, 1, 3, 3), np.float32)},
            "layer 'z' has weights of shape .* name its architecture: lenet300100, lenet5, ",
        ),
        ({"z_w": np.ones(4, np.float32)}, r"'z' has weights of shape \(4,\); it must be"),
        ({"z_w": np.ones((4, 0), np.float32)}, "layer 'z' is empty: its weights have shape"),
        ({"z_b": np.ones(5, np.float32)}, r"'z' has a bias of shape \(5,\); .* \(4,\)"),
        ({"z_b": np.ones((4, 1), np.float32)}, r"'z' has a bias of shape \(4, 1\)"),
        (
            {"a_w": np.ones((3, 5), np.float32)},
            "layer 'z' gives 4 outputs but layer 'a' takes 5 inputs",
        ),
        ({"a_w": NAN}, r"array 'a_w' holds nan at \[2, 1\]"),
        ({"z_b": INFINITE}, r"array 'z_b' holds -inf at \[2\]"),
        ({"z_w": np.ones((4, 6), np.int32)}, "array 'z_w' holds .* values; they must be"),
    ],
)
def test_arrays_that_are_not_a_network(tmp_path, suffix, change, message):
    path = save(tmp_path, suffix, arrays(**change))
    with pytest.raises(BadInput, match=f"^{path}.*{message}"):
        read_network(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_network(tmp_path, suffix):
    path = save(tmp_path, suffix, {})
    with pytest.raises(BadInput, match=f"^{path} holds no arrays"):
        read_network(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_truncation_is_refused(tmp_path, suffix):
    path = save(tmp_path, suffix, arrays())
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(BadInput, match=f"^{path}"):
            read_network(path)


def test_every_flipped_byte_of_an_npz_is_refused_or_harmless(tmp_path):
    path = save(tmp_path, ".npz", arrays())
    data, before = path.read_bytes(), read_network(path)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        try:
            after = read_network(path)
        except BadInput:
            continue
        # Dates and the like are not looked at.
        for one, other in zip(before.layers, after.layers, strict=True):
            np.testing.assert_array_equal(one.weights, other.weights)
            np.testing.assert_array_equal(one.bias, other.bias)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x05\x06", bytes(1000), b"\xff" * 64])
def test_foreign_files(tmp_path, suffix, data):
    path = tmp_path / f"network{suffix}"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=f"^{path}"):
        read_network(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_cannot_be_opened(tmp_path, suffix):
    with pytest.raises(BadInput, match="cannot be read: "):
        read_network(tmp_path / f"{'x' * 300}{suffix}")
    with pytest.raises(BadInput, match=r"none.* cannot be read: No such file"):
        read_network(tmp_path / f"none{suffix}")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(BadInput, match=r"pipe.* is not a regular file"):
        read_network(tmp_path / f"pipe{suffix}")


def test_an_unknown_suffix(tmp_path):
    with pytest.raises(BadInput, match=r"model.h5 is not .*; use .onnx, .pt2, .* or .pth"):
        read_network(tmp_path / "model.h5")


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def header(shape, dtype="<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a_w.npy", header((1 << 20, 1 << 20)))], "values; at most"),
        ([("a_w.npy", header((1 << 13, 1 << 13)))], "should take .* bytes but takes"),
        ([("a_w.npy", header((-2, -3)) + bytes(24))], "impossible shape"),
        ([("a_w.npy", header((2, 3)) + bytes(23))], "should take 152 bytes but takes 151"),
        ([("a_w.npy", header((2, 3)) + bytes(25))], "should take 152 bytes but takes 153"),
        ([("a_w.npy", header((1, 1), "|O") + b"x")], "'a_w' holds object values"),
        ([("a_w.npy", header((1, 1), "|S4") + b"xxxx")], "'a_w' holds .* values"),
        ([("a_w.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"[" * 16)], "damaged .npz"),
        ([("a_w.npy", b"\x93NUMPY\x03\x00" + bytes(8))], "npy version"),
        ([("a_w.txt", b"")], "'a_w.txt', which is not an array"),
    ],
)
def test_hostile_members(tmp_path, members, message):
    path = zip_of(tmp_path / "network.npz", members)
    tracemalloc.start()
    with pytest.raises(BadInput, match=f"^{path}.*{message}"):
        read_network(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(tmp_path):
    member = ("a_w.npy", header((1, 1)) + bytes(4))
    path = zip_of(tmp_path / "network.npz", [member, member])
    with pytest.raises(BadInput, match="two arrays of the same name"):
        read_network(path)


def test_inputs(tmp_path):
    path = tmp_path / "x.npy"
    for dtype in (np.uint8, np.float32, np.float64):
        x = np.arange(12).reshape(4, 3).astype(dtype)
        np.save(path, x)
        again = read_inputs(path, 3)
        assert again.dtype == np.float64
        np.testing.assert_array_equal(again, x)


def test_inputs_that_are_planes_are_flattened_channel_first(tmp_path):
    x = np.arange(24).reshape(2, 3, 2, 2)
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.npy", 12), x.reshape(2, 12))


def test_one_input(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.npy", 3), [[0, 1, 2]])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 3, 2)), r"has shape \(4, 3, 2\)"),
        (np.zeros((4, 5)), r"has shape \(4, 5\); this network takes \(vectors, 3\)"),
        (np.zeros(4), r"has shape \(4,\)"),
        (np.float64(3), r"has shape \(\)"),
        (np.zeros((0, 3)), r"has shape \(0, 3\)"),
        (np.array([[0, 1, 2], [0, np.nan, 0]]), r"holds nan at \[1, 1\]"),
        (np.array([["a", "b", "c"]]), "holds <U1 values"),
        (np.zeros((2, 3), complex), "holds complex128 values"),
        (np.array([[None, 1, 2]]), "not a sound .npy"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path, x, message):
    path = tmp_path / "x.npy"
    np.save(path, x)
    with pytest.raises(BadInput, match=f"^{path}.*{message}"):
        read_inputs(path, 3)


@pytest.mark.parametrize("data", [b"", b"hello", header((1 << 30, 3)), header((2, 3)) + bytes(9)])
def test_inputs_from_damaged_files(tmp_path, data):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=f"^{path}"):
        read_inputs(path, 3)


def test_inputs_from_places_that_are_no_files(tmp_path):
    with pytest.raises(BadInput, match=r"none.npy cannot be read: No such file"):
        read_inputs(tmp_path / "none.npy", 3)
    with pytest.raises(BadInput, match="not a regular file"):
        read_inputs(tmp_path, 3)
