"""Architectures by name."""

from __future__ import annotations

import numpy as np
import pytest

from sw.architectures import NAMES, template
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.graph import sources, wiring_fault


@pytest.mark.parametrize(
    ("name", "parameters", "layers", "relus"),
    [
        ("lenet300100", 266_610, "ip1 ip2 ip3", [True, True, False]),
        ("lenet5", 431_080, "conv1 conv2 ip1 ip2", [True, True, True, False]),
        ("lenet5-caffe", 431_080, "conv1 conv2 ip1 ip2", [False, False, True, False]),
    ],
)
def test_they_are_those_of_the_papers(name, parameters, layers, relus):
    network = template(name)
    assert network.parameters == parameters
    assert [layer.name for layer in network.layers] == layers.split()
    assert [layer.relu for layer in network.layers] == relus
    assert network.inputs == 28 * 28
    assert network.layers[-1].outputs == 10


INPUTS = {"squeezenet-v1.0": 3 * 227 * 227, "resnet8": 3 * 32 * 32}


@pytest.mark.parametrize("name", NAMES)
def test_each_layer_takes_what_its_sources_give(name):
    network = template(name)
    assert network.inputs == INPUTS.get(name, 784)
    assert wiring_fault(network.layers, network.inputs) is None
    for layer in network.layers:
        assert layer.bias.shape == layer.weights.shape[:1]
        assert not layer.bias.any()
        assert layer.weights.any() == layer.fixed
        if layer.convolution is not None:
            assert layer.convolution.fault() is None
            assert layer.weights.shape[1] == layer.convolution.columns
    outputs = network.layers[-1].outputs
    assert not network.predict(np.ones((1, network.inputs))).any()
    assert outputs == (1000 if name == "squeezenet-v1.0" else 10)


def weights(network):
    """Weights and biases that are trained."""
    return sum(la.weights.size + la.bias.size for la in network.layers if not la.fixed)


class TestSqueezeNet:
    """Against SqueezeNet_v1.0/deploy.prototxt of its authors, which has a plane a concatenation."""

    NETWORK = template("squeezenet-v1.0")

    def test_layers(self):
        layers = self.NETWORK.layers
        fires = [
            f"fire{number}/{part}"
            for number in range(2, 10)
            for part in ("squeeze1x1", "expand1x1", "expand3x3")
        ]
        assert [layer.name for layer in layers] == ["conv1", *fires, "conv10", "pool10"]
        assert weights(self.NETWORK) == 1_248_424
        rows = [len(layer.bias) for layer in layers]
        assert rows[:-1] == [
            96,
            *([16, 64, 64] * 2 + [32, 128, 128] * 2),
            *([48, 192, 192] * 2 + [64, 256, 256] * 2),
            1000,
        ]
        assert [layer.relu for layer in layers] == [True] * 26 + [False]

    def test_planes(self):
        planes = {layer.name: layer.convolution.plane for layer in self.NETWORK.layers}
        squeezes = [planes[f"fire{number}/squeeze1x1"][0] for number in range(2, 10)]
        assert squeezes == [55, 55, 55, 27, 27, 27, 27, 13]
        # A padding of 1 around a kernel of 1 × 1: it is in the model.
        assert planes["conv10"] == (15, 15)
        assert planes["pool10"] == (1, 1)

    def test_pooling(self):
        pooled = {la.name: la.convolution for la in self.NETWORK.layers if la.convolution.pool > 1}
        assert list(pooled) == [
            "conv1",
            *("fire4/expand1x1", "fire4/expand3x3", "fire8/expand1x1", "fire8/expand3x3"),
        ]
        assert {(each.pool, each.pool_stride) for each in pooled.values()} == {(3, 2)}

    def test_each_fire_module_is_wired_alike(self):
        found = sources(self.NETWORK.layers)
        assert found[:4] == [(0,), (1,), (2,), (2,)]
        for place in range(4, 25, 3):
            assert found[place] == (place - 1, place)
            assert found[place + 1] == found[place + 2] == (place + 1,)
        assert found[25:] == [(24, 25), (26,)]

    def test_the_mean_at_its_end(self):
        last = self.NETWORK.layers[-1]
        x = np.random.default_rng(0).normal(size=(2, 1000, 225))
        np.testing.assert_allclose(last.run(x.reshape(2, -1)), x.mean(axis=2))


class TestResNet8:
    NETWORK = template("resnet8")

    def test_weights(self):
        # 78,666 with the four numbers a channel of its 240 normalised channels.
        assert weights(self.NETWORK) == 78_666 - 4 * 240
        assert self.NETWORK.layers[-1].name == "dense"

    def test_sums(self):
        tensors = sources(self.NETWORK.layers)
        sums = {
            layer.name: [["", *self.names()][tensor] for tensor in tensors[place]]
            for place, layer in enumerate(self.NETWORK.layers)
            if layer.added
        }
        assert sums == {
            "stack1/add": ["stack1/conv2", "conv"],
            "stack2/add": ["stack2/conv2", "stack2/shortcut"],
            "stack3/add": ["stack3/conv2", "stack3/shortcut"],
        }
        assert all(layer.fixed and layer.relu for layer in self.NETWORK.layers if layer.added)

    def test_the_mean_is_in_the_last_sum(self):
        last = self.NETWORK.layers[-2]
        assert last.convolution == Convolution(64, 8, 8, 1, 1, groups=64, pool=8, average=True)

    def names(self):
        return [layer.name for layer in self.NETWORK.layers]


def test_lenet_5_has_two_planes_of_convolution():
    first, second = (layer.convolution for layer in template("lenet5").layers[:2])
    assert (first.positions, first.plane) == ((24, 24), (12, 12))
    assert (second.channels, second.positions, second.plane) == (20, (8, 8), (4, 4))


def test_each_is_made_anew():
    template("lenet5").layers[0].weights[:] = 1
    assert not template("lenet5").layers[0].weights.any()


@pytest.mark.parametrize("name", ["lenet", "LeNet5", ""])
def test_an_unknown_one(name):
    with pytest.raises(BadInput) as error:
        template(name)
    assert str(error.value) == (
        f"architecture {name!r} is unknown; there are lenet300100, lenet5, lenet5-caffe, "
        "squeezenet-v1.0, resnet8"
    )
