"""Instructions and segments, decoded from images and compared with plain loops over the planes."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hand import layer_of, network_of

from hw import layouts
from hw.config import PRESETS
from hw.regmap import Window
from sim.random_graph import Limits, random_graph
from sim.random_network import Recipe, random_network
from sw.convolution import Convolution
from sw.pack import config_for, pack
from sw.place import place

DENSE = random_network(Recipe(sizes=[50, 40, 30, 9], density=0.2), 4)
COORDINATES = 1 << layouts.COORDINATE_BITS


def number(parts):
    return sum(int(part) << (layouts.BUS_BITS * at) for at, part in enumerate(parts))


def program(image):
    layout = layouts.instruction(image.config)
    return [layouts.decode(layout, number(parts)) for parts in image.contents[Window.PROGRAM][0]]


def table(image, group):
    layout = layouts.segment(image.config)
    items = image.contents[Window.SEGMENTS][group]
    return [layouts.decode(layout, number(parts)) for parts in items]


def positions(image, patch):
    """(slot, y, x) of every position of one vector, counted as the hardware does."""
    walk, lanes = patch["walk"], image.config.lanes
    words = 1 << layouts.position(image.config)["word"].width
    here = dict(walk["start"])
    levels = [range(walk["repeats"][level] + 1) for level in (3, 2, 1, 0)]
    found, before = [], None
    for counts in itertools.product(*levels):
        if before is not None:
            level = 3 - next(n for n in range(4) if counts[n] != before[n])
            for field, step in walk["steps"][level].items():
                here[field] += step
        before = counts
        slot = (here["word"] * lanes + here["lane"]) % (words * lanes)
        found.append((slot, here["y"] % COORDINATES, here["x"] % COORDINATES))
    return found


def reads(image, instruction, group):
    """(position, slot, column) of all that a group is fed of a vector."""
    patch, lanes = instruction["patch"], image.config.lanes
    words = 1 << layouts.position(image.config)["word"].width
    segments = table(image, group)[patch["segment_base"] : patch["segment_last"] + 1]
    for at, (slot, y, x) in enumerate(positions(image, patch)):
        for segment in segments:
            inside = (y + segment["dy"]) % COORDINATES < patch["height"] and (
                x + segment["dx"]
            ) % COORDINATES < patch["width"]
            if not segment["used"] or not inside:
                continue
            first = slot + segment["word"] * lanes + segment["lane"]
            for step in range(segment["words"] * lanes + segment["lanes"] + 1):
                yield at, (first + step) % (words * lanes), segment["column"] + step


SPREAD = network_of(layer_of(Convolution(5, 4, 5, 3, 2, padding=1, pool=2), 7))
STRIDED = network_of(layer_of(Convolution(6, 9, 8, 3, 3, stride=2, pool=2, overlap=1), 3))
COPIED = network_of(layer_of(Convolution(1, 7, 6, 3, 3, padding=1), 5))
ACROSS = network_of(layer_of(Convolution(2, 7, 6, 2, 3, pool=2), 5))


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("network", [SPREAD, STRIDED, COPIED, ACROSS])
def test_activations_are_read_as_plain_loops_do(network, lanes, groups):
    """At each position and tap: from where the input lies, with the column of the weight."""
    config = config_for(network, lanes=lanes, groups=groups)
    image, (placed,) = pack(network, config), place(network, config).layers
    (layer,), (instruction,) = network.layers, program(image)
    for group in range(groups):
        found = {(at, slot): column for at, slot, column in reads(image, instruction, group)}
        wanted = plain_reads(layer, placed.patch, image, group)
        assert {key: found.get(key) for key in wanted} == wanted
        # What else is read is nobody's: other channels' lanes of the same words.
        assert not (set(found) - set(wanted)) & set(
            itertools.product({at for at, _ in wanted}, input_slots(image, group))
        )


def input_slots(image, group):
    """Slot of the input's activations in a group's memory: slot -> feature."""
    port, config = image.input, image.config
    word, lane = np.divmod(port.slots, config.lanes)
    mine = np.full(len(word), True)
    if not port.copies:
        word, owner = np.divmod(word, config.groups)
        mine = owner == group
    slots = (port.base + word) * config.lanes + lane
    return {int(slot): feature for feature, slot in enumerate(slots) if mine[feature]}


def plain_reads(layer, patch, image, group):
    """(position, slot) -> column, by nested loops over windows, kernel and channels."""
    geometry = layer.convolution
    slot_of = {feature: slot for slot, feature in input_slots(image, group).items()}
    column_of = columns(layer, patch, group)
    found = {}
    for at, (top, left) in enumerate(plain_positions(geometry, patch, group, image.config.groups)):
        for (channel, v, u), column in column_of.items():
            y, x = top + v, left + u
            if 0 <= y < geometry.height and 0 <= x < geometry.width:
                feature = (channel * geometry.height + y) * geometry.width + x
                found[at, slot_of[feature]] = column
    return found


def columns(layer, patch, group):
    """(channel, v, u) -> column of those that a group is fed, all weights being there."""
    geometry = layer.convolution
    taps = itertools.product(
        range(layer.rows),
        range(geometry.channels),
        range(geometry.kernel_height),
        range(geometry.kernel_width),
    )
    every = list(taps) * (len(patch.group) // layer.codes.size)
    return {
        tap[1:]: column
        for tap, owner, column in zip(every, patch.group, patch.column, strict=True)
        if owner == group
    }


def plain_positions(geometry, patch, group, groups):
    width = 2 if groups == 4 else groups
    down, right = (groups // width, width) if patch.across else (1, 1)
    first = divmod(group, right) if patch.across else (0, 0)
    height, width = geometry.plane
    for window in itertools.product(range(height), range(width)):
        for inner in itertools.product(
            range(first[0], geometry.pool, down), range(first[1], geometry.pool, right)
        ):
            yield tuple(
                (at * geometry.pool_stride + offset) * geometry.stride - geometry.padding
                for at, offset in zip(window, inner, strict=True)
            )


class TestStore:
    def test_a_convolution_to_the_last_field(self):
        image = pack(SPREAD, config_for(SPREAD, lanes=2, groups=2))
        (instruction,) = program(image)
        # Seven channels take four rows per lane, two words a pixel in each group.
        assert instruction["store"] == {
            "base": image.output.base,
            "rows": 4,
            "joined": 0,
            "gap": 0,
            "window": 3,
            "pixels": 2 * 3 - 1,
            "bias_base": 0,
            "shift": 4,
            "relu": 1,
            "across": 0,
            "average": 0,
            "average_shift": 0,
        }
        assert (instruction["codebook_base"], instruction["code_bits"]) == (0, 2)
        assert instruction["last"] == 1
        assert (instruction["patch"]["height"], instruction["patch"]["width"]) == (4, 5)
        assert instruction["patch"]["walk"]["repeats"] == {0: 1, 1: 1, 2: 2, 3: 1}

    def test_a_mean(self):
        layer = layer_of(Convolution(4, 4, 4, 1, 1, pool=4, average=True), 4, relu=False)
        network = network_of(layer)
        (instruction,) = program(pack(network, config_for(network, lanes=2)))
        store = instruction["store"]
        assert (store["average"], store["average_shift"], store["window"]) == (1, 4, 15)
        assert (store["relu"], store["pixels"]) == (0, 0)

    def test_groups_across_a_window(self):
        image = pack(ACROSS, config_for(ACROSS, lanes=2, groups=4))
        (instruction,) = program(image)
        store = instruction["store"]
        assert (store["across"], store["window"], store["pixels"]) == (1, 0, 3 * 2 - 1)
        # Positions are a window apart: two pixels of two channels, four slots, two words.
        right = instruction["patch"]["walk"]["steps"][2]
        assert (right["word"], right["lane"]) == (2, 0)


@pytest.mark.parametrize("groups", [1, 3])
def test_layers_follow_each_other_in_every_memory(groups):
    config = config_for(DENSE, lanes=4, groups=groups)
    image, placement = pack(DENSE, config), place(DENSE, config)
    ports = [image.input, *image.layer_ports]
    bias = codebook = column = 0
    for at, found in enumerate(program(image)):
        layer, store = DENSE.layers[at], found["store"]
        assert positions(image, found["patch"]) == [(ports[at].base * 4, 0, 0)]
        assert found["patch"]["segment_base"] == found["patch"]["segment_last"] == at
        for group in range(groups):
            one = table(image, group)[at]
            assert (one["word"], one["lane"], one["column"]) == (0, 0, column)
            used = placement.tensors[at].used(group)
            assert one["words"] * 4 + one["lanes"] + 1 == used
        assert (store["base"], store["gap"]) == (ports[at + 1].base, 0)
        assert store["rows"] == ports[at + 1].words * groups
        assert (store["bias_base"], found["codebook_base"]) == (bias, codebook)
        assert (store["shift"], store["relu"]) == (layer.shift, layer.relu)
        assert found["code_bits"] == layer.code_bits
        assert found["last"] == (at == len(DENSE.layers) - 1)
        assert found["patch"]["walk"]["steps"][4]["word"] == ports[at].words
        bias += store["rows"]
        codebook += len(layer.codebook)
        column += placement.layers[at].patch.columns


def test_a_layer_of_several_instructions():
    """Each takes its own columns, segments and biases, and stores its own words of every pixel.

    Columns are full, so that two accumulators hold no more than two rows.
    """
    config = config_for(SPREAD, lanes=1, groups=2, column_depth=256, segment_depth=64)
    (one,) = program(pack(SPREAD, config))
    image = pack(SPREAD, dataclasses.replace(config, accumulator_depth=2, layer_depth=4))
    parts = program(image)
    assert image.steps == (0, 0, 0, 0)
    assert [part["last"] for part in parts] == [0, 0, 0, 1]
    segments = one["patch"]["segment_last"] + 1
    for at, part in enumerate(parts):
        store, patch = part["store"], part["patch"]
        assert (store["rows"], store["gap"]) == (2, 3)
        assert store["bias_base"] == 2 * at
        assert store["base"] == image.output.base + at
        assert patch["walk"] == one["patch"]["walk"]
        assert patch["segment_base"] == at * segments
        assert patch["segment_last"] == (at + 1) * segments - 1
    columns = place(SPREAD, image.config).layers[0].patch.columns
    for group in range(2):
        every = table(image, group)
        for at, segment in enumerate(every):
            first = every[at % segments]
            before = at // segments * columns if segment["used"] else 0
            assert segment == first | {"column": first["column"] + before}


def test_tables_of_groups_with_fewer_segments_are_filled_up():
    """All groups go through their tables in step, so that these are of one length."""
    filled = 0
    for seed in range(60):
        network = random_graph(Limits(channels=5, side=7), seed)
        image = pack(network, config_for(network, lanes=1, groups=4, entry_bits=12))
        tables = [table(image, group) for group in range(4)]
        length = program(image)[-1]["patch"]["segment_last"] + 1
        assert [len(segments) for segments in tables] == [length] * 4
        filled += any(not segment["used"] for segments in tables for segment in segments)
    assert filled > 10


@pytest.mark.parametrize("vectors", [1, 3])
def test_the_next_vector_lies_behind(vectors):
    config = dataclasses.replace(PRESETS["tiny"], activation_depth=256)
    network = network_of(layer_of(Convolution(4, 3, 3, 3, 3), 4))
    image = pack(network, config)
    assert image.vectors >= vectors
    step = program(image)[0]["patch"]["walk"]["steps"][4]
    assert (step["word"], step["lane"]) == (image.input.words, 0)
