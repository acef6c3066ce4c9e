"""Corners of the packer: planes that differ, inputs taken twice, files that would cost too much."""

import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from sim import golden
from sim.walk import walk
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.pack import config_for, pack, usage

RNG = np.random.default_rng(4)


def layer(name, rows, columns, convolution=None, **changes):
    made = CompressedLayer(
        name=name,
        codes=RNG.integers(0, 4, (rows, columns)).astype(np.uint8),
        codebook=np.array([0, 3, -5, 7]),
        weight_fraction=0,
        bias=RNG.integers(-9, 9, rows),
        shift=0,
        relu=False,
        convolution=convolution,
    )
    return dataclasses.replace(made, **changes)


def network(*layers):
    return CompressedNetwork(NumberFormat(0, -8, 7), 16, 16, 32, layers)


@pytest.mark.parametrize("sources", [(2, 1), (1, 2), (1, 2, 1)])
@pytest.mark.parametrize(("lanes", "groups"), [(4, 1), (3, 2)])
@pytest.mark.parametrize("added", [True, False])
def test_dense_layer_over_planes_that_differ(sources, lanes, groups, added):
    of = network(
        layer("tall", 2, 3, Convolution(1, 4, 4, 3, 1)),
        layer("wide", 2, 3, Convolution(1, 4, 4, 1, 3), sources=(2,)),
        layer("both", 5, 16 if added else 16 * len(sources), sources=sources, added=added),
    )
    x = RNG.integers(-8, 8, (3, 16))
    image = pack(of, config_for(of, lanes=lanes, groups=groups))
    for walked, port, expected in zip(
        walk(image, x), image.layer_ports, golden.run(of, x), strict=True
    ):
        np.testing.assert_array_equal(walked.outputs[:, port.slots], expected)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (Convolution(1, 4, 5, 1, 1), "do not make up the network's 10 inputs"),
        (Convolution(4, 5, 1, 1, 1), None),
    ],
)
def test_input_taken_twice(geometry, message):
    of = network(layer("conv", 2, geometry.columns, geometry, sources=(1, 1)))
    if message is None:
        x = RNG.integers(-8, 8, (2, of.inputs))
        image = pack(of, config_for(of, lanes=3, groups=2))
        walked = walk(image, x)[-1].outputs[:, image.output.slots]
        np.testing.assert_array_equal(walked, golden.run(of, x)[-1])
    else:
        with pytest.raises(BadInput, match=f"layer conv .*{message}"):
            usage(of, PRESETS["tiny"])


def test_more_weights_than_any_engine_holds_are_refused_at_once():
    of = network(
        layer("many", 512, 512, codes=np.ones((512, 512), np.uint8), sources=(1,) * 64, added=True)
    )
    with pytest.raises(BadInput, match=r"layer many: 16777216 weights, .*use more lanes"):
        usage(of, PRESETS["tiny"])
