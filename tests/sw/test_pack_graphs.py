"""Images of convolutions, pooling and joined tensors compute what the network computes."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import random
import re

import numpy as np
import pytest
from agreement import agree
from hand import layer_of, network_of
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import layouts
from hw.regmap import Window
from sim.random_graph import Limits, random_graph, random_planes
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.pack import config_for, pack, usage
from sw.place import place
from sw.tensors import shapes

GRIDS = list(itertools.product([1, 3, 5, 7, 16], [1, 2, 3, 4]))


def with_fewer_accumulators(network, config, rows):
    """As many memories as it then takes, since a layer takes several instructions."""
    roomy = {"segment_depth": 4096, "column_depth": 1 << 16, "layer_depth": 256}
    return dataclasses.replace(config, accumulator_depth=rows, entry_depth=1 << 17, **roomy)


def features(network, image):
    """What is special about a network and its image, for the tally of a test."""
    of, layout = shapes(network), layouts.instruction(image.config)
    program = zip(image.steps, image.contents[Window.PROGRAM][0], strict=True)
    across = {
        number
        for number, parts in program
        if layouts.decode(layout, int.from_bytes(parts.astype("<u4").tobytes(), "little"))["store"][
            "across"
        ]
    }
    for number, (layer, taken) in enumerate(zip(network.layers, network.sources, strict=True)):
        several, flat = len(taken) > 1, layer.convolution is None and of[taken[0]].pixels > 1
        found = {
            "several instructions": image.steps.count(number) > 1,
            "groups across a window": number in across,
            "added": layer.added,
            "concatenated": several and not layer.added,
            "the input joined": several and 0 in taken,
            "dense over planes": flat and not several,
            "dense over joined planes": flat and several,
            "few channels, no window": image.input.copies and 0 in taken and number not in across,
            "grouped": layer.convolution is not None and layer.convolution.groups > 1,
            "rows share a place": len(set(image.layer_ports[number].slots)) < layer.outputs,
        }
        yield from (name for name, holds in found.items() if holds)
    if image.vectors > 1:
        yield "several vectors a run"


def test_random_graphs_on_engines_of_odd_shapes():
    """From seeds, not from hypothesis: what occurs must not depend on the modules around it."""
    tally = collections.Counter()
    for seed in range(400):
        draw = random.Random(seed)
        limits = Limits(
            channels=draw.choice([2, 5, 14]),
            side=draw.choice([1, 4, 6]),
            layers=draw.choice([2, 4, 6]),
            pool=4,
            wired=draw.choice([True, True, False]),
            activation_bits=draw.choice([8, 16]),
        )
        network, (lanes, groups) = random_graph(limits, seed), draw.choice(GRIDS)
        config = config_for(network, lanes=lanes, groups=groups, entry_bits=12)
        if draw.random() < 0.5:
            config = with_fewer_accumulators(network, config, max(2, groups + 1))
        if draw.random() < 0.5:
            config = dataclasses.replace(config, activation_depth=4 * config.activation_depth)
        planes = random_planes(network, draw.randint(1, 4), seed)
        tally.update(set(features(network, agree(network, config, planes))))
    assert len(tally) == 11
    assert min(tally.values()) >= 4, tally


def on_odd_shapes(test):
    return pytest.mark.parametrize(("lanes", "groups"), [(1, 1), (3, 2), (5, 3), (2, 4)])(test)


def agree_on_planes(network, config, vectors=2):
    return agree(network, config, random_planes(network, vectors, vectors))


def several(image):
    """As many vectors as it holds at once, and some more."""
    return image.vectors + 2


@on_odd_shapes
@pytest.mark.parametrize("rows", [2, 5])
def test_more_rows_than_accumulators(lanes, groups, rows):
    pooled = Convolution(3, 7, 7, 3, 3, padding=1, pool=2, overlap=1)
    network = network_of(layer_of(pooled, 40), layer_of(40 * 36, 60))
    config = config_for(network, lanes=lanes, groups=groups)
    image = agree_on_planes(
        network, with_fewer_accumulators(network, config, max(rows, groups + 1))
    )
    assert image.steps.count(0) > 1
    assert image.steps.count(1) > 1


@on_odd_shapes
def test_full_columns(lanes, groups):
    """A pointer counts to one less than both buffers have; an accumulator more, and one will do."""
    network = network_of(layer_of(Convolution(2, 2, 2, 2, 2), 16 * lanes * groups))
    config = config_for(network, lanes=lanes, groups=groups)
    full = 8 * groups
    for depth, steps in ((full + 1, 1), (full, 2)):
        image = agree_on_planes(network, with_fewer_accumulators(network, config, depth))
        assert len(image.steps) == steps


@on_odd_shapes
def test_rows_that_are_always_0_share_one_place(lanes, groups):
    """Also where the layer after takes them, alone or joined with others."""
    codes = np.zeros((30, 27), np.uint8)
    codes[4], codes[21] = 1, 2
    bias = np.zeros(30, np.int64)
    bias[7] = 999
    first = layer_of(Convolution(3, 5, 5, 3, 3, padding=1), 30, codes=codes, bias=bias)
    joined = layer_of(Convolution(60, 5, 5, 2, 2), 4, sources=(1, 1))
    network = network_of(first, joined)
    config = config_for(network, lanes=lanes, groups=groups)
    image = agree_on_planes(network, config)
    channels = image.layer_ports[0].slots.reshape(30, 25)[:, 0]
    assert len(set(channels.tolist())) == 4
    assert image.layer_ports[0].words == 25 * -(-4 // (lanes * groups))


@on_odd_shapes
def test_a_tensor_that_is_joined_with_several_others(lanes, groups):
    """Added to one and concatenated with two, one of which has more channels than it."""
    plane = Convolution(4, 5, 5, 3, 3, padding=1)
    layers = (
        layer_of(plane, 4),
        layer_of(dataclasses.replace(plane, channels=4), 19),
        layer_of(Convolution(23, 5, 5, 1, 1), 4, sources=(2, 1)),
        layer_of(plane, 6, sources=(3, 1), added=True),
        layer_of(Convolution(14, 5, 5, 2, 2, pool=2), 3, sources=(4, 1, 5)),
    )
    network = network_of(*layers)
    image = agree_on_planes(network, config_for(network, lanes=lanes, groups=groups))
    ports = [image.input, *image.layer_ports]
    assert len({ports[tensor].words for tensor in (0, 1, 2, 3, 4)}) == 1


@on_odd_shapes
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("channels", [1, 9])
def test_an_input_that_is_joined(lanes, groups, added, channels):
    """With itself, and with what comes of it."""
    plane = Convolution(channels, 4, 6, 3, 3, padding=1)
    twice = plane if added else dataclasses.replace(plane, channels=2 * channels)
    network = network_of(
        layer_of(twice, channels, sources=(1, 1), added=added),
        layer_of(twice, 5, sources=(2, 1), added=added),
        layer_of(5 * 24, 3),
    )
    config = config_for(network, lanes=lanes, groups=groups)
    image = agree_on_planes(network, config)
    assert not image.input.copies
    roomy = dataclasses.replace(config, activation_depth=4096)
    assert agree_on_planes(network, roomy, 9).vectors > 1 or lanes * groups > 5


@on_odd_shapes
def test_dense_layers_over_concatenated_planes(lanes, groups):
    """Planes of other sizes and a vector, each flattened channel first, one behind the other."""
    network = network_of(
        layer_of(Convolution(2, 6, 5, 3, 2, padding=1, pool=2), 7),
        layer_of(Convolution(7, 3, 3, 2, 2), 5),
        layer_of(20, 11),
        layer_of(63 + 20 + 11, 6, sources=(3, 2, 1)),
        layer_of(6, 6, sources=(1, 1), added=True),
    )
    config = config_for(network, lanes=lanes, groups=groups, activation_depth=8192)
    # Tensors of fewer pixels end before their frame does, which no run of several vectors allows.
    assert agree_on_planes(network, config, 3).vectors == 1


@on_odd_shapes
@pytest.mark.parametrize("roomy", [1, 8])
def test_several_vectors_of_planes(lanes, groups, roomy):
    """Runs of as many as there is room for, to the last word."""
    network = network_of(
        layer_of(Convolution(1, 8, 8, 3, 3, padding=1, pool=2), 6),
        layer_of(Convolution(6, 4, 4, 3, 3, groups=2), 4),
        layer_of(16, 5),
    )
    least = config_for(network, lanes=lanes, groups=groups)
    alone = next(need for need in usage(network, least) if need.knob == "activation_depth")
    config = dataclasses.replace(least, activation_depth=roomy * alone.used)
    image = pack(network, config)
    assert image.vectors == roomy
    assert agree_on_planes(network, config, several(image)).vectors == roomy


@on_odd_shapes
@pytest.mark.parametrize("pool", [2, 4])
def test_groups_over_a_window_have_all_weights_each(lanes, groups, pool):
    """Maxima of strided positions; with four groups they take four of them at once."""
    network = network_of(layer_of(Convolution(1, 15, 13, 3, 2, stride=2, pool=pool), 6))
    image = agree_on_planes(network, config_for(network, lanes=lanes, groups=groups))
    (placed,) = place(network, image.config).layers
    assert placed.patch.across == (groups in (2, 4))
    entries = [len(items) for items in image.contents[Window.ENTRIES]]
    share = np.array(entries).reshape(groups, lanes).sum(axis=1)
    assert len(set(share.tolist())) == 1 or not placed.patch.across


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    side=st.tuples(st.sampled_from([1, 9, 66, 509, 512, 600]), st.sampled_from([1, 5, 18])),
    kernel=st.tuples(st.sampled_from([1, 3, 64, 65]), st.sampled_from([1, 2])),
    stride=st.sampled_from([1, 1, 2, 300]),
    padding=st.integers(0, 2),
    pool=st.sampled_from([1, 1, 2, 16, 17]),
    grid=st.sampled_from(GRIDS),
    channels=st.sampled_from([1, 7]),
)
def test_what_no_field_holds_is_refused_in_words(
    side, kernel, stride, padding, pool, grid, channels
):
    """Never by another error, and by none if the engine computes it."""
    geometry = Convolution(channels, *side, *kernel, stride, min(padding, *kernel))
    geometry = dataclasses.replace(geometry, pool=pool)
    if geometry.fault():
        return
    codes = np.zeros((3, geometry.columns), np.uint8)
    codes[:2, ::7] = 1
    network = network_of(layer_of(geometry, 3, codes=codes))
    lanes, groups = grid
    image, refusal = None, ""
    try:
        image = pack(network, config_for(network, lanes=lanes, groups=groups))
    except BadInput as error:
        refusal = str(error)
    if image is None:
        assert re.match(r"layer layer0: .*\d+ .*(at most|more than any configuration)", refusal)
    elif math.prod(geometry.positions) < 1000:
        agree_on_planes(network, image.config, 1)
