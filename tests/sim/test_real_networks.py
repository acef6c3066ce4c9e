"""The network that the project ships, and real pruned networks where they are at hand."""

import numpy as np
import pytest
from engines import ENGINES

from hw.config import PRESETS
from sim import golden
from sim.engine import open_engine
from sim.simulate import accuracy, simulate
from sim.walk import walk
from sw import datasets, networks
from sw import format as thr
from sw.compress import compress
from sw.compress.recipe import load as load_recipe
from sw.driver import Accelerator
from sw.pack import pack
from sw.read import read_network

ARTY = PRESETS["arty_a7_35t"]
ROOMY = ENGINES["three lanes, two groups"]  # room enough for the dense network


def agree(network, config, x, walked=4):
    """Golden model, image walk and RTL on inputs (n, inputs); the walk on the first few alone."""
    image = pack(network, config)
    outputs = golden.run(network, x)
    for layer, port, expected in zip(
        walk(image, x[:walked]), image.layer_ports, outputs, strict=True
    ):
        np.testing.assert_array_equal(layer.outputs[:, port.slots], expected[:walked])
    with open_engine(config) as transport:
        accelerator = Accelerator(transport)
        accelerator.load(image)
        np.testing.assert_array_equal(accelerator.run(x), outputs[-1])


@pytest.fixture(scope="module")
def shipped():
    return thr.read(networks.LENET300100)


def test_shipped_network_agrees_and_is_accurate(shipped):
    """2.5 % error at most as executed by the engine, on the embedded test images."""
    x, labels = datasets.load("mnist")
    image = pack(shipped, ARTY)
    result = simulate(shipped, image, golden.quantise(shipped, x), "verilator")
    assert result.agrees, result.difference
    assert accuracy(result.outputs, labels) >= 0.975
    inputs = golden.quantise(shipped, x[:20])
    assert simulate(shipped, image, inputs, "image").agrees


@pytest.mark.parametrize(
    ("name", "config"), [("lenet300100_pruned", ARTY), ("lenet300100_dense", ROOMY)]
)
def test_real_network_agrees(shared_models, name, config):
    network = compress(read_network(shared_models / f"{name}.npz"), load_recipe("no-training"))
    x, _ = datasets.load("mnist", 60)
    agree(network, config, golden.quantise(network, x))


def test_real_pruned_network_keeps_its_accuracy(shared_models, mnist_folder):
    """4-bit codes without training, 10,000 images on the engine: 2.2 % error at most.

    The float network has 1.99 %.
    """
    network = compress(
        read_network(shared_models / "lenet300100_pruned.npz"), load_recipe("no-training")
    )
    x, labels = datasets.load("mnist", folder=mnist_folder)
    inputs = golden.quantise(network, x)
    with open_engine(ARTY) as transport:
        accelerator = Accelerator(transport)
        accelerator.load(pack(network, ARTY))
        outputs = accelerator.run(inputs)
    np.testing.assert_array_equal(outputs, golden.run(network, inputs)[-1])
    assert 1 - accuracy(outputs, labels) <= 0.022
