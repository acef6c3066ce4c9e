"""Patches: every weight meets the activation that it should, at every position."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from sim.random_graph import Limits, random_graph, random_planes
from sw.compressed import CompressedLayer
from sw.convolution import Convolution, at_positions, multiply
from sw.errors import BadInput
from sw.graph import gather
from sw.patches import across, patch_of, taps_of
from sw.place import place
from sw.tensors import Shape, copied, shapes, spread

TINY = PRESETS["tiny"]
ROOMY = dataclasses.replace(TINY, entry_bits=16, accumulator_depth=4096)
repeatable = settings(derandomize=True, deadline=None, database=None)

limits = st.builds(
    Limits, channels=st.integers(1, 12), side=st.integers(1, 7), layers=st.integers(1, 4)
)


def layer_of(geometry, rows=2):
    columns = geometry.columns
    return CompressedLayer(
        "conv",
        np.ones((rows, columns), np.uint8),
        np.array([0, 1]),
        0,
        np.zeros(rows, np.int64),
        0,
        relu=False,
        convolution=geometry,
    )


def ones(shape):
    return shape, np.ones((shape.channels, shape.pixels))


def positions(walk):
    """(y, x) of every position, in order, by the steps of a walk."""
    here, counts = list(walk.start), [0] * len(walk.repeats)
    while True:
        yield tuple(here)
        level = next((n for n, most in enumerate(walk.repeats) if counts[n] < most), None)
        if level is None:
            return
        counts = [0] * level + [counts[level] + 1] + counts[level + 1 :]
        here = [place + step for place, step in zip(here, walk.steps[level], strict=True)]


def plain_positions(geometry, grid=(1, 1)):
    """The same by nested loops: windows row by row, and within each window row by row."""
    down, right = grid
    rows, columns = geometry.plane
    for window in itertools.product(range(rows), range(columns)):
        for inner in itertools.product(
            range(0, geometry.pool, down), range(0, geometry.pool, right)
        ):
            yield tuple(
                (at * geometry.pool_stride + offset) * geometry.stride - geometry.padding
                for at, offset in zip(window, inner, strict=True)
            )


class TestTaps:
    @settings(repeatable, max_examples=400)
    @given(limits=limits, seed=st.integers(0, 1 << 30))
    def test_products_of_taps_are_those_of_the_layer(self, limits, seed):
        network = random_graph(limits, seed)
        of, x = shapes(network), random_planes(network, 1, seed)
        rng = np.random.default_rng(seed)
        tensors = [x[0], *(rng.integers(-9, 9, layer.outputs) for layer in network.layers)]
        for number, layer in enumerate(network.layers):
            mine = tensors[: number + 1]
            taken = network.sources[number]
            taps = taps_of(layer, [ones(of[tensor]) for tensor in taken])
            planes = [
                mine[tensor].reshape(of[tensor].channels, of[tensor].height, of[tensor].width)
                for tensor in taken
            ]
            found = products_of_taps(layer, taps, planes)
            np.testing.assert_array_equal(found, unpooled(layer, gather(mine, layer)))

    def test_how_often_a_tap_meets_something(self):
        """A share of 1 all over the plane, of which padding takes some at the kernel's edges."""
        layer = layer_of(Convolution(1, 4, 4, 3, 3, padding=1), rows=1)
        taps = taps_of(layer, [ones(Shape(1, 4, 4))])
        assert taps.active.reshape(3, 3) == pytest.approx(
            np.outer([0.75, 1, 0.75], [0.75, 1, 0.75])
        )

    def test_only_some(self):
        taps = taps_of(layer_of(Convolution(1, 4, 4, 3, 3)), [ones(Shape(1, 4, 4))])
        some = taps.only(taps.row == 1)
        assert len(some.row) == 9
        assert (some.row == 1).all()
        assert some.only(np.array([3, 3, 0])).x.tolist() == [0, 0, 0]


def products_of_taps(layer, taps, planes):
    """(positions * rows,) sums of weight times what is met, tap by tap."""
    geometry = layer.convolution
    starts = [(0, 0)]
    if geometry is not None:
        starts = [
            (y * geometry.stride - geometry.padding, x * geometry.stride - geometry.padding)
            for y, x in np.ndindex(*geometry.positions)
        ]
    border = 0 if geometry is None else geometry.padding
    padded = [np.pad(plane, ((0, 0), (border, border), (border, border))) for plane in planes]
    sums = np.zeros((len(starts), layer.rows), np.int64)
    for position, (top, left) in enumerate(starts):
        for source, plane in enumerate(padded):
            mine = taps.only(taps.source == source)
            met = plane[mine.channel, top + border + mine.y, left + border + mine.x]
            np.add.at(sums[position], mine.row, layer.codebook[mine.code] * met)
    return sums.ravel()


def unpooled(layer, x):
    """(positions * rows,) sums of a layer's products, before bias and pooling."""
    found = []

    def product(patches):
        groups = 1 if layer.convolution is None else layer.convolution.groups
        found.append(multiply(patches, layer.codebook[layer.codes], groups))
        return found[-1]

    at_positions(layer.convolution, x[None], product)
    return np.concatenate(found).ravel()


class TestWalk:
    @settings(repeatable, max_examples=300)
    @given(
        side=st.tuples(st.integers(1, 12), st.integers(1, 12)),
        kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        stride=st.integers(1, 3),
        padding=st.integers(0, 2),
        pooling=st.tuples(st.integers(1, 4), st.integers(0, 3)),
        groups=st.integers(1, 4),
    )
    def test_positions_are_those_of_plain_loops(
        self, side, kernel, stride, padding, pooling, groups
    ):
        geometry = Convolution(
            1, *side, *kernel, stride, padding, pool=pooling[0], overlap=pooling[1]
        )
        if geometry.fault():
            return
        layer, shape = layer_of(geometry), Shape(1, *side)
        config = dataclasses.replace(TINY, groups=groups)
        taps = taps_of(layer, [ones(shape)])
        spreading = spread(shape, config, (1, shape.pixels), [0])
        apart = patch_of(layer, [spreading], taps, groups)
        assert list(positions(apart.walk)) == list(plain_positions(geometry))
        assert not apart.across
        together = patch_of(layer, [copied(shape, config, padding)], taps, groups)
        grid = across(layer, groups)
        assert list(positions(together.walk)) == list(plain_positions(geometry, grid))
        assert together.across == (math.prod(grid) > 1)

    def test_back_to_the_start_with_the_next_vector(self):
        geometry = Convolution(1, 9, 8, 3, 2, stride=2, pool=2, overlap=1)
        layer, shape = layer_of(geometry), Shape(1, 9, 8)
        layout = spread(shape, TINY, (1, 72), [0])
        walk = patch_of(layer, [layout], taps_of(layer, [ones(shape)]), 1).walk
        *_, last = positions(walk)
        assert tuple(np.add(last, walk.steps[-1])) == walk.start

    @pytest.mark.parametrize(
        ("pool", "groups", "average", "grid"),
        [
            (2, 1, False, (1, 1)),
            (2, 2, False, (1, 2)),
            (2, 4, False, (2, 2)),
            (2, 3, False, (1, 1)),
            (3, 3, False, (1, 3)),
            (4, 4, False, (1, 4)),
            (1, 4, False, (1, 1)),
            (2, 8, False, (1, 1)),
            # A mean is taken after the ReLU of each position, which no sum of groups can give.
            (2, 4, True, (1, 1)),
        ],
    )
    def test_groups_over_a_pooling_window(self, pool, groups, average, grid):
        layer = layer_of(Convolution(1, 8, 8, 1, 1, pool=pool, average=average))
        assert across(layer, groups) == grid


class TestSegments:
    @settings(repeatable, max_examples=400)
    @given(
        limits=limits, lanes=st.integers(1, 7), groups=st.integers(1, 4), seed=st.integers(0, 99)
    )
    def test_a_tap_s_column_is_that_of_the_slot_that_it_meets(self, limits, lanes, groups, seed):
        network = random_graph(limits, seed)
        placement = place(network, dataclasses.replace(ROOMY, lanes=lanes, groups=groups))
        of = shapes(network)
        for layer, taken in zip(network.layers, network.sources, strict=True):
            layouts = [placement.tensors[tensor] for tensor in taken]
            taps = taps_of(layer, [ones(of[tensor]) for tensor in taken])
            patch = patch_of(layer, layouts, taps, groups)
            met = columns_of(patch, layouts)
            which = np.resize(np.arange(len(taps.row)), len(patch.group))
            for tap, group, column in zip(which, patch.group, patch.column, strict=True):
                source, slot = met[group][column]
                layout, channel = layouts[source], taps.channel[tap]
                own = layout.slot(taps.y[tap], taps.x[tap]) + layout.slots[channel]
                assert source == taps.source[tap]
                assert slot - offset_of(layer, patch, layout, group) == own
                assert layout.groups is None or layout.groups[channel] == group

    def test_a_layer_that_sees_everything_takes_one_segment_a_source(self):
        network = random_graph(Limits(), 0)
        dense = dataclasses.replace(
            network.layers[0], convolution=None, codes=np.ones((3, 48), np.uint8)
        )
        shape = Shape(12, 2, 2)
        layout = spread(shape, TINY, (3, 12), np.arange(12))
        patch = patch_of(dense, [layout], taps_of(dense, [ones(shape)]), 1)
        ((segment,),) = patch.segments
        assert (segment.length, segment.column, patch.columns) == (48, 0, 48)

    def test_rows_of_a_kernel_are_one_segment_each(self):
        """As long as no padding can come between its pixels."""
        shape = Shape(4, 6, 6)
        layout = spread(shape, TINY, (1, 36), np.arange(4))
        for padding, segments in ((0, 3), (1, 9)):
            layer = layer_of(Convolution(4, 6, 6, 3, 3, padding=padding))
            patch = patch_of(layer, [layout], taps_of(layer, [ones(shape)]), 1)
            assert len(patch.segments[0]) == segments
            assert patch.columns == 36
            assert patch.bounds == ((6, 6) if padding else None)

    def test_columns_of_few_channels_are_cut_by_their_work(self):
        """No pooling: groups take parts of the kernel with as many weights each."""
        layer = layer_of(Convolution(1, 8, 8, 4, 4))
        layer.codes[:, 8:] = 0
        shape = Shape(1, 8, 8)
        taps = taps_of(layer, [ones(shape)])
        patch = patch_of(layer, [copied(shape, TINY, 0)], taps, 4)
        assert np.bincount(patch.group).tolist() == [4, 4, 4, 4]


def columns_of(patch, layouts):
    """Of each group: column -> (source, slot from the position on). No column occurs twice."""
    found = []
    for segments in patch.segments:
        mine = {}
        for segment in segments:
            first = layouts[segment.source].slot(segment.y, segment.x)
            for slot in range(segment.length):
                assert segment.column + slot not in mine
                mine[segment.column + slot] = segment.source, first + slot
        assert len(mine) <= patch.columns
        found.append(mine)
    return found


def offset_of(layer, patch, layout, group):
    """Slots by which a group's position lies beyond the window's first."""
    if not patch.across:
        return 0
    down, right = divmod(group, across(layer, len(patch.segments))[1])
    stride = layer.convolution.stride
    return down * stride * layout.row_slots + right * stride * layout.pixel_slots


class TestLimits:
    """What the fields of `hw.layouts` cannot hold is refused, with the layer and the numbers."""

    def patch(self, geometry, groups=1, few=False):
        layer, shape = layer_of(geometry, rows=1), Shape(1, geometry.height, geometry.width)
        layout = copied(shape, TINY, geometry.padding)
        if not few:
            layout = spread(shape, TINY, (1, shape.pixels), [0])
        taps = taps_of(layer, [ones(shape)])
        return patch_of(layer, [layout], taps, groups)

    @pytest.mark.parametrize("few", [False, True])
    @pytest.mark.parametrize("sides", [(513, 1), (1, 513)])
    def test_outputs(self, sides, few):
        with pytest.raises(
            BadInput, match="layer conv: its output has a side of 513; the engine has 512 at most"
        ):
            self.patch(Convolution(1, *sides, 1, 1), few=few)
        fits = self.patch(Convolution(1, *(min(side, 512) for side in sides), 1, 1), few=few)
        assert max(fits.walk.repeats) == 511

    @pytest.mark.parametrize("sides", [(511, 9), (9, 511)])
    def test_padded_planes(self, sides):
        geometry = Convolution(1, *sides, 3, 3, stride=2, padding=1)
        with pytest.raises(
            BadInput,
            match="layer conv: its plane has a side of 513 with its padding; the engine has 512 at",
        ):
            self.patch(geometry)
        self.patch(geometry, few=True)  # a border holds its padding
        self.patch(Convolution(1, *(min(side, 510) for side in sides), 3, 3, padding=1))

    def test_padded_kernels(self):
        with pytest.raises(
            BadInput,
            match="layer conv: its kernel has a side of 65; with padding, the engine has 64 at mo",
        ):
            self.patch(Convolution(1, 70, 70, 1, 65, padding=1))
        for allowed in (
            Convolution(1, 70, 70, 1, 64, padding=1),
            Convolution(1, 70, 70, 1, 65),
        ):
            self.patch(allowed)

    @pytest.mark.parametrize("few", [False, True])
    def test_pooling_windows(self, few):
        with pytest.raises(
            BadInput,
            match="layer conv: each group is at 289 positions of a pooling window; the engine has "
            "256 at most",
        ):
            self.patch(Convolution(1, 20, 20, 1, 1, pool=17), few=few)
        self.patch(Convolution(1, 20, 20, 1, 1, pool=16), few=few)

    def test_pooling_windows_that_groups_share(self):
        window = Convolution(1, 32, 32, 1, 1, pool=32)
        assert self.patch(window, groups=4, few=True).across
        with pytest.raises(BadInput, match="each group is at 512 positions"):
            self.patch(window, groups=2, few=True)
