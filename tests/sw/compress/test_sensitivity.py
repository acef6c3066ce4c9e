"""The scan of one layer at a time against whole networks, each pruned in one place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from wired import pictures, residual

from sw.compress import formats
from sw.compress.prune import prune
from sw.compress.sensitivity import scan
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer, Network

DENSITIES = (1.0, 0.3, 0.05)


X = np.random.default_rng(1).normal(size=(200, 64)).astype(np.float32)


def small_network() -> Network:
    rng = np.random.default_rng(0)
    kernel = Convolution(1, 8, 8, 3, 3, pool=2)
    hidden = (
        Layer("conv", rng.normal(size=(4, 9)), np.zeros(4), True, kernel),
        Layer("hidden", rng.normal(size=(20, 36)), np.zeros(20), True),
    )
    output = Layer("output", rng.normal(size=(5, 20)), np.zeros(5), False)
    mean = Network((*hidden, output)).predict(X.astype(np.float64)).mean(axis=0)
    return Network((*hidden, dataclasses.replace(output, bias=-mean)))  # no output is always first


@pytest.fixture
def inputs():
    return X, small_network().predict(X.astype(np.float64)).argmax(axis=1)


def test_errors_are_those_of_the_whole_network(inputs):
    network, (x, labels) = small_network(), inputs
    errors = scan(network, x, labels, DENSITIES)
    assert list(errors) == ["conv", "hidden", "output"]
    for place, layer in enumerate(network.layers):
        expected = []
        for density in DENSITIES:
            layers = list(network.layers)
            layers[place] = dataclasses.replace(layer, weights=prune(layer.weights, density))
            y = Network(tuple(layers)).predict(x.astype(np.float64))
            expected.append(np.mean(y.argmax(axis=1) != labels))
        assert errors[layer.name] == expected
        assert expected[0] == 0 < expected[-1]


def test_the_network_stays_as_it_was(inputs):
    network = small_network()
    before = [layer.weights.copy() for layer in network.layers]
    scan(network, *inputs, DENSITIES)
    for layer, weights in zip(network.layers, before, strict=True):
        np.testing.assert_array_equal(layer.weights, weights)


def test_what_is_before_the_pruned_layer_runs_once(inputs, monkeypatch):
    runs = []
    run = Layer.run

    def counted(layer, x):
        runs.append(layer.name)
        return run(layer, x)

    network, calls = small_network(), []
    monkeypatch.setattr(Layer, "run", counted)
    scan(network, *inputs, DENSITIES, calls.append)
    assert calls == [200] * 3 * len(DENSITIES)
    assert runs.count("conv") == len(DENSITIES) + 1
    assert runs.count("hidden") == 2 * len(DENSITIES) + 1
    assert runs.count("output") == 3 * len(DENSITIES)


def test_inputs_that_do_not_fit(inputs):
    network, (x, labels) = small_network(), inputs
    with pytest.raises(BadInput, match=r"shape \(200, 63\); this network takes \(n, 64\)"):
        scan(network, x[:, 1:], labels, DENSITIES)
    with pytest.raises(BadInput, match=r"shape \(0, 64\)"):
        scan(network, x[:0], labels[:0], DENSITIES)
    with pytest.raises(BadInput, match=r"labels have shape \(199,\)"):
        scan(network, x, labels[1:], DENSITIES)
    with pytest.raises(BadInput, match="density is 0"):
        scan(network, x, labels, [0.0])


def test_graphs_are_scanned_block_by_block_but_for_fixed_layers(monkeypatch):
    network, x = residual(), pictures(120)
    labels = network.predict(x).argmax(axis=1)
    whole = scan(network, x, labels, DENSITIES)
    assert list(whole) == [layer.name for layer in network.layers if not layer.fixed]
    monkeypatch.setattr(formats, "_BLOCK", 50)
    calls = []
    assert scan(network, x, labels, DENSITIES, calls.append) == whole
    assert sum(calls) == 120 * len(whole) * len(DENSITIES)
    assert len(calls) == 3 * len(whole) * len(DENSITIES)
    layers = list(network.layers)
    layers[6] = dataclasses.replace(layers[6], weights=prune(layers[6].weights, 0.05))
    expected = Network(tuple(layers)).predict(x).argmax(axis=1)
    assert whole["project"][2] == np.mean(expected != labels)
