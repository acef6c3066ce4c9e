"""ONNX files: data beside the model, foreign and damaged files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from graphs import (
    CONV,
    DENSE,
    W,
    assemble,
    average,
    conv,
    dense,
    model,
    node,
    norm,
    pool,
    refuse,
    save,
    values,
)
from onnx import TensorProto, helper

from sw.errors import BadInput
from sw.read import read_network


class TestExternalData:
    def build(self, folder, location="weights.bin", **entries):
        proto = model([dense()], DENSE)
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in ({"location": location} | entries).items():
            tensor.external_data.add(key=key, value=value)
        (folder / "weights.bin").write_bytes(b"12345678" + W.tobytes() + b"1")
        return proto

    def test_beside_the_model(self, tmp_path):
        proto = self.build(tmp_path, offset="8", length="48")
        network = read_network(save(tmp_path, proto))
        np.testing.assert_array_equal(network.layers[0].weights, W)
        (tmp_path / "sub").mkdir()
        os.rename(tmp_path / "weights.bin", tmp_path / "sub" / "weights.bin")
        proto.graph.initializer[0].external_data[0].value = "sub/weights.bin"
        assert read_network(save(tmp_path, proto)).inputs == 4
        # The way to the folder may lead over a link; the way from it may not.
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
        assert read_network(tmp_path / "link" / "network.onnx").inputs == 4

    @pytest.mark.parametrize(
        "location",
        ["", ".", "../outside.bin", "sub/../weights.bin", "/etc/hostname", "a\0b", "link", "way/x"],
    )
    def test_outside_of_the_folder(self, tmp_path, location):
        folder = tmp_path / "model"
        folder.mkdir()
        (tmp_path / "outside.bin").write_bytes(W.tobytes())
        (tmp_path / "x").write_bytes(W.tobytes())
        (folder / "link").symlink_to(tmp_path / "outside.bin")
        (folder / "way").symlink_to(tmp_path, target_is_directory=True)
        proto = self.build(folder, location)
        refuse(folder, proto, "inside the model's folder, by a relative|is no regular file")

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ({"offset": "10"}, "from 10; it needs 48, and the file has 57"),
            ({"offset": "999999999999999999"}, "needs 48, and the file has 57"),
            ({"length": "47"}, "in 47 bytes of 'weights.bin' from 0; it needs 48"),
            ({"length": "49"}, "in 49 bytes"),
            ({"offset": "-8"}, "which are no numbers"),
            ({"offset": "9" * 5000}, "which are no numbers"),
            ({"location": "none.bin"}, "'none.bin', which is no regular file"),
            ({"location": "pipe"}, "'pipe', which is no regular file"),
        ],
    )
    def test_lengths(self, tmp_path, entries, message):
        os.mkfifo(tmp_path / "pipe")
        refuse(tmp_path, self.build(tmp_path, **entries), message)


class TestFiles:
    @pytest.mark.parametrize("data", [b"", b"hello", bytes(1000), b"\xff" * 64, b"PK\x05\x06"])
    def test_foreign_files(self, tmp_path, data):
        path = tmp_path / "network.onnx"
        path.write_bytes(data)
        with pytest.raises(BadInput, match=f"^{path}: .*not an ONNX model"):
            read_network(path)

    def test_large_files_are_refused_unread(self, tmp_path):
        path = tmp_path / "network.onnx"
        path.touch()
        os.truncate(path, 1 << 40)
        with pytest.raises(BadInput, match="the file has 1099511627776 bytes; at most"):
            read_network(path)

    def test_places_that_are_no_files(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(BadInput, match="not a regular file"):
            read_network(tmp_path / "pipe.onnx")
        with pytest.raises(BadInput, match=r"none.onnx: it cannot be read: No such file"):
            read_network(tmp_path / "none.onnx")

    @pytest.mark.parametrize("mask", [0xFF, 0x01])
    def test_every_flipped_byte_is_refused_or_a_network(self, tmp_path, mask):
        nodes = [
            conv(),
            norm(),
            node("Relu"),
            pool(),
            node("Reshape", "target"),
            node("Gemm", "d", transB=1),
        ]
        constants = {
            "k.weight": values(2, 1, 1, 1),
            "k.bias": values(2),
            **{name: np.full(2, 0.5, np.float32) for name in "somv"},
            "target": np.array([0, -1]),
            "d": values(1, 2),
        }
        flip_every_byte(tmp_path, model(nodes, constants, ("n", 1, 2, 2)), mask)

    @pytest.mark.parametrize("mask", [0xFF, 0x01])
    def test_every_flipped_byte_of_a_graph_that_branches(self, tmp_path, mask):
        window = {"kernel_shape": [2, 2], "strides": [1, 1]}
        nodes = [
            helper.make_node("Conv", ["x", "k"], ["a"], group=2),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["c"]),
            helper.make_node("MaxPool", ["c"], ["d"], **window),
            helper.make_node("AveragePool", ["b"], ["e"], **window),
            helper.make_node("Concat", ["d", "e"], ["f"], axis=1),
            helper.make_node("GlobalAveragePool", ["f"], ["g"]),
            helper.make_node("Mul", ["g", "s"], ["y"]),
        ]
        constants = {"k": values(2, 1, 1, 1), "s": values(1, 1, 1)}
        flip_every_byte(tmp_path, assemble(nodes, constants, ("n", 2, 3, 3)), mask)

    @pytest.mark.parametrize("number", [0, -1, 1 << 31, (1 << 63) - 1, -(1 << 63)])
    def test_every_number_replaced(self, tmp_path, number):
        window = {"strides": [1, 1], "pads": [1] * 4, "dilations": [1, 1], "kernel_shape": [3, 3]}
        mean = average(ceil_mode=0, count_include_pad=0, strides=[1, 1], pads=[0] * 4)
        nodes = [conv(group=1, **window), pool(ceil_mode=0), mean, node("Flatten", axis=1)]
        constants = CONV | {"target": np.array([0, 18])}
        proto = model([*nodes, node("Reshape", "target", allowzero=0)], constants, (1, 2, 7, 8))
        outcomes = set()
        for container, field, place in integers(proto):
            values = getattr(container, field)
            kept = values if place is None else values[place]
            replace(container, field, place, number)
            try:
                network = read_network(save(tmp_path, proto))
                outcomes.add(network.layers[0].convolution is not None)
            except BadInput:
                outcomes.add("refused")
            replace(container, field, place, kept)
        assert outcomes == {True, "refused"}

    def test_every_truncation(self, tmp_path):
        path = save(tmp_path, model([dense()], DENSE))
        data = path.read_bytes()
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(BadInput, match=f"^{path}"):
                read_network(path)


def flip_every_byte(folder, proto, mask):
    """Every byte damaged in turn: refused, or a network that runs."""
    path = save(folder, proto)
    data = path.read_bytes()
    read_network(path)
    read = 0
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= mask
        path.write_bytes(broken)
        try:
            network = read_network(path)
        except BadInput:
            continue
        read += 1
        network.predict(np.zeros((1, network.inputs)))
    assert 0 < read < len(data)


def replace(container, field, place, number):
    if place is None:
        setattr(container, field, number)
    else:
        getattr(container, field)[place] = number


def integers(message):
    """Every 64-bit number in a model, as (message, field, place in it)."""
    for field, value in message.ListFields():
        repeated = not isinstance(value, int | float | str | bytes) and hasattr(value, "__len__")
        if field.message_type is not None:
            for part in value if repeated else [value]:
                yield from integers(part)
        elif field.type == field.TYPE_INT64:
            for place in range(len(value)) if repeated else [None]:
                yield message, field.name, place
