"""Networks of real structure on the engine: equal to the golden model, to the bit."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from hw.config import PRESETS, AcceleratorConfig
from sim import golden
from sim.engine import open_engine
from sim.simulate import accuracy
from sim.walk import walk
from sw import architectures, datasets, networks
from sw import format as thr
from sw.compress import compress
from sw.compress.recipe import load
from sw.compressed import CompressedNetwork
from sw.convolution import Convolution
from sw.driver import Accelerator
from sw.network import Layer, Network
from sw.pack import config_for, pack, usage
from sw.read import read_network


def sparse(network: Network, density: float, seed: int) -> Network:
    """The same layers with random weights, most of them 0; those that are fixed stay."""
    rng = np.random.default_rng(seed)

    def filled(layer: Layer) -> Layer:
        if layer.fixed:
            return layer
        shape = layer.weights.shape
        weights = rng.normal(size=shape) * (rng.random(shape) < density)
        scale = 1.5 / np.sqrt(density * shape[1])
        return dataclasses.replace(
            layer, weights=scale * weights, bias=0.1 * rng.normal(size=shape[0])
        )

    return Network(tuple(map(filled, network.layers)))


def fires(side: int) -> Network:
    """SqueezeNet's conv1, fire2 to fire4, and its end: a convolution to ten classes and a mean."""
    whole = architectures.template("squeezenet-v1.0").layers
    layers: list[Layer] = []
    planes = [(side, side)]
    for layer in whole[: 1 + 3 * 3]:
        assert layer.convolution is not None
        height, width = planes[-layer.sources[0]]
        geometry = dataclasses.replace(layer.convolution, height=height, width=width)
        layers.append(dataclasses.replace(layer, convolution=geometry))
        planes.append(geometry.plane)
    (height, width), channels = planes[-1], 256
    last = Convolution(channels, height, width, 1, 1, padding=1)
    mean = Convolution(10, *last.plane, *last.plane, groups=10)
    size = mean.kernel_height * mean.kernel_width
    layers += [
        Layer("conv10", np.zeros((10, channels)), np.zeros(10), True, last, sources=(2, 1)),
        Layer("pool10", np.full((10, size), 1 / size), np.zeros(10), False, mean, fixed=True),
    ]
    return Network(tuple(layers))


STRUCTURES = {
    "resnet8": lambda: sparse(architectures.template("resnet8"), 0.2, 1),
    "fire2 to fire4": lambda: sparse(fires(27), 0.2, 2),
}


@functools.cache
def compressed(name: str) -> CompressedNetwork:
    network = STRUCTURES[name]()
    return compress(network, load("no-training"), calibration=images(network.inputs, 8))


def images(inputs: int, count: int) -> np.ndarray:
    """Smooth ones, of which a part is dark."""
    rng = np.random.default_rng(inputs)
    noise = np.cumsum(rng.normal(size=(count, inputs)), axis=1) / np.sqrt(inputs)
    return np.clip(0.5 + noise, 0, 1)


@functools.cache
def roomy() -> AcceleratorConfig:
    """Eight lanes and two groups that hold any of the structures: one engine to compile."""
    configs = [
        dataclasses.asdict(config_for(compressed(name), lanes=8, groups=2)) for name in STRUCTURES
    ]
    most = {knob: max(config[knob] for config in configs) for knob in configs[0]}
    return AcceleratorConfig(**most | {"codebook_depth": 1024})


def agree(network: CompressedNetwork, config: AcceleratorConfig, x: np.ndarray) -> np.ndarray:
    """Golden model, image walk (of two vectors) and engine; returns the outputs."""
    image, outputs = pack(network, config), golden.run(network, x)
    for layer, port, expected in zip(walk(image, x[:2]), image.layer_ports, outputs, strict=True):
        np.testing.assert_array_equal(layer.outputs[:, port.slots], expected[:2])
    with open_engine(config) as transport:
        accelerator = Accelerator(transport)
        accelerator.load(image)
        found = accelerator.run(x)
    np.testing.assert_array_equal(found, outputs[-1])
    return found


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name):
    network = compressed(name)
    x = golden.quantise(network, images(network.inputs, 2))
    found = agree(network, roomy(), x)
    assert (np.ptp(found, axis=1) > 0).all()  # not all the same
    active = [np.mean(outputs != 0) for outputs in golden.run(network, x)]
    assert min(active) > 0.02


@pytest.mark.parametrize("name", ["lenet5-best", "lenet5-deep-compression"])
def test_shipped_lenet5(name):
    """On the Arty's engine; 1 % error at most on 100 test images."""
    network = thr.read(networks.path(name))
    x, labels = datasets.load("mnist", 100)
    found = agree(network, PRESETS["arty_a7_35t"], golden.quantise(network, x))
    assert accuracy(found, labels) >= 0.99


@pytest.mark.parametrize("preset", ["arty_a7_100t", "ulx3s_85f"])
def test_shipped_lenet5_on_other_boards(preset):
    network = thr.read(networks.LENET5)
    agree(network, PRESETS[preset], golden.quantise(network, datasets.load("mnist", 5)[0]))


@pytest.mark.models
def test_pruned_lenet5(shared_models):
    """4-bit codes, 8-bit ones in the convolutions, without training; and it fits a board."""
    float_network = read_network(shared_models / "lenet5_pruned.npz", "lenet5-caffe")
    recipe = load("no-training")
    x, labels = datasets.load("mnist", 100)
    network = compress(
        float_network, recipe.override(None, 4, [("@convolution", None, 8)]), calibration=x
    )
    assert all(need.fits for need in usage(network, PRESETS["ulx3s_85f"]))
    found = agree(network, roomy(), golden.quantise(network, x))
    assert accuracy(found, labels) >= 0.99
