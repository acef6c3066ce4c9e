"""Exported modules that branch, read without PyTorch as PyTorch executes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from modules import agree, export, prepare, refuse
from torch import nn
from torch.nn import functional

from sw.architectures import template
from sw.convolution import Convolution
from sw.read import read_network


class Forward(nn.Module):
    """A module of parts and what it does with them."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.function = forward

    def forward(self, x):
        return self.function(self.parts, x)


class Fire(nn.Module):
    def __init__(self, channels, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.one(x)), self.relu(self.three(x))], 1)


class Basic(nn.Module):
    """As in most ResNets for PyTorch: ReLU and sum in place."""

    def __init__(self, channels, rows, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, rows, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(rows)
        self.conv2 = nn.Conv2d(rows, rows, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(rows)
        self.short = nn.Conv2d(channels, rows, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.short(x)
        return functional.relu(y, inplace=True)


class PreActivation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(functional.relu(self.bn1(x)))
        return x + self.conv2(functional.relu(self.bn2(y)))


def resnet_8():
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(Basic(16, 16, 1), Basic(16, 32, 2), Basic(32, 64, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def check(folder, module, *shape, dynamic=False):
    torch.manual_seed(5)
    module = prepare(module)
    x = torch.randn(3, *shape)
    return agree(export(folder / "m.pt2", module, x, dynamic), module, x)


class TestArchitectures:
    def test_state_dicts(self, tmp_path):
        """Without normalisation, which arrays alone do not describe."""
        module = resnet_8()
        for part in module:
            if isinstance(part, Basic):
                part.bn1 = part.bn2 = nn.Identity()
        module[1] = nn.Identity()
        torch.save(module.state_dict(), tmp_path / "m.pt")
        network = read_network(tmp_path / "m.pt", "resnet8")
        x = torch.randn(2, 3, 32, 32)
        y = network.predict(x.numpy().reshape(2, -1).astype(np.float64))
        np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("dynamic", [False, True])
    def test_resnet_8(self, tmp_path, dynamic):
        network = check(tmp_path, resnet_8(), 3, 32, 32, dynamic=dynamic)
        wanted = template("resnet8")
        for layer, other in zip(network.layers, wanted.layers, strict=True):
            assert layer.weights.shape == other.weights.shape
            assert (layer.convolution, layer.sources) == (other.convolution, other.sources)
            assert (layer.relu, layer.added, layer.fixed) == (other.relu, other.added, other.fixed)

    def test_fire_modules(self, tmp_path):
        module = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Fire(6, 2, 3), nn.MaxPool2d(3, 2), Fire(6, 2, 4), nn.Dropout()),
            *(nn.Conv2d(8, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()),
        )
        network = check(tmp_path, module, 3, 31, 31)
        names = [layer.name for layer in network.layers]
        assert names[:5] == ["0", "3.squeeze", "3.one", "3.three", "5.squeeze"]
        assert len(network.layers) == 9
        assert network.layers[4].sources == (2, 1)
        assert network.layers[-1].fixed

    def test_pre_activation(self, tmp_path):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), PreActivation(4), PreActivation(4), nn.BatchNorm2d(4), nn.ReLU()
        )
        network = check(tmp_path, module, 3, 9, 9)
        assert [layer.fixed for layer in network.layers] == [
            *(False, True, False, False, True),
            *(True, False, False, True),
        ]

    def test_depthwise_separable_block(self, tmp_path):
        module = nn.Sequential(
            *(nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
            *(nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Conv2d(6, 4, 3, groups=2),
        )
        network = check(tmp_path, module, 4, 8, 8)
        assert len(network.layers) == 3
        geometry = Convolution(4, 8, 8, 3, 3, stride=2, padding=1, groups=4)
        assert network.layers[0].convolution == geometry


class TestOperators:
    def test_constants(self, tmp_path):
        module = Forward(
            lambda parts, x: 2 * (parts["a"](x) * parts["p"].weight[:1, 0] + 1) + 0.5,
            a=nn.Linear(4, 3),
            p=nn.Linear(1, 1),
        )
        path = export(tmp_path / "m.pt2", module.eval(), torch.randn(2, 4))
        refuse(path, r"select|slice")
        module.function = lambda parts, x: 2 * (parts["a"](x) * parts["p"].bias + 1) + 0.5
        assert len(check(tmp_path, module, 4).layers) == 1

    def test_three_to_a_fully_connected_layer(self, tmp_path):
        module = Forward(
            lambda parts, x: parts["d"](
                torch.concat([parts["a"](x), torch.cat([x, parts["a"](x)], -3)], dim=1).flatten(1)
            ),
            a=nn.Conv2d(2, 3, 1),
            d=nn.Linear(8 * 25, 4),
        )
        network = check(tmp_path, module, 2, 5, 5)
        assert network.layers[-1].sources == (2, 3, 1)
        assert network.layers[-1].convolution is None

    @pytest.mark.parametrize(
        ("pool", "plane"),
        [
            (nn.AvgPool2d(2), (7, 6)),
            (nn.AvgPool2d(3, 2), (7, 6)),
            (nn.AvgPool2d(4, 2), (8, 8)),
            (nn.AvgPool2d((2, 3), 1, count_include_pad=False), (7, 6)),
            (nn.MaxPool2d(3, 2), (7, 7)),
            (nn.MaxPool2d(2, 1), (6, 7)),
            (nn.AdaptiveAvgPool2d((2, 2)), (8, 8)),
            (nn.AdaptiveAvgPool2d(3), (9, 9)),
            (nn.AdaptiveAvgPool2d((6, 7)), (6, 7)),
        ],
    )
    @pytest.mark.parametrize("relu", [nn.ReLU, nn.Identity])
    def test_pooling(self, tmp_path, pool, plane, relu):
        module = nn.Sequential(nn.Conv2d(2, 3, 1), relu(), pool, nn.ReLU(), nn.Conv2d(3, 2, 1))
        check(tmp_path, module, 2, *plane)

    @pytest.mark.parametrize("plane", [(4, 4), (5, 3)])
    @pytest.mark.parametrize("keep", [False, True])
    @pytest.mark.parametrize("dims", [(2, 3), (-1, -2), [3, 2]])
    def test_means(self, tmp_path, plane, keep, dims):
        module = Forward(
            lambda parts, x: parts["d"](parts["a"](x).mean(dims, keepdim=keep).flatten(1)),
            a=nn.Conv2d(2, 3, 1),
            d=nn.Linear(3, 2),
        )
        check(tmp_path, module, 2, *plane)

    @pytest.mark.parametrize(
        ("forward", "message"),
        [
            (
                lambda p, x: p["a"](x) * p["a"](x),
                r"'mul' \(mul.Tensor\): it multiplies activations",
            ),
            (lambda p, x: torch.add(x, p["a"](x), alpha=2), "its alpha is 2; it must be 1"),
            (
                lambda p, x: x + p["a"](x).mean((2, 3), keepdim=True),
                r"adds activations of shapes \(2, 4, 4\) and \(2, 1, 1\); they must be the same",
            ),
            (lambda p, x: torch.cat([p["a"](x), x], 2), "its axis is 2; it must be 1"),
            (lambda p, x: p["a"](x).mean(1), r"its dimensions are \[1\] of 4; they must be"),
            (lambda p, x: p["a"](x) + x.shape[0], "its other is the size of the batch"),
            (lambda p, x: torch.chunk(p["a"](x), 2, 1)[0], "this operator is not supported"),
            (
                lambda p, x: functional.adaptive_avg_pool2d(p["a"](x), 3),
                r"shape \(2, 4, 4\) to planes of \[3, 3\], which are not made of equal windows",
            ),
            (
                lambda p, x: functional.avg_pool2d(p["a"](x), 2, divisor_override=3),
                "its divisor_override is 3",
            ),
            (
                lambda p, x: functional.avg_pool2d(p["a"](x), 3, padding=1),
                "average pooling must have equal strides, no padding",
            ),
            (
                lambda p, x: functional.avg_pool2d(p["a"](x), 3, 2, ceil_mode=True),
                r"pools \[4, 4\] by 3 and counts windows that are not full",
            ),
        ],
    )
    def test_refusals(self, tmp_path, forward, message):
        module = Forward(forward, a=nn.Conv2d(2, 2, 1)).eval()
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 2, 4, 4), dynamic=True)
        refuse(path, message)

    def test_concatenated_constants(self, tmp_path):
        module = Forward(lambda p, x: torch.cat([x, p["a"].weight], 1), a=nn.Conv2d(2, 2, 4)).eval()
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 2, 4, 4))
        refuse(path, r"\(cat.default\): it takes a constant; only activations can be")


class TestInPlace:
    def test_what_is_changed_is_taken_as_changed(self, tmp_path):
        def forward(parts, x):
            y = parts["a"](x)
            z = parts["a"](y)
            parts["r"](y)
            z += y
            return parts["a"](y) + z

        module = Forward(forward, a=nn.Linear(4, 4), r=nn.ReLU(inplace=True))
        network = check(tmp_path, module, 4)
        assert [layer.relu for layer in network.layers] == [False, False, True, *[False] * 3]

    def test_views_of_what_is_changed_are_refused(self, tmp_path):
        def forward(parts, x):
            y = parts["a"](x)
            flat = y.flatten(1)
            changed = parts["d"](y.relu_().reshape(-1, 18))
            return parts["d"](flat) + changed

        module = Forward(forward, a=nn.Conv2d(2, 2, 1), d=nn.Linear(18, 2)).eval()
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 2, 3, 3))
        refuse(path, "it takes 'flatten', whose memory a node before it changes in place; export")

    def test_parts_that_are_changed_are_refused(self, tmp_path):
        def forward(parts, x):
            y = parts["a"](x)
            y[:, :1].relu_()
            return y

        module = Forward(forward, a=nn.Linear(4, 4)).eval()
        path = export(tmp_path / "m.pt2", module, torch.zeros(2, 4))
        refuse(path, r"\(relu_.default\): it changes in place what it takes, and what it gives")
