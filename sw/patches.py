"""Patches: how the feeders walk through a layer's inputs, and which column each activation meets.

A tap is one place of the kernel over one source. A fully connected layer is a convolution at one
position, its kernel being the whole plane.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw import layouts

from .compressed import CompressedLayer
from .convolution import Convolution
from .errors import BadInput
from .tensors import Layout, Shape

__all__ = ["Patch", "Segment", "Taps", "Walk", "across", "patch_of", "taps_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Taps:
    """What each weight of a layer meets, one element for every non-zero weight and added source.

    Attributes
    ----------
    row, code : (n,) int64
        Of the weight.
    source : (n,) int64
        Place of the tensor among the layer's sources.
    channel, y, x : (n,) int64
        Channel of that tensor, and place in the kernel.
    active : (n,) float64
        How often what is met is likely not to be 0, from 0 to 1.
    """

    row: Ints
    code: Ints
    source: Ints
    channel: Ints
    y: Ints
    x: Ints
    active: Floats

    def only(self, which: NDArray[Any]) -> Taps:
        """Those of which it is true, or those at these places."""
        return Taps(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Segment:
    """Consecutive slots of a patch whose columns are consecutive too.

    Attributes
    ----------
    source : int
    y, x : int
        Place on the plane, from that of the position.
    length : int
        Slots.
    column : int
        Of the first slot, within the layer.
    """

    source: int
    y: int
    x: int
    length: int
    column: int


@dataclasses.dataclass(frozen=True)
class Walk:
    """Positions, as nested loops; see `hw.layouts.walk`.

    Attributes
    ----------
    start : (y, x)
        First position on the plane, negative in the padding.
    repeats : of all levels but that of the vectors
    steps : (y, x) for each level
    """

    start: tuple[int, int]
    repeats: tuple[int, ...]
    steps: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Patch:
    """How a layer is fed.

    Attributes
    ----------
    walk : Walk
    segments : for each group, in order
    columns : int
        Of the group that has most.
    group, column : (n,) int64
        Where each of the `Taps` is met; column within the layer.
    bounds : (height, width), optional
        Of the plane, where there is padding that no border holds.
    across : bool
        Every group is at another position of the pooling window, with all columns; else columns are
        spread over the groups.
    """

    walk: Walk
    segments: tuple[tuple[Segment, ...], ...]
    columns: int
    group: Ints
    column: Ints
    bounds: tuple[int, int] | None
    across: bool


def taps_of(layer: CompressedLayer, sources: Sequence[tuple[Shape, Floats]]) -> Taps:
    """What the weights of a layer meet; with sources that are added, all weights meet each.

    Parameters
    ----------
    sources : shape of each, and the share (channels, pixels) of vectors in which it is not 0
    """
    if not layer.added:
        return _taps(layer, sources)
    parts = []
    for number, source in enumerate(sources):
        taps = _taps(layer, [source])
        parts.append(dataclasses.replace(taps, source=np.full_like(taps.source, number)))
    fields = (field.name for field in dataclasses.fields(Taps))
    return Taps(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _taps(layer: CompressedLayer, sources: Sequence[tuple[Shape, Floats]]) -> Taps:
    row, column = np.nonzero(layer.codes)
    code = layer.codes[row, column].astype(np.int64)
    geometry = layer.convolution
    if geometry is None:
        sizes = np.array([shape.channels * shape.pixels for shape, _ in sources])
        source, feature = _split(column, sizes)
        pixels = np.array([shape.pixels for shape, _ in sources])[source]
        width = np.array([shape.width for shape, _ in sources])[source]
        channel, pixel = np.divmod(feature, pixels)
        y, x = np.divmod(pixel, width)
    else:
        kernel = geometry.kernel_height * geometry.kernel_width
        channel, place = np.divmod(column, kernel)
        channel += row // (layer.rows // geometry.groups) * (geometry.channels // geometry.groups)
        y, x = np.divmod(place, geometry.kernel_width)
        source, channel = _split(channel, np.array([shape.channels for shape, _ in sources]))
    active = np.zeros(len(row))
    for number, (shape, share) in enumerate(sources):
        mine = source == number
        if geometry is None:
            active[mine] = share[channel[mine], y[mine] * shape.width + x[mine]]
        else:
            active[mine] = _met(geometry, shape, share)[channel[mine], y[mine], x[mine]]
    return Taps(row, code, source, channel, y, x, active)


def _met(geometry: Convolution, shape: Shape, share: Floats) -> Floats:
    """Mean share (channels, kernel height, kernel width) over all positions."""
    edges = (geometry.padding, geometry.padding)
    planes = np.pad(share.reshape(-1, shape.height, shape.width), ((0, 0), edges, edges))
    means = np.empty((shape.channels, geometry.kernel_height, geometry.kernel_width))
    reach = [(count - 1) * geometry.stride + 1 for count in geometry.positions]
    for v, u in np.ndindex(*means.shape[1:]):
        met = planes[:, v : v + reach[0] : geometry.stride, u : u + reach[1] : geometry.stride]
        means[:, v, u] = met.mean(axis=(1, 2))
    return means


def _split(places: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """(part, place within it) of places in parts of these sizes, one behind the other."""
    ends = np.cumsum(sizes)
    part = np.searchsorted(ends, places, side="right")
    return part, places - (ends - sizes)[part]


def patch_of(layer: CompressedLayer, sources: Sequence[Layout], taps: Taps, groups: int) -> Patch:
    """How a layer is fed from sources in these layouts.

    Raises
    ------
    BadInput
        If planes, kernel or pooling window are larger than the engine's.
    """
    if sources[0].groups is not None:
        patch = _spread_patch(layer, sources, taps, groups)
    else:
        patch = _copied_patch(layer, sources[0], taps, groups)
    _check_walk(layer, patch.walk)
    return patch


def _kernels(layer: CompressedLayer, sources: Sequence[Layout]) -> list[tuple[int, int]]:
    if layer.convolution is None:
        return [(layout.shape.height, layout.shape.width) for layout in sources]
    kernel = (layer.convolution.kernel_height, layer.convolution.kernel_width)
    return [kernel] * len(sources)


def _spread_patch(
    layer: CompressedLayer, sources: Sequence[Layout], taps: Taps, groups: int
) -> Patch:
    """A segment a tap; each group takes the channels that it holds."""
    kernels = _kernels(layer, sources)
    segments: list[tuple[Segment, ...]] = []
    column = np.zeros(len(taps.row), np.int64)
    group = np.zeros(len(taps.row), np.int64)
    slot = np.zeros(len(taps.row), np.int64)
    for source, layout in enumerate(sources):
        assert layout.groups is not None
        mine = taps.source == source
        group[mine] = layout.groups[taps.channel[mine]]
        slot[mine] = layout.slots[taps.channel[mine]]
    total = 0
    for number in range(groups):
        first = 0
        own = []
        for source, (layout, (height, width)) in enumerate(zip(sources, kernels, strict=True)):
            length = layout.used(number)
            mine = (group == number) & (taps.source == source)
            column[mine] = first + (taps.y[mine] * width + taps.x[mine]) * length + slot[mine]
            if length:
                own += [
                    Segment(source, y, x, length, first + (y * width + x) * length)
                    for y, x in itertools.product(range(height), range(width))
                ]
            first += height * width * length
        segments.append(tuple(own))
        total = max(total, first)
    geometry = layer.convolution
    bounds = None
    if geometry is not None and geometry.padding:
        bounds = (geometry.height, geometry.width)
        _check_bounds(layer)
    else:
        segments = [_merged(own, sources) for own in segments]
    walk = _walk(layer, (1, 1))
    return Patch(walk, tuple(segments), total, group, column, bounds, across=False)


def _check_bounds(layer: CompressedLayer) -> None:
    geometry = layer.convolution
    assert geometry is not None
    side = max(geometry.height, geometry.width) + 2 * geometry.padding
    if side > (most := 1 << layouts.COORDINATE_BITS):
        raise BadInput(
            f"layer {layer.name}: its plane has a side of {side} with its padding; the engine has "
            f"{most} at most"
        )
    kernel = max(geometry.kernel_height, geometry.kernel_width)
    if kernel > (most := 1 << layouts.OFFSET_BITS):
        raise BadInput(
            f"layer {layer.name}: its kernel has a side of {kernel}; with padding, the engine has "
            f"{most} at most"
        )


def _check_walk(layer: CompressedLayer, walk: Walk) -> None:
    window_x, window_y, *plane = (repeat + 1 for repeat in walk.repeats)
    if (window := window_x * window_y) > (most := 1 << layouts.WINDOW_BITS):
        raise BadInput(
            f"layer {layer.name}: each group is at {window} positions of a pooling window; the "
            f"engine has {most} at most"
        )
    if (side := max(plane)) > (most := 1 << layouts.COORDINATE_BITS):
        raise BadInput(
            f"layer {layer.name}: its output has a side of {side}; the engine has {most} at most"
        )


def _merged(segments: Sequence[Segment], sources: Sequence[Layout]) -> tuple[Segment, ...]:
    """Segments that go on where the one before ends, in slots and in columns, joined with it."""
    merged: list[Segment] = []
    for segment in segments:
        before = merged[-1] if merged else None
        if before is not None and before.source == segment.source:
            layout = sources[segment.source]
            distance = layout.slot(segment.y, segment.x) - layout.slot(before.y, before.x)
            if distance == before.length == segment.column - before.column:
                length = before.length + segment.length
                merged[-1] = dataclasses.replace(before, length=length)
                continue
        merged.append(segment)
    return tuple(merged)


def across(layer: CompressedLayer, groups: int) -> tuple[int, int]:
    """How the groups are laid over a pooling window, (down, across); (1, 1) if they cannot be."""
    geometry = layer.convolution
    if geometry is None or geometry.average or groups == 1:
        return 1, 1
    width = math.gcd(geometry.pool, groups)
    height = groups // width
    return (height, width) if geometry.pool % height == 0 else (1, 1)


def _copied_patch(layer: CompressedLayer, layout: Layout, taps: Taps, groups: int) -> Patch:
    """A segment a row of the kernel; each group takes another position, or part of the columns."""
    ((height, width),) = _kernels(layer, [layout])
    channels = layout.shape.channels
    row = width * channels
    place = (taps.y * width + taps.x) * channels + taps.channel
    grid = across(layer, groups)
    walk = _walk(layer, grid)
    if math.prod(grid) > 1:
        geometry = layer.convolution
        assert geometry is not None
        segments = [
            tuple(
                Segment(0, v * geometry.stride + y, u * geometry.stride, row, y * row)
                for y in range(height)
            )
            for v, u in itertools.product(range(grid[0]), range(grid[1]))
        ]
        group = np.repeat(np.arange(groups), len(place))
        column = np.tile(place, groups)
        return Patch(walk, tuple(segments), height * row, group, column, None, across=True)
    pixel_work = np.bincount(place // channels, minlength=height * width)
    cuts = [pixel * channels for pixel in _cuts(pixel_work, groups)]
    segments = []
    for first, end in itertools.pairwise(cuts):
        own = []
        for y in range(height):
            low, high = max(first, y * row), min(end, (y + 1) * row)
            if low < high:
                x = (low - y * row) // channels
                own.append(Segment(0, y, x, high - low, low - first))
        segments.append(tuple(own))
    group = np.searchsorted(cuts[1:], place, side="right")
    columns = max(end - first for first, end in itertools.pairwise(cuts))
    column = place - np.asarray(cuts)[group]
    return Patch(walk, tuple(segments), columns, group, column, None, across=False)


def _cuts(work: Ints, groups: int) -> list[int]:
    """Ends 0 … len(work) of parts, one for each group, of about equal work."""
    total = np.concatenate([[0], np.cumsum(work)])
    wanted = total[-1] * np.arange(1, groups) / groups
    inner = [int(np.abs(total - share).argmin()) for share in wanted]
    return [0, *inner, len(work)]


def _walk(layer: CompressedLayer, grid: tuple[int, int]) -> Walk:
    """Window by window, each row by row; a position stands for all of `grid` (down, across)."""
    geometry = layer.convolution
    if geometry is None:
        return Walk((0, 0), (0, 0, 0, 0), ((0, 0),) * 5)
    stride, window = geometry.stride, geometry.pool_stride * geometry.stride
    down, right = (stride * side for side in grid)
    times_y, times_x = (geometry.pool // side - 1 for side in grid)
    rows, columns = geometry.plane
    back_y, back_x = -times_y * down, -times_x * right
    to_left = back_x - (columns - 1) * window
    return Walk(
        start=(-geometry.padding, -geometry.padding),
        repeats=(times_x, times_y, columns - 1, rows - 1),
        steps=(
            (0, right),
            (down, back_x),
            (back_y, back_x + window),
            (back_y + window, to_left),
            (back_y - (rows - 1) * window, to_left),
        ),
    )
