"""The shipped networks: their size, and their error as the golden model executes them."""

from __future__ import annotations

import numpy as np
import pytest

from sim import golden
from sw import architectures, datasets, networks, rivals
from sw import format as thr

# Bytes of the file, wrong ones of the 1,000 embedded and of all 10,000 test images. Integers are
# the same everywhere.
FIGURES = {
    "lenet300100-best": (6755, 12, 130),
    "lenet300100-deep-compression": (24535, 9, 117),
    "lenet5-best": (4282, 8, 58),
    "lenet5-deep-compression": (43487, 6, 57),
}


def wrong(name, x, labels):
    network = thr.read(networks.path(name))
    outputs = golden.run(network, golden.quantise(network, x))[-1]
    return np.count_nonzero(outputs.argmax(axis=1) != labels)


def test_every_network_has_its_figures():
    assert set(FIGURES) == set(networks.NAMES)


@pytest.mark.parametrize("name", networks.NAMES)
def test_size_and_shape(name):
    path = networks.path(name)
    network = thr.read(path)
    layers = architectures.template(name.split("-")[0]).layers
    assert [layer.codes.shape for layer in network.layers] == [w.weights.shape for w in layers]
    assert [layer.convolution for layer in network.layers] == [w.convolution for w in layers]
    assert path.stat().st_size == FIGURES[name][0]


@pytest.mark.parametrize("name", networks.NAMES)
def test_error_on_the_embedded_images(name):
    assert wrong(name, *datasets.load("mnist")) == FIGURES[name][1]


@pytest.mark.parametrize("name", networks.NAMES)
def test_error_on_all_test_images(name, mnist_folder):
    assert wrong(name, *datasets.load("mnist", folder=mnist_folder)) == FIGURES[name][2]


@pytest.mark.parametrize("name", [name for name in networks.NAMES if name.endswith("best")])
def test_the_file_is_smaller_than_what_others_need_for_its_weights(name):
    path = networks.path(name)
    network = thr.read(path)
    for coder, size in rivals.RIVALS.items():
        assert path.stat().st_size < size(network), coder
