"""Architectures by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sw.architectures import NAMES, template
from sw.errors import BadInput


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


@pytest.mark.parametrize("name", NAMES)
def test_each_layer_takes_what_the_one_before_gives(name):
    network = template(name)
    for before, after in itertools.pairwise(network.layers):
        assert before.outputs == after.inputs
    for layer in network.layers:
        assert layer.bias.shape == layer.weights.shape[:1]
        if layer.convolution is not None:
            assert layer.convolution.fault() is None
            assert layer.weights.shape[1] == layer.convolution.columns
    np.testing.assert_array_equal(network.predict(np.ones((2, 784))), np.zeros((2, 10)))


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
        f"architecture {name!r} is unknown; there are lenet300100, lenet5, lenet5-caffe"
    )
