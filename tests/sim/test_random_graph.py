"""Random graphs are what they are said to be, and hold everything that the engine has to know."""

import dataclasses

import numpy as np
import pytest

from sim.random_graph import Limits, random_graph, random_planes
from sw.numbers import prove

LIMITS = Limits(channels=20, layers=6)


@pytest.fixture(scope="module")
def graphs():
    return [random_graph(LIMITS, seed) for seed in range(200)]


def test_no_accumulator_overflows(graphs):
    for network in graphs:
        prove(network)


def test_the_same_seed_gives_the_same_network():
    a, b = (random_graph(LIMITS, 5) for _ in range(2))
    for one, other in zip(a.layers, b.layers, strict=True):
        for field in dataclasses.fields(one):
            np.testing.assert_equal(getattr(one, field.name), getattr(other, field.name))
    np.testing.assert_array_equal(random_planes(a, 2, 3), random_planes(b, 2, 3))


def test_everything_occurs(graphs):
    layers = [layer for network in graphs for layer in network.layers]
    kinds = [layer.convolution for layer in layers if layer.convolution is not None]
    for kind in ("padding", "overlap", "average"):
        assert sum(getattr(geometry, kind) > 0 for geometry in kinds) >= 5, kind
    for kind in ("stride", "pool", "groups"):
        assert sum(getattr(geometry, kind) > 1 for geometry in kinds) >= 20, kind
    assert sum(layer.added for layer in layers) >= 5
    assert sum(len(layer.sources) > 1 and not layer.added for layer in layers) >= 20
    dense = [layer for layer in layers if layer.convolution is None]
    assert sum(layer.added for layer in dense) >= 5
    assert sum(len(layer.sources) > 1 and not layer.added for layer in dense) >= 5
    assert sum(len(set(layer.sources)) < len(layer.sources) for layer in layers) >= 5
    assert {geometry.kernel_height for geometry in kinds} == set(range(1, LIMITS.kernel + 1))
    assert sum(layer.convolution is None for layer in layers) >= 20
