"""Archives of exported modules: damaged ones, hostile ones, foreign ones."""

from __future__ import annotations

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from modules import Trap, export, refuse, write
from torch import nn

from sw.errors import BadInput
from sw.read import read_network


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Members of the archive of a small module."""
    module = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)).eval()
    path = export(tmp_path_factory.mktemp("a") / "m.pt2", module, torch.zeros(2, 1, 3, 3))
    with zipfile.ZipFile(path) as file:
        return {member.filename: file.read(member) for member in file.infolist()}


def payload(archive, ending):
    (name,) = [name for name in archive if name.endswith(ending)]
    return name, json.loads(archive[name])


class TestArchive:
    @pytest.mark.parametrize(
        ("member", "data", "message"),
        [
            ("m/archive_format", b"pt3", "not a .pt2 archive, or that of an older PyTorch"),
            ("m/archive_format", None, "not a .pt2 archive, or that of an older PyTorch"),
            ("m/byteorder", b"big", "byte order is not little"),
            ("m/models/other.json", b"{}", "holds 2 models; it must hold one"),
            ("m/models/model.json", b"{}", "is damaged or not"),
            ("m/models/model.json", b"[" * 100000, "is damaged or not"),
            ("m/models/model.json", bytes(1 << 25), "33554432 bytes; at most 16777216 are read"),
            ("m/data/weights/model_weights_config.json", None, "of an older PyTorch"),
            ("m/data/weights/weight_0", bytes(12), r"sizes \[1, 1, 2, 2\].* not lie in its 12 byt"),
            ("m/data/weights/weight_0", None, "it has no 'm/data/weights/weight_0'"),
        ],
    )
    def test_members(self, archive, tmp_path, member, data, message):
        members = {name: old for name, old in archive.items() if name != member}
        if data is not None:
            members[member] = data
        refuse(write(tmp_path / "m.pt2", members), message)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"use_pickle": True}, "tensor '0.weight' is stored as a pickle, which is not read"),
            ({"path_name": "../../x"}, "it has no "),
            ({"dtype": 5}, "no plain values of 16, 32 or 64-bit floats"),
            ({"dtype": 13}, "no plain values of 16, 32 or 64-bit floats"),
            ({"layout": 1}, "no plain values"),
            ({"sizes": [{"as_int": 1 << 40}]}, "values; at most"),
            ({"sizes": [{"as_int": -1}] * 4}, "impossible shape"),
            ({"strides": [{"as_int": -1}] * 4}, "does not lie in its 16 bytes"),
            ({"strides": [{"as_int": 4}] * 4}, "does not lie in its 16 bytes"),
            ({"storage_offset": {"as_int": 1}}, "does not lie in its 16 bytes"),
            ({"storage_offset": {"as_int": -1}}, "does not lie in its 16 bytes"),
            ({"storage_offset": {"as_int": 0.5}}, "stands where an integer must be"),
        ],
    )
    def test_tensors(self, archive, tmp_path, change, message):
        name, config = payload(archive, "_weights_config.json")
        weight = config["config"]["0.weight"]
        for key, value in change.items():
            (weight if key in weight else weight["tensor_meta"])[key] = value
        path = write(tmp_path / "m.pt2", archive | {name: json.dumps(config)})
        refuse(path, message)

    def test_no_pickle_and_no_text_is_executed(self, archive, tmp_path):
        """What torch.export.load unpickles or evaluates: here nothing of it is even looked at."""
        trap = tmp_path / "trap"
        name, model = payload(archive, "models/model.json")
        sizes = model["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
        text = f"__import__('os').mkdir({str(trap)!r})"
        sizes[0] = {"as_expr": {"expr_str": text, "hint": None}}
        constants, config = payload(archive, "_constants_config.json")
        config["config"]["t"] = {
            "path_name": "opaque_obj_0",
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }
        members = archive | {
            name: json.dumps(model),
            constants: json.dumps(config),
            "m/data/constants/opaque_obj_0": pickle.dumps(Trap(str(trap))),
            "m/data/sample_inputs/model.pt": pickle.dumps(Trap(str(trap))),
        }
        path = write(tmp_path / "m.pt2", members)
        assert read_network(path).inputs == 9
        assert not trap.exists()

    def test_compressed(self, archive, tmp_path):
        refuse(write(tmp_path / "m.pt2", archive, zipfile.ZIP_DEFLATED), "it is compressed")

    def test_foreign_files(self, tmp_path):
        path = tmp_path / "m.pt2"
        for data in (b"", b"hello", b"PK\x05\x06", bytes(1000)):
            path.write_bytes(data)
            refuse(path, "is damaged or not a .pt2 archive")
        path.unlink()
        refuse(path, "cannot be read: No such file")
        os.mkfifo(path)
        refuse(path, "not a regular file")

    def test_every_part_of_the_graph_damaged(self, archive, tmp_path):
        """Each value of the JSON replaced in turn: BadInput or a network, and nothing else."""
        name, model = payload(archive, "models/model.json")
        graph = model["graph_module"]
        for node in graph["graph"]["nodes"]:
            node["metadata"] = {}
        values = graph["graph"]["tensor_values"]
        graph["graph"]["tensor_values"] = {"input": values["input"]}
        read = refused = 0
        for place, key in places(graph):
            kept = place[key]
            for wrong in (None, 7, "x", []):
                place[key] = wrong
                path = write(tmp_path / "m.pt2", archive | {name: json.dumps(model)})
                try:
                    network = read_network(path)
                except BadInput:
                    refused += 1
                    continue
                read += 1
                network.predict(np.zeros((1, network.inputs)))
            place[key] = kept
        assert read > 0
        assert refused > 0


def places(value):
    """Every container in JSON, with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])
