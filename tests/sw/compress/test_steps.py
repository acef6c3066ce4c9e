"""The steps of a recipe that need no training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from wired import residual

from sw.compress.recipe import LayerRule, Pruning, Recipe, Sharing
from sw.compress.steps import prune_layers, share_layers
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer, Network


def network() -> Network:
    """A convolution whose weights are small, and a layer whose weights are large."""
    rng = np.random.default_rng(1)
    where = Convolution(1, 5, 5, 2, 2)
    return Network(
        (
            Layer("conv1", rng.normal(size=(5, 4)) * 0.01, rng.normal(size=5), True, where),
            Layer("ip1", rng.normal(size=(10, 80)), rng.normal(size=10), relu=False),
        )
    )


def recipe(rules: tuple[LayerRule, ...] = (), **parts) -> Recipe:
    return Recipe(description="", layer=rules, **parts)


def counts(of: Network) -> list[int]:
    return [int(np.count_nonzero(layer.weights)) for layer in of.layers]


def test_each_layer_has_its_density():
    rules = (LayerRule(match="conv1", density=0.5),)
    pruned = prune_layers(network(), recipe(rules, prune=Pruning(density=0.1)))
    assert counts(pruned) == [10, 80]
    for layer, before in zip(pruned.layers, network().layers, strict=True):
        left = layer.weights != 0
        np.testing.assert_array_equal(layer.weights[left], before.weights[left])
        assert np.abs(before.weights[left]).min() > np.abs(before.weights[~left]).max()
        np.testing.assert_array_equal(layer.bias, before.bias)
        assert (layer.name, layer.relu) == (before.name, before.relu)
        assert layer.convolution == before.convolution


def test_the_whole_network_has_one_density():
    scope = Pruning(density=0.1, scope="network")
    assert counts(prune_layers(network(), recipe(prune=scope))) == [0, 82]
    # Their mean over all weights, if layers have densities of their own.
    rules = (LayerRule(match="conv1", density=1.0),)
    assert counts(prune_layers(network(), recipe(rules, prune=scope))) == [0, 100]


def test_without_a_method_all_stays():
    whole = network()
    assert prune_layers(whole, recipe(prune=Pruning(method="none", density=0.1))) is whole


def test_what_is_given_does_not_change():
    whole = network()
    prune_layers(whole, recipe(prune=Pruning(density=0.1, scope="network")))
    prune_layers(whole, recipe(prune=Pruning(density=0.1)))
    share_layers(whole, recipe())
    for layer, before in zip(whole.layers, network().layers, strict=True):
        np.testing.assert_array_equal(layer.weights, before.weights)


@pytest.mark.parametrize("method", ["optimal", "lloyd"])
@pytest.mark.parametrize("initialisation", ["forgy", "density", "linear"])
def test_each_layer_has_its_values(method, initialisation):
    rules = (LayerRule(match="conv1", values=3),)
    share = Sharing(method=method, initialisation=initialisation, code_bits=3)
    pruned = prune_layers(network(), recipe(prune=Pruning(density=0.5)))
    shared = share_layers(pruned, recipe(rules, share=share))
    assert [len(layer.centroids) for layer in shared] == [4, 8]
    for layer, before in zip(shared, pruned.layers, strict=True):
        np.testing.assert_array_equal(layer.codes == 0, before.weights == 0)
        assert layer.centroids[0] == 0
        distance = np.abs(before.weights[..., None] - layer.centroids[1:])
        nearest = np.where(before.weights == 0, 0, distance.argmin(axis=2) + 1)
        np.testing.assert_array_equal(layer.codes, nearest)
        np.testing.assert_array_equal(layer.bias, before.bias)
        assert (layer.name, layer.relu) == (before.name, before.relu)
        assert layer.convolution == before.convolution


def test_as_many_values_as_there_are_change_nothing():
    of = network()
    of.layers[1].weights[:] = np.round(of.layers[1].weights)
    shared = share_layers(of, recipe(share=Sharing(code_bits=8)))
    for layer, before in zip(shared, of.layers, strict=True):
        np.testing.assert_array_equal(layer.layer.weights, before.weights)


def test_the_optimal_values_err_less_than_lloyds():
    errors = {}
    for method in ("optimal", "lloyd"):
        (_, layer) = share_layers(network(), recipe(share=Sharing(method=method)))
        errors[method] = np.square(layer.layer.weights - network().layers[1].weights).sum()
    assert errors["optimal"] < errors["lloyd"]


@pytest.mark.parametrize("scope", ["layer", "network"])
@pytest.mark.parametrize("method", ["optimal", "lloyd"])
def test_fixed_layers_stay_as_they_are(scope, method):
    whole = residual()
    of = recipe(prune=Pruning(density=0.1, scope=scope), share=Sharing(method=method, code_bits=2))
    pruned = prune_layers(whole, of)
    free = [place for place, layer in enumerate(whole.layers) if not layer.fixed]
    left = sum(np.count_nonzero(pruned.layers[place].weights) for place in free)
    assert left == pytest.approx(
        0.1 * sum(whole.layers[place].weights.size for place in free), abs=4
    )
    for layer, made, before in zip(
        pruned.layers, share_layers(pruned, of), whole.layers, strict=True
    ):
        assert (layer.sources, layer.added, layer.fixed) == (
            before.sources,
            before.added,
            before.fixed,
        )
        assert (made.sources, made.added, made.fixed) == (
            before.sources,
            before.added,
            before.fixed,
        )
        if before.fixed:
            np.testing.assert_array_equal(layer.weights, before.weights)
            np.testing.assert_array_equal(made.layer.weights, before.weights)
            assert len(made.centroids) == 2


def test_a_fixed_layer_of_too_many_values():
    rows = np.linspace(1, 2, 256)[:, None]
    of = Network((Layer("scale", rows, np.zeros(256), False, fixed=True),))
    with pytest.raises(BadInput, match=r"'scale' is fixed but has 256 .* codebook holds 255"):
        share_layers(of, recipe())
    few = dataclasses.replace(of.layers[0], weights=rows[1:], bias=np.zeros(255))
    (made,) = share_layers(Network((few,)), recipe())
    np.testing.assert_array_equal(made.layer.weights, few.weights)
