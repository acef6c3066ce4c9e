"""Activity: how often stand-ins say that activations are not 0, and how near that is to truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import golden
from sim.random_graph import Limits, random_graph
from sim.random_network import Recipe, random_network
from sw import datasets, networks
from sw import format as thr
from sw.activity import activity
from sw.compressed import NumberFormat
from sw.convolution import Convolution
from sw.tensors import Shape, shapes

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=60)
limits = st.builds(
    Limits, channels=st.integers(1, 12), side=st.integers(1, 7), layers=st.integers(1, 4)
)


@repeatable
@given(limits=limits, seed=st.integers(0, 1 << 30))
def test_shares_of_every_tensor_the_same_every_time(limits, seed):
    network = random_graph(limits, seed)
    of = shapes(network)
    found = activity(network, of)
    assert len(found) == len(of)
    for share, shape in zip(found, of, strict=True):
        assert share.shape == (shape.channels, shape.pixels)
        assert share.min() >= 0
        assert share.max() <= 1
    for share, again in zip(found, activity(network, of), strict=True):
        np.testing.assert_array_equal(share, again)


def test_rows_without_weights_are_as_active_as_their_bias():
    network = random_network(Recipe(sizes=[20, 3], density=0.0), 1)
    bias = np.array([0, 1 << 20, -(1 << 20)])
    layer = dataclasses.replace(network.layers[0], bias=bias, shift=3, relu=True)
    network = dataclasses.replace(network, layers=(layer,))
    assert activity(network, shapes(network))[1].ravel().tolist() == [0, 1, 0]


@pytest.mark.parametrize("low", [0, -256])
def test_inputs_without_planes_are_all_alike(low):
    network = random_network(Recipe(sizes=[30, 10]), 1)
    network = dataclasses.replace(network, input=NumberFormat(8, low, 256))
    share = activity(network, shapes(network))[0]
    assert 0 < share[0, 0] <= 1
    assert (share == share[0, 0]).all()


@pytest.mark.parametrize(("low", "least", "most"), [(0, 0.1, 0.5), (-256, 0.9, 1.0)])
def test_planes_that_cannot_be_negative_are_dark_for_the_most_part(low, least, most):
    geometry = Convolution(3, 40, 40, 1, 1)
    network = random_network(Recipe(sizes=[3, 2]), 1)
    layer = dataclasses.replace(network.layers[0], convolution=geometry)
    network = dataclasses.replace(network, input=NumberFormat(8, low, 256), layers=(layer,))
    share, _ = activity(network, [Shape(3, 40, 40), Shape(2, 40, 40)])
    assert least < share.mean() < most
    if low == 0:
        middle = share.reshape(3, 40, 40)[:, 15:25, 15:25]
        assert middle.mean() > share.mean()


@pytest.mark.parametrize("model", ["lenet5-best", "lenet5-deep-compression"])
def test_stand_ins_are_near_real_images(model):
    """Channels of LeNet-5's first convolution, on the embedded test images of MNIST."""
    network = thr.read(networks.path(model))
    of = shapes(network)
    x, _ = datasets.load("mnist", 300)
    (conv1, *_) = golden.run(network, golden.quantise(network, x))
    real = (conv1 != 0).reshape(300, of[1].channels, of[1].pixels).mean(axis=(0, 2))
    guessed = activity(network, of)[1].mean(axis=1)
    assert np.corrcoef(real, guessed)[0, 1] > 0.8
