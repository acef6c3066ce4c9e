"""The shipped networks: their size, and their error as the golden model executes them."""

from __future__ import annotations

import numpy as np
import pytest

from sim import golden
from sw import architectures, datasets, networks
from sw import format as thr

# What Deep Compression reports, or better: error in percent on the 10,000 test images, and 4 bytes
# a parameter over the bytes of the file.
LIMITS = {
    "lenet300100-best": (1.58, 130),
    "lenet300100-deep-compression": (1.58, 40),
    "lenet5-best": (0.80, 160),
    "lenet5-deep-compression": (0.74, 39),
}


def error(network, x, labels):
    outputs = golden.run(network, golden.quantise(network, x))[-1]
    return 100 * np.mean(outputs.argmax(axis=1) != labels)


def test_every_network_has_its_limits():
    assert set(LIMITS) == set(networks.NAMES)


@pytest.mark.parametrize("name", networks.NAMES)
def test_size_and_shape(name):
    path = networks.path(name)
    network = thr.read(path)
    layers = architectures.template(name.split("-")[0]).layers
    assert [layer.codes.shape for layer in network.layers] == [w.weights.shape for w in layers]
    assert [layer.convolution for layer in network.layers] == [w.convolution for w in layers]
    assert 4 * network.parameters / path.stat().st_size >= LIMITS[name][1]


@pytest.mark.parametrize("name", networks.NAMES)
def test_error_on_the_embedded_images(name):
    # A thousand images have a standard error of a third of a percent.
    assert error(thr.read(networks.path(name)), *datasets.load("mnist")) <= LIMITS[name][0] + 0.7


@pytest.mark.parametrize("name", networks.NAMES)
def test_error_on_all_test_images(name, mnist_folder):
    x, labels = datasets.load("mnist", folder=mnist_folder)
    assert error(thr.read(networks.path(name)), x, labels) <= LIMITS[name][0]
