"""Tensors: their shapes, and where each activation lies."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from sim.random_graph import Limits, random_graph
from sim.random_network import Recipe, random_network
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.tensors import Shape, copied, frames, shapes, spread

TINY = PRESETS["tiny"]
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=200)

shape_of = st.builds(Shape, st.integers(1, 20), st.integers(1, 7), st.integers(1, 7))
grids = st.builds(
    lambda lanes, groups: dataclasses.replace(TINY, lanes=lanes, groups=groups),
    st.integers(1, 7),
    st.integers(1, 4),
)


def every(shape):
    """(channel, y, x) in the order of flattened planes."""
    return itertools.product(range(shape.channels), range(shape.height), range(shape.width))


class TestSpread:
    @repeatable
    @given(shape=shape_of, config=grids, spare=st.integers(0, 2), seed=st.integers(0, 99))
    def test_every_activation_lies_where_its_channel_is_placed(self, shape, config, spare, seed):
        lanes, groups = config.lanes, config.groups
        pitch = -(-shape.channels // (lanes * groups)) + spare
        frame = (pitch, pitch * (shape.pixels + spare))
        places = np.random.default_rng(seed).permutation(pitch * groups * lanes)[: shape.channels]
        layout = spread(shape, config, frame, places)
        found = layout.features(groups)
        for slot, (channel, y, x) in zip(found, every(shape), strict=True):
            word, lane = divmod(int(slot), lanes)
            word, group = divmod(word, groups)
            row = int(places[channel]) // lanes
            assert (lane, group) == (places[channel] % lanes, row % groups)
            # Channel last: words of a pixel lie together, pixels row by row.
            assert word == (y * shape.width + x) * pitch + row // groups
            assert word * lanes + lane == layout.slot(y, x) + layout.slots[channel]
        assert len(set(found.tolist())) == len(found)
        assert found.max() < layout.words * groups * lanes
        assert layout.words == frame[1]
        assert layout.dense == (frame[1] == shape.pixels * pitch)

    @repeatable
    @given(shape=shape_of, config=grids)
    def test_used_words_end_with_the_last_channel(self, shape, config):
        pitch = -(-shape.channels // (config.lanes * config.groups))
        layout = spread(shape, config, (pitch, pitch * shape.pixels), np.arange(shape.channels))
        for group in range(config.groups):
            slots = layout.slots[layout.groups == group]
            used = layout.used(group)
            assert used % config.lanes == 0
            assert (slots < used).all()
            assert not used or slots.max() >= used - config.lanes
        assert sum(layout.used(group) for group in range(config.groups)) >= shape.channels

    def test_channels_that_are_always_0_share_a_place(self):
        layout = spread(Shape(5, 1, 1), TINY, (1, 1), [0, 2, 1, 2, 2])
        assert layout.features(1).tolist() == [0, 2, 1, 2, 2]


class TestCopied:
    @repeatable
    @given(shape=shape_of, config=grids, border=st.integers(0, 3))
    def test_channels_and_pixels_follow_each_other_within_a_border(self, shape, config, border):
        layout = copied(shape, config, border)
        lanes, found = config.lanes, layout.features(config.groups)
        height, width = shape.height + 2 * border, shape.width + 2 * border
        row = layout.words * lanes // height
        assert row % lanes == 0  # a row of pixels begins with a word
        assert 0 <= row - width * shape.channels < lanes
        for slot, (channel, y, x) in zip(found, every(shape), strict=True):
            assert slot == (y + border) * row + (x + border) * shape.channels + channel
            assert slot == layout.slot(y, x) + channel
        assert found.max() < layout.words * lanes
        assert layout.slot(-border, -border) == 0
        assert layout.dense
        assert layout.used(0) == shape.channels


class TestShapes:
    def test_of_every_tensor(self):
        for seed in range(200):
            network = random_graph(Limits(), seed)
            found = shapes(network)
            sizes = [network.inputs, *(layer.outputs for layer in network.layers)]
            assert [shape.channels * shape.pixels for shape in found] == sizes
            for layer, shape in zip(network.layers, found[1:], strict=True):
                assert shape.channels == layer.rows
                geometry = layer.convolution
                assert (shape.height, shape.width) == (geometry.plane if geometry else (1, 1))
            for layer, tensors in zip(network.layers, network.sources, strict=True):
                if geometry := layer.convolution:
                    for tensor in tensors:
                        plane = (found[tensor].height, found[tensor].width)
                        assert plane == (geometry.height, geometry.width)

    def test_a_convolution_on_a_flat_vector_is_refused(self):
        network = random_network(Recipe(sizes=[10, 16, 9]), 1)
        first, second = network.layers
        second = dataclasses.replace(
            second,
            codes=np.ones((9, 4), np.uint8),
            convolution=Convolution(1, 4, 4, 2, 2),
        )
        with pytest.raises(
            BadInput,
            match="layer layer1 takes planes of 4 × 4, but is given planes of 1 × 1; the engine "
            "does not rearrange activations",
        ):
            shapes(dataclasses.replace(network, layers=(first, second)))

    def test_an_input_that_two_layers_take_as_different_planes_is_refused(self):
        network = random_network(Recipe(sizes=[16, 4]), 1)
        first = dataclasses.replace(
            network.layers[0],
            codes=np.ones((2, 4), np.uint8),
            bias=np.zeros(2, np.int64),
            convolution=Convolution(1, 4, 4, 2, 2),
        )
        other = dataclasses.replace(
            first, name="other", convolution=Convolution(1, 2, 8, 2, 2), sources=(2,)
        )
        with pytest.raises(BadInput, match="takes planes of 4 × 4, but is given planes of 2 × 8"):
            shapes(dataclasses.replace(network, layers=(first, other)))


class TestFrames:
    @repeatable
    @given(config=grids, seed=st.integers(0, 1 << 20), spare=st.integers(0, 5))
    def test_sources_of_one_layer_have_one_frame_that_holds_each(self, config, seed, spare):
        network = random_graph(Limits(channels=30, side=6, layers=6), seed)
        of = shapes(network)
        places = [max(1, shape.channels - spare) for shape in of]
        found = frames(network, places, config)
        for tensors in network.sources:
            assert len({found[tensor] for tensor in tensors}) == 1
        at_once = config.lanes * config.groups
        for (pixel, words), shape, count in zip(found, of, places, strict=True):
            assert pixel * at_once >= count
            assert words >= pixel * shape.pixels

    def test_what_is_not_joined_takes_no_more_than_it_must(self):
        network = random_network(Recipe(sizes=[50, 17, 3]), 1)
        assert frames(network, [50, 17, 3], TINY) == [(13, 13), (5, 5), (1, 1)]
