"""Placement: entries of every element, split as is quickest, in as few steps as there may be."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from sim.random_graph import Limits, random_graph
from sim.random_network import Recipe, random_network
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.place import place

ROOMY = dataclasses.replace(PRESETS["tiny"], accumulator_depth=4096, entry_bits=9)
repeatable = settings(derandomize=True, deadline=None, database=None)


def one_layer(codes, codebook, **fields):
    layer = CompressedLayer("only", codes, codebook, 0, np.zeros(len(codes), np.int64), 0, False)
    layer = dataclasses.replace(layer, **fields)
    return CompressedNetwork(NumberFormat(0, -8, 7), 16, 16, 32, (layer,))


def only(network, config=ROOMY, **knobs):
    """The one layer of a network, placed."""
    (layer,) = place(network, dataclasses.replace(config, **knobs)).layers
    return layer


recipes = st.builds(
    Recipe,
    sizes=st.lists(st.integers(1, 120), min_size=2, max_size=4),
    density=st.sampled_from([0.0, 0.03, 0.1, 0.3, 0.7, 1.0]),
    code_bits=st.integers(1, 8),
)


class TestEntries:
    @settings(repeatable, max_examples=60)
    @given(recipe=recipes, more_bits=st.integers(0, 8), seed=st.integers(0, 1000))
    def test_no_other_split_is_quicker(self, recipe, more_bits, seed):
        """The gap that was chosen gives the fewest entries in the fullest element."""
        network = random_network(recipe, seed)

        def slowest(more):
            bits = recipe.code_bits + more
            config = dataclasses.replace(ROOMY, lanes=3, entry_bits=bits)
            return [max(layer.element_entries) for layer in place(network, config).layers]

        best = slowest(more_bits)
        for fewer in range(more_bits):
            for one, other in zip(best, slowest(fewer), strict=True):
                assert one <= other

    def test_a_full_layer_has_no_gap_bits_and_no_padding(self):
        layer = only(one_layer(np.ones((20, 10), np.uint8), np.array([0, 5])))
        (step,) = layer.steps
        assert step.gap_bits == 0
        assert layer.element_entries.sum() == 200

    def test_padding_bridges_a_gap_that_is_too_long(self):
        """Three gap bits: an entry of code 0 skips eight rows."""
        network = one_layer(np.eye(20, dtype=np.uint8), np.array([0, 5]))
        layer = only(network, lanes=1, entry_bits=4)
        assert sorted(layer.slots) == list(range(20))
        expected = [[0b1110] * (row // 8) + [(row % 8) << 1 | 1] for row in layer.slots]
        (step,) = layer.steps
        assert step.entries[0].tolist() == [entry for column in expected for entry in column]
        assert step.counts[0].tolist() == [len(column) for column in expected]

    @settings(repeatable, max_examples=200)
    @given(
        seed=st.integers(0, 1 << 30),
        lanes=st.integers(1, 5),
        groups=st.integers(1, 3),
        depth=st.integers(4, 40),
        bits=st.integers(8, 12),
    )
    def test_entries_are_the_layer_s_weights_in_their_places(
        self, seed, lanes, groups, depth, bits
    ):
        """Decoded as the hardware does: as many in each column of a group, on rows that grow."""
        network = random_graph(Limits(channels=10, side=5), seed)
        config = dataclasses.replace(
            ROOMY, lanes=lanes, groups=groups, accumulator_depth=depth, entry_bits=bits
        )
        for placed in place(network, config).layers:
            columns = placed.patch.columns
            found = np.zeros((groups, columns), np.int64)
            for step, element in itertools.product(placed.steps, range(config.elements)):
                alone = not any(placed.patch.walk.repeats)
                assert step.rows <= max(groups, depth * (2 if alone else 1))
                assert step.joined == (alone and step.rows > depth)
                for column, rows in enumerate(rows_of(step, element, placed.code_bits)):
                    assert (np.diff(rows) > 0).all()
                    assert max(rows, default=0) < step.rows
                    found[element // lanes, column] += len(rows)
            weights = np.bincount(
                placed.patch.group * columns + placed.patch.column, minlength=groups * columns
            )
            assert found.ravel().tolist() == weights.tolist()


def rows_of(step, element, code_bits):
    """Row of every entry but padding, column by column."""
    found, start = [], 0
    for count in step.counts[element]:
        entries = step.entries[element][start : start + count]
        rows = np.cumsum((entries >> code_bits) + 1) - 1
        found.append(rows[entries & ((1 << code_bits) - 1) != 0].tolist())
        start += count
    assert start == len(step.entries[element])
    return found


class TestRows:
    def test_rows_that_are_always_0_share_a_place(self):
        """No weights and no bias, or a ReLU over a negative one; and what these are taken for."""
        codes = np.zeros((40, 3), np.uint8)
        codes[[3, 17]] = 1
        network = one_layer(codes, np.array([0, 5]), relu=True, bias=np.arange(40) - 38)
        layer = only(network, lanes=4)
        alive = [3, 17, 39]
        assert len(set(layer.slots[alive].tolist())) == 3
        dead = np.delete(layer.slots, alive)
        assert len(set(dead.tolist())) == 1
        assert not set(dead.tolist()) & set(layer.slots[alive].tolist())
        assert layer.rows == 1

    def test_weights_on_channels_that_are_always_0_are_left_out(self):
        network = random_network(Recipe(sizes=[6, 8, 5], density=1.0), 1)
        first, second = network.layers
        codes = first.codes.copy()
        codes[2:] = 0
        first = dataclasses.replace(first, codes=codes, bias=np.zeros(8, np.int64), shift=0)
        placed = place(dataclasses.replace(network, layers=(first, second)), ROOMY).layers
        assert placed[0].element_entries.sum() == 12
        assert placed[1].element_entries.sum() <= 2 * 5

    def test_a_skewed_network_takes_no_more_than_its_share(self):
        """Rows of decreasing density, which a plain round robin would pile up in lane 0."""
        rng = np.random.default_rng(5)
        codes = (rng.random((64, 100)) < np.linspace(0.5, 0.01, 64)[:, None]).astype(np.uint8)
        entries = only(one_layer(codes, np.array([0, 1])), lanes=8).element_entries
        assert max(entries) <= 1.05 * np.mean(entries)


class TestSteps:
    NETWORK = one_layer(np.ones((100, 20), np.uint8), np.array([0, 1]))

    def parts(self, depth, network=NETWORK):
        layer = only(network, lanes=4, accumulator_depth=depth)
        return [(step.first, step.rows, step.joined) for step in layer.steps]

    def test_one_if_the_accumulators_hold_all_rows(self):
        assert self.parts(25) == [(0, 25, False)]

    def test_one_if_both_buffers_together_do(self):
        assert self.parts(24) == self.parts(13) == [(0, 25, True)]

    def test_buffers_are_not_joined_where_position_follows_position(self):
        geometry = Convolution(20, 1, 2, 1, 1)
        layer = dataclasses.replace(self.NETWORK.layers[0], convolution=geometry)
        network = dataclasses.replace(self.NETWORK, layers=(layer,))
        assert self.parts(24, network) == [(0, 13, False), (13, 12, False)]

    def test_full_columns_need_an_accumulator_more_than_there_are_rows(self):
        """A pointer's count is one less at most than there are accumulators in both buffers."""
        codes = np.ones((96, 20), np.uint8)
        assert self.parts(12, one_layer(codes, np.array([0, 1]))) == [
            (0, 12, False),
            (12, 12, False),
        ]

    def test_of_about_as_many_rows_each(self):
        assert [rows for _, rows, _ in self.parts(5)] == [9, 9, 7]

    def test_rows_are_whole_words_of_every_group(self):
        layer = only(self.NETWORK, lanes=4, groups=3, accumulator_depth=17)
        assert all(step.rows % 3 == 0 for step in layer.steps)
        assert layer.rows == 27

    def test_all_together_hold_every_weight_once(self):
        for depth in (4, 7, 12, 4096):
            layer = only(self.NETWORK, lanes=3, accumulator_depth=depth)
            assert layer.element_entries.sum() == 2000


class TestInput:
    def layer(self, channels, **fields):
        geometry = Convolution(channels, 6, 6, 3, 3, padding=1)
        codes = np.ones((4, geometry.columns), np.uint8)
        return one_layer(codes, np.array([0, 1]), convolution=geometry, **fields)

    def test_planes_of_few_channels_are_copied_to_all_groups(self):
        config = dataclasses.replace(ROOMY, lanes=2, groups=3)
        assert place(self.layer(5), config).tensors[0].groups is None
        groups = place(self.layer(6), config).tensors[0].groups
        assert np.bincount(groups).tolist() == [2, 2, 2]

    def test_but_not_those_that_are_joined(self):
        network = self.layer(1)
        (layer,) = network.layers
        twice = dataclasses.replace(layer, sources=(1, 1), added=True)
        placement = place(dataclasses.replace(network, layers=(twice,)), ROOMY)
        assert placement.tensors[0].groups is not None

    def test_the_border_is_the_greatest_padding(self):
        network = self.layer(1)
        (layer,) = network.layers
        other = dataclasses.replace(
            layer, name="other", convolution=Convolution(1, 6, 6, 3, 3, padding=2), sources=(2,)
        )
        layout = place(dataclasses.replace(network, layers=(layer, other)), ROOMY).tensors[0]
        assert layout.slot(-2, -2) == 0
