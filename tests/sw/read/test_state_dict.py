"""State dicts in every kind of file."""

from __future__ import annotations

import pickle
import sys
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from modules import Trap, agree, refuse, write
from torch import nn

from sw.errors import BadInput
from sw.read import read_network


class LeNet(nn.Module):
    """Names as in most tutorials; in a .safetensors file, sorted, fc stands before features."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5)
        )
        self.fc = nn.Sequential(nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))

    def forward(self, x):
        x = torch.relu(nn.functional.max_pool2d(self.features(x), 2))
        return self.fc(x.flatten(1))


def perceptron():
    """The twelfth part comes after the second."""
    parts = [nn.Linear(6, 5)] + [nn.Sequential(nn.Linear(5, 5), nn.ReLU()) for _ in range(11)]
    parts[1:1] = [nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(5, 3))


SAVE = {
    ".pt": lambda state, path: torch.save(state, path),
    ".pth": lambda state, path: torch.save(state, path),
    ".safetensors": lambda state, path: safetensors.torch.save_file(state, path),
    ".npz": lambda state, path: np.savez(path, **{k: v.numpy() for k, v in state.items()}),
}


class TestStateDict:
    @pytest.mark.parametrize("suffix", SAVE)
    def test_fully_connected(self, tmp_path, suffix):
        module = perceptron()
        path = tmp_path / f"m{suffix}"
        SAVE[suffix](module.state_dict(), path)
        network = agree(path, module, torch.randn(4, 6))
        assert len(network.layers) == 13

    @pytest.mark.parametrize("suffix", SAVE)
    def test_convolutions(self, tmp_path, suffix):
        module = LeNet()
        path = tmp_path / f"m{suffix}"
        SAVE[suffix](module.state_dict(), path)
        x = torch.randn(3, 1, 28, 28)
        network = read_network(path, "lenet5")
        y = network.predict(x.numpy().reshape(3, -1).astype(np.float64))
        np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-5, atol=1e-5)
        refuse(path, "a file of arrays does not say where kernels go")

    def test_no_bias(self, tmp_path):
        module = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3))
        torch.save(module.state_dict(), tmp_path / "m.pt")
        agree(tmp_path / "m.pt", module, torch.randn(4, 6))

    @pytest.mark.parametrize("suffix", SAVE)
    def test_batch_normalisation_is_refused_by_name(self, tmp_path, suffix):
        path = tmp_path / f"m{suffix}"
        state = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)).state_dict()
        SAVE[suffix](state, path)
        refuse(path, "array '1.(running_mean|num_batches_tracked)' of a batch normalisation")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (nn.Linear(3, 2), r"save the module's state_dict\(\) alone"),
            ([torch.zeros(2)], "holds a list, not a state dict"),
            ({}, "holds a dict, not a state dict"),
            ({"epoch": 3, "model": {}}, "'epoch' is of type int, not a tensor"),
            ({3: torch.zeros(2)}, "holds 3 for a name"),
            ({"x": torch.zeros(2)}, "array 'x'; a network is made of"),
            ({"a.weight": torch.zeros(2, 2, dtype=torch.int32)}, "holds torch.int32 values"),
            ({"a.weight": torch.zeros(2, 2, dtype=torch.bfloat16)}, "holds torch.bfloat16 values"),
            ({"a.weight": torch.zeros(2, 2, device="meta")}, "no plain tensor of values"),
            ({"a.weight": torch.zeros(2, 2).to_sparse()}, "no plain tensor of values"),
            ({"a.weight": torch.zeros(1, 1).expand(1 << 20, 1 << 20)}, "values; at most"),
            ({"a.weight": torch.full((2, 2), float("nan"))}, r"'a.weight' holds nan at \[0, 0\]"),
        ],
    )
    def test_what_is_no_state_dict(self, tmp_path, content, message):
        path = tmp_path / "m.pt"
        torch.save(content, path)
        refuse(path, message)

    def test_no_pickle_is_executed(self, tmp_path):
        path, trap = tmp_path / "m.pt", tmp_path / "trap"
        torch.save({"a.weight": Trap(str(trap))}, path)
        refuse(path, "is damaged or holds more than tensors")
        path.write_bytes(pickle.dumps(Trap(str(trap))))
        refuse(path, "not a file of torch.save")
        torch.save({}, path, _use_new_zipfile_serialization=False)
        refuse(path, "older than PyTorch 1.6")
        assert not trap.exists()

    def test_files(self, tmp_path):
        refuse(tmp_path / "none.pt", "cannot be read: No such file")
        path = write(tmp_path / "m.pt", {"m/data.pkl": b"x" * 100}, zipfile.ZIP_DEFLATED)
        refuse(path, "it is compressed")

    def test_sizes_that_are_more_than_the_file(self, tmp_path):
        path = write(tmp_path / "m.pt", {"m/data.pkl": b"x" * 100})
        data = path.read_bytes()
        place = data.index(b"PK\x01\x02") + 24  # the size in the directory
        path.write_bytes(data[:place] + b"\xf0\xff\xff\xff" + data[place + 4 :])
        refuse(path, "unpacks to more than 1073741824 bytes")

    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
    def test_scripts(self, tmp_path):
        torch.jit.save(torch.jit.script(nn.Linear(3, 2)), tmp_path / "m.pt")
        refuse(tmp_path / "m.pt", "not a file of torch.save: it is compressed")

    def test_every_flipped_byte(self, tmp_path):
        path = tmp_path / "m.pt"
        torch.save({"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2)}, path)
        data = path.read_bytes()
        for place in range(0, len(data), 3):
            broken = bytearray(data)
            broken[place] ^= 0xFF
            path.write_bytes(broken)
            try:
                read_network(path)
            except BadInput:
                continue

    def test_pytorch_is_asked_for(self, tmp_path, monkeypatch):
        torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "m.pt")
        monkeypatch.setitem(sys.modules, "torch", None)
        refuse(tmp_path / "m.pt", "only be read with PyTorch, which is not installed")
