"""The trained model computes what the float network computes."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from small import CLASSES, convolutional, dense, residual

from sw.convolution import Convolution
from sw.network import Layer, Network
from sw.train.model import Model


def convolution(**geometry: int) -> Network:
    """One convolution of planes with 2 channels, 7 rows and 9 columns, and a layer after it."""
    where = Convolution(2, 7, 9, **geometry)
    rng = np.random.default_rng(3)
    outputs = 3 * int(np.prod(where.plane))
    return Network(
        (
            Layer("conv", rng.normal(size=(3, where.columns)), rng.normal(size=3), True, where),
            Layer("ip", rng.normal(size=(4, outputs)) / outputs, rng.normal(size=4), relu=False),
        )
    )


GEOMETRIES = [
    {"kernel_height": 3, "kernel_width": 2},
    {"kernel_height": 3, "kernel_width": 3, "padding": 2},
    {"kernel_height": 2, "kernel_width": 3, "stride": 2},
    {"kernel_height": 2, "kernel_width": 2, "pool": 2},
    {"kernel_height": 3, "kernel_width": 3, "stride": 2, "padding": 1, "pool": 3},
    {"kernel_height": 1, "kernel_width": 1, "pool": 4},
    {"kernel_height": 2, "kernel_width": 2, "pool": 3, "overlap": 1},
    {"kernel_height": 2, "kernel_width": 2, "pool": 4, "overlap": 2, "average": True},
    {"kernel_height": 2, "kernel_width": 3, "padding": 2, "pool": 2, "average": True},
]


@pytest.mark.parametrize(
    "network",
    [
        dense((6, 3)),
        dense((10, 8, 6, 4)),
        convolutional(),
        residual(),
        *(convolution(**geometry) for geometry in GEOMETRIES),
    ],
)
def test_logits_are_those_of_the_network(network):
    x = np.random.default_rng(2).normal(size=(7, network.inputs)).astype(np.float32)
    logits = Model(network).logits(torch.from_numpy(x))
    expected = network.predict(x.astype(np.float64))
    assert logits.shape == expected.shape
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("relu", [True, False])
def test_a_last_layer_may_have_relu_and_a_convolution_none(relu):
    network = convolutional()
    layers = [dataclasses.replace(layer, relu=relu) for layer in network.layers]
    x = np.random.default_rng(2).random((5, network.inputs)).astype(np.float32)
    logits = Model(Network(tuple(layers))).logits(torch.from_numpy(x)).detach().numpy()
    assert (logits < 0).any() != relu
    expected = Network(tuple(layers)).predict(x.astype(np.float64))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", [dense(), convolutional(), residual()])
def test_there_and_back(network):
    back = Model(network).network()
    for layer, other in zip(network.layers, back.layers, strict=True):
        same = dataclasses.replace(other, weights=layer.weights, bias=layer.bias)
        assert same == layer
        for a, b in ((layer.weights, other.weights), (layer.bias, other.bias)):
            assert b.dtype == np.float64
            np.testing.assert_array_equal(a.astype(np.float32), b)


def test_what_comes_back_does_not_change_with_the_model():
    network = dense()
    before = [layer.weights.copy() for layer in network.layers]
    model = Model(network)
    back = model.network()
    with torch.no_grad():
        for weight in model.weights:
            weight.zero_()
    for layer, other, weights in zip(network.layers, back.layers, before, strict=True):
        np.testing.assert_array_equal(layer.weights, weights)
        assert other.weights.any()


def test_other_weights_take_the_place_of_the_models():
    model, other = Model(dense(seed=1)), Model(dense(seed=2))
    x = torch.rand(3, 64, generator=torch.Generator().manual_seed(1))
    mixed = model.logits(x, other.weights)
    assert not torch.equal(mixed, model.logits(x))
    with torch.no_grad():
        for bias, its in zip(other.biases, model.biases, strict=True):
            bias.copy_(its)
    assert torch.equal(mixed, other.logits(x))


def test_dropout_is_of_each_layers_inputs():
    # Units that each add 1 to the output: how many are left is seen in it.
    ones = Network(
        (
            Layer("ip1", np.ones((1000, 1)), np.zeros(1000), relu=True),
            Layer("ip2", np.ones((1, 1000)), np.zeros(1), relu=False),
        )
    )
    torch.manual_seed(1)
    x = torch.ones(200, 1)
    model = Model(ones)
    assert torch.equal(model.logits(x, dropout=[0.0, 0.0]), torch.full((200, 1), 1000.0))
    hidden = model.logits(x, dropout=[0.0, 0.25]).detach()
    assert float(hidden.mean()) == pytest.approx(1000, rel=0.01)  # scaled up for what is missing
    left = hidden * 0.75
    assert float(left.std()) == pytest.approx(np.sqrt(1000 * 0.25 * 0.75), rel=0.2)
    of_input = model.logits(x, dropout=[0.5, 0.0]).detach()
    assert {round(value, 3) for value in of_input.flatten().tolist()} == {0.0, 2000.0}


def test_random_weights_have_the_spread_of_he_and_follow_the_generator():
    models = [Model(dense((400, 300, 5))) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        model.initialise(torch.Generator().manual_seed(seed))
        for weight, bias in zip(model.weights, model.biases, strict=True):
            spread = float(weight.detach().std())
            assert spread == pytest.approx(np.sqrt(2 / weight.shape[1]), rel=0.05)
            assert not bias.detach().any()
    for one, same, other in zip(*(model.weights for model in models), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_fixed_layers_do_not_learn():
    network = residual()
    model = Model(network)
    assert model.learned == [0, 1, 3, 5]
    assert [len(bias) for bias in model.biases] == [4, 4, 6, CLASSES]
    model.initialise(torch.Generator().manual_seed(1))
    for layer, before in zip(model.network().layers, network.layers, strict=True):
        if before.fixed:
            assert layer is before
        else:
            assert (layer.weights != before.weights).any()


def test_dropout_is_of_what_learns():
    model = Model(residual())
    x = torch.rand(4, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.logits(x, dropout=[0.0] * 4), model.logits(x))
    torch.manual_seed(1)
    assert not torch.equal(model.logits(x, dropout=[0.0, 0.0, 0.0, 0.5]), model.logits(x))


@pytest.mark.parametrize("network", [convolutional(), residual()])
def test_every_parameter_learns(network):
    model = Model(network)
    torch.autograd.backward(model.logits(torch.rand(16, 64)).square().sum())
    for parameter in itertools.chain(model.weights, model.biases):
        assert parameter.grad is not None
        assert parameter.grad.any()
