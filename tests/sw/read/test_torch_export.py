"""Exported modules, read without PyTorch as PyTorch executes them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from modules import agree, export, prepare, refuse
from torch import nn

from sw.convolution import Convolution
from sw.read import read_network


class Flat(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)


class Reshaped(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1)


class TestExport:
    @pytest.mark.parametrize("dynamic", [False, True])
    @pytest.mark.parametrize("flat", [nn.Flatten, Flat, Reshaped])
    def test_convolutions(self, tmp_path, flat, dynamic):
        module = prepare(
            nn.Sequential(
                nn.Conv2d(2, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Dropout2d(),
                nn.Conv2d(4, 3, 3, stride=2, bias=False),
                nn.MaxPool2d(2),
                nn.ReLU(inplace=True),
                flat(),
                nn.Dropout(inplace=True),
                nn.Linear(6, 5),
                nn.BatchNorm1d(5),
                nn.ReLU(),
                nn.Identity(),
                nn.Linear(5, 4, bias=False),
            )
        )
        x = torch.randn(3, 2, 12, 18)
        network = agree(export(tmp_path / "m.pt2", module, x, dynamic), module, x)
        assert [layer.name for layer in network.layers] == ["0", "5", "10", "14"]
        assert [layer.relu for layer in network.layers] == [True, True, True, False]
        assert network.layers[0].convolution == Convolution(2, 12, 18, 3, 3, padding=1, pool=2)
        assert network.layers[1].convolution == Convolution(4, 6, 9, 3, 3, stride=2, pool=2)

    @pytest.mark.parametrize("padding", ["same", "valid"])
    def test_padding_in_words(self, tmp_path, padding):
        module = nn.Conv2d(2, 4, 3, padding=padding).eval()
        x = torch.randn(2, 2, 6, 7)
        agree(export(tmp_path / "m.pt2", module, x), module, x)

    def test_softmax_is_left_out(self, tmp_path):
        for last in (nn.Softmax(1), nn.LogSoftmax(-1)):
            module = nn.Sequential(nn.Linear(4, 3), last).eval()
            x = torch.randn(2, 4)
            path = export(tmp_path / "m.pt2", module, x)
            agree(path, module[:1], x)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_other_floats(self, tmp_path, dtype):
        module = nn.Linear(4, 3).to(dtype).eval()
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 4, dtype=dtype))
        weights = read_network(path).layers[0].weights
        np.testing.assert_array_equal(weights, module.weight.detach().double().numpy())

    @pytest.mark.filterwarnings("ignore:No complete tensor")
    def test_tensors_that_are_views(self, tmp_path):
        module = nn.Linear(4, 3).eval()
        module.weight = nn.Parameter(torch.randn(9, 8)[2:6, 1:7:2].T)
        x = torch.randn(2, 4)
        agree(export(tmp_path / "m.pt2", module, x), module, x)

    def test_pytorch_is_not_needed(self, tmp_path, monkeypatch):
        path = export(tmp_path / "m.pt2", nn.Linear(4, 3).eval(), torch.zeros(2, 4))
        monkeypatch.setitem(sys.modules, "torch", None)
        assert read_network(path).inputs == 4


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(x), x


class TestExportRefusals:
    @pytest.mark.parametrize(
        ("module", "shape", "message"),
        [
            (nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), (2, 4), r"\(sigmoid.default\): this op"),
            (Two(), (2, 4), r"gives \['user_output', 'user_output'\]; it must have one input"),
            (nn.Conv2d(2, 2, 3, dilation=2), (2, 2, 8, 8), r"dilations are \[2, 2\]"),
            (nn.Conv2d(2, 2, 3, stride=(1, 2)), (2, 2, 8, 8), r"strides are \[1, 2\]"),
            (nn.Conv2d(2, 2, 3, padding=(1, 0)), (2, 2, 8, 8), r"pads are \[1, 0, 1, 0\]"),
            (
                nn.Sequential(nn.Conv2d(2, 2, 3), nn.MaxPool2d(3, 2, 1)),
                (2, 2, 8, 8),
                r"kernel is \[3, 3\] with strides \[2, 2\], pads \[1, 1, 1, 1\]",
            ),
            (
                nn.Sequential(nn.Conv2d(2, 2, 2), nn.MaxPool2d(2, ceil_mode=True)),
                (2, 2, 8, 8),
                r"pools \[7, 7\] by 2 and counts windows that are not full",
            ),
            (nn.Sequential(nn.Flatten(0), nn.Linear(8, 2)), (2, 4), "flattens dimensions 0 to 1"),
            (nn.Sequential(nn.Linear(4, 2), nn.Softmax(0)), (2, 4), "its axis is 0"),
            (nn.ReLU(), (2, 4), "the model has no convolution and no fully connected layer"),
        ],
    )
    def test_modules(self, tmp_path, module, shape, message):
        path = export(tmp_path / "m.pt2", module.eval(), torch.zeros(shape))
        refuse(path, message)

    def test_training_mode(self, tmp_path):
        module = nn.Sequential(nn.Linear(4, 3), nn.Dropout())
        refuse(export(tmp_path / "m.pt2", module, torch.zeros(2, 4)), r"'dropout'.*call eval\(\)")
        module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        refuse(export(tmp_path / "m.pt2", module, torch.zeros(2, 4)), r"call eval\(\) before")

    def test_dynamic_shapes(self, tmp_path):
        module = nn.Conv2d(2, 3, 3).eval()
        height = torch.export.Dim("height", min=4, max=64)
        program = torch.export.export(
            module, (torch.zeros(2, 2, 8, 8),), dynamic_shapes=({2: height},)
        )
        torch.export.save(program, tmp_path / "m.pt2")
        refuse(tmp_path / "m.pt2", "input 'input': dimension 2 of its shape .* is dynamic")
        network = read_network(tmp_path / "m.pt2", input_shape=(2, 8, 8))
        assert network.layers[0].convolution == Convolution(2, 8, 8, 3, 3)

    def test_nan(self, tmp_path):
        module = nn.Linear(4, 3).eval()
        module.weight.data[1, 2] = float("nan")
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 4))
        refuse(path, r"node 'linear' .* tensor 'weight' holds nan at \[1, 2\]; every value must")
