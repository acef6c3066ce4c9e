"""Placement: which processing element holds which weight, and how a layer's entries are split."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig

from .activity import activity
from .balance import light_last, over_groups, over_lanes
from .compressed import CompressedLayer, CompressedNetwork
from .errors import BadInput
from .graph import consumers
from .patches import Patch, Taps, patch_of, taps_of
from .tensors import Layout, Shape, copied, frames, shapes, spread

__all__ = ["PlacedLayer", "Placement", "Step", "check_codes", "place"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Step:
    """What one instruction computes: rows of a layer, all of them if the accumulators hold them.

    Attributes
    ----------
    first, rows : int
        Rows per lane, multiples of the groups.
    joined : bool
        Whether they take both accumulator buffers.
    gap_bits : int
    entries : per element, (n,) int64
        code | gap << code_bits, column after column; padding included.
    counts : per element, (columns,) int64
        Entries of each column.
    """

    first: int
    rows: int
    joined: bool
    gap_bits: int
    entries: tuple[Ints, ...]
    counts: Ints


@dataclasses.dataclass(frozen=True)
class PlacedLayer:
    """One layer spread over the processing elements.

    Attributes
    ----------
    slots : (rows of the matrix,) int64
        Place of each: row * lanes + lane.
    patch : Patch
        How it is fed, at every step again.
    code_bits : int
    codebook : (n,) int64
    steps : tuple of Step
    """

    name: str
    slots: Ints
    patch: Patch
    code_bits: int
    codebook: Ints
    steps: tuple[Step, ...]

    @property
    def rows(self) -> int:
        """Rows per lane."""
        return sum(step.rows for step in self.steps)

    @property
    def element_entries(self) -> Ints:
        """(elements,) entries of each processing element."""
        lengths = np.array([[len(own) for own in step.entries] for step in self.steps])
        return np.asarray(lengths.sum(axis=0), np.int64)


@dataclasses.dataclass(frozen=True)
class Placement:
    """A network spread over the processing elements.

    Attributes
    ----------
    tensors : tuple of Layout
        Of the network's input and of every layer's outputs.
    layers : tuple of PlacedLayer
    """

    tensors: tuple[Layout, ...]
    layers: tuple[PlacedLayer, ...]

    @property
    def codebook_bases(self) -> list[int]:
        """Place of every layer's code 0: 0 in the bits of a code, so that no sum is needed."""
        bases, end = [], 0
        for layer in self.layers:
            size = 1 << layer.code_bits
            bases.append(-(-end // size) * size)
            end = bases[-1] + len(layer.codebook)
        return bases


def place(network: CompressedNetwork, config: AcceleratorConfig) -> Placement:
    """Spread every layer over the elements of `config`.

    Of the depths of its memories only that of the accumulators is looked at.

    Raises
    ------
    BadInput
        If the codes of a layer are wider than an entry, or its planes are not those of its sources
        or larger than the engine's.
    """
    _check_sizes(network, config)
    of = shapes(network)
    taps, alive = _living(network, of)
    framed = frames(network, [_places(each) for each in alive], config)
    demand = _demand(network, taps, of, config.lanes)
    tensors = [_input_layout(network, of[0], config, (framed[0], demand[0]))]
    layers = []
    for number, layer in enumerate(network.layers):
        sources = [tensors[tensor] for tensor in network.sources[number]]
        rows = (alive[number + 1], demand[number + 1])
        placed = _place_layer(layer, taps[number], sources, rows, config)
        layers.append(placed)
        tensors.append(spread(of[number + 1], config, framed[number + 1], placed.slots))
    return Placement(tuple(tensors), tuple(layers))


def _check_sizes(network: CompressedNetwork, config: AcceleratorConfig) -> None:
    """Refuse what no engine of so many elements holds, before anything is laid out for it."""
    entries, rows = (
        config.elements * AcceleratorConfig.limits(knob)[1]
        for knob in ("entry_depth", "bias_depth")
    )
    for layer in network.layers:
        times = len(layer.sources) if layer.added else 1
        for what, count, most in (
            ("weights, once for each source that is added,", layer.codes, entries),
            ("rows", layer.bias, rows),
            ("columns", layer.codes[0], rows),
        ):
            number = len(count) if count.ndim == 1 else int(np.count_nonzero(count)) * times
            if number > most:
                raise BadInput(
                    f"layer {layer.name}: {number} {what} are needed, more than any engine of "
                    f"{config.elements} elements has ({most}); use more lanes"
                )


def _living(
    network: CompressedNetwork, of: list[Shape]
) -> tuple[list[Taps], list[NDArray[np.bool_]]]:
    """Taps of every layer, and of every tensor which channels (channels,) are not always 0.

    Taps on channels that are always 0 are left out.
    """
    active = activity(network, of)
    alive = [np.ones(of[0].channels, np.bool_)]
    taps = []
    for layer, tensors in zip(network.layers, network.sources, strict=True):
        mine = taps_of(layer, [(of[tensor], active[tensor]) for tensor in tensors])
        met = np.zeros(len(mine.row), np.bool_)
        for source, tensor in enumerate(tensors):
            own = mine.source == source
            met[own] = alive[tensor][mine.channel[own]]
        taps.append(mine.only(met))
        constant = (layer.bias + ((1 << layer.shift) >> 1)) >> layer.shift
        varies = np.bincount(taps[-1].row, minlength=layer.rows) > 0
        alive.append(varies | ((constant > 0) if layer.relu else (constant != 0)))
    return taps, alive


def _places(alive: NDArray[np.bool_]) -> int:
    """Places that the channels of a tensor need: those that are always 0 share one."""
    return int(alive.sum()) + int(not alive.all())


def _demand(
    network: CompressedNetwork, taps: list[Taps], of: list[Shape], lanes: int
) -> list[Floats]:
    """(channels, 2) cycles that each channel of a tensor takes the layers after, by two measures.

    A group sends a token a cycle, and its lanes make a product each.
    """
    demand = [np.zeros((shape.channels, 2)) for shape in of]
    for mine, tensors in zip(taps, network.sources, strict=True):
        for source, tensor in enumerate(tensors):
            met = mine.source == source
            channel, active = mine.channel[met], mine.active[met]
            demand[tensor][:, 1] += np.bincount(channel, active, of[tensor].channels) / lanes
            # One product of every column stands for its token.
            place = np.stack([channel, mine.y[met], mine.x[met]])
            _, first = np.unique(place, axis=1, return_index=True)
            demand[tensor][:, 0] += np.bincount(channel[first], active[first], of[tensor].channels)
    return demand


def _input_layout(
    network: CompressedNetwork,
    shape: Shape,
    config: AcceleratorConfig,
    alone: tuple[tuple[int, int], Floats],
) -> Layout:
    """Planes of few channels are copied to all groups, if nothing is joined with them."""
    takers = [network.layers[taker] for taker in consumers(network.layers)[0]]
    single = all(len(taker.sources) == 1 for taker in takers)
    if single and shape.pixels > 1 and shape.channels < config.lanes * config.groups:
        borders = (t.convolution.padding for t in takers if t.convolution is not None)
        return copied(shape, config, max(borders, default=0))
    frame, demand = alone
    rows = -(-shape.channels // (config.lanes * config.groups)) * config.groups
    lane = np.arange(shape.channels) % config.lanes
    places = over_groups(lane, demand, rows, config, light_last(demand[:, 1]))
    return spread(shape, config, frame, places)


def check_codes(layer: CompressedLayer, entry_bits: int) -> None:
    """Refuse a layer whose codes are longer than an entry.

    Raises
    ------
    BadInput
        Naming the layer.
    """
    if layer.code_bits > entry_bits:
        raise BadInput(
            f"layer {layer.name}: its {layer.code_bits}-bit codes do not fit into the "
            f"accelerator's {entry_bits}-bit entries"
        )


def _place_layer(
    layer: CompressedLayer,
    taps: Taps,
    sources: list[Layout],
    outputs: tuple[NDArray[np.bool_], Floats],
    config: AcceleratorConfig,
) -> PlacedLayer:
    """Spread one layer over the elements, its sources lying where they do.

    Parameters
    ----------
    outputs : which rows are not always 0, and what each takes the layers after (see `_demand`)
    """
    lanes = config.lanes
    check_codes(layer, config.entry_bits)
    patch = patch_of(layer, sources, taps, config.groups)
    # What groups at several positions of a window hold, each of them holds.
    taps = taps.only(np.resize(np.arange(len(taps.row)), len(patch.group)))
    alive, demand = outputs
    rows = -(-_places(alive) // (lanes * config.groups)) * config.groups
    work = np.zeros((layer.rows, config.groups))
    np.add.at(work, (taps.row, patch.group), taps.active)
    # The first of the rows that are always 0 stands for all of them.
    placed = np.sort(np.concatenate([np.flatnonzero(alive), np.flatnonzero(~alive)[:1]]))
    lane = over_lanes(work[placed], lanes, rows)
    slots = np.zeros(layer.rows, np.int64)
    slots[placed] = over_groups(lane, demand[placed], rows, config, work[placed].sum(axis=1))
    slots[~alive] = slots[np.argmin(alive)]

    out_row, out_lane = np.divmod(slots[taps.row], lanes)
    element = patch.group * lanes + out_lane
    weights = _Weights(element, patch.column, out_row, taps.code, taps.active)
    weights = weights.only(np.lexsort((out_row, patch.column, element)))
    alone = not any(patch.walk.repeats)
    steps = _steps(weights, _Sizes(rows, patch.columns, layer.code_bits, alone), config)
    return PlacedLayer(layer.name, slots, patch, layer.code_bits, layer.codebook, steps)


class _Weights(NamedTuple):
    """The weights that an engine holds (n,), those of several groups as often.

    In storage order they are sorted by element, then column, then row.
    """

    element: Ints
    column: Ints
    row: Ints
    code: Ints
    active: Floats

    def only(self, which: NDArray[Any]) -> _Weights:
        """Those of which it is true, or those at these places."""
        return _Weights(*(each[which] for each in self))


class _Sizes(NamedTuple):
    """Rows per lane and columns of a layer, and bits of its codes.

    `alone`, it has one position only, so that its rows may take both accumulator buffers.
    """

    rows: int
    columns: int
    code_bits: int
    alone: bool


def _steps(weights: _Weights, sizes: _Sizes, config: AcceleratorConfig) -> tuple[Step, ...]:
    """As few as the accumulators and the counts of pointers allow, all of about as many rows."""
    groups = config.groups
    words = sizes.rows // groups
    most_rows = config.accumulator_depth * (2 if sizes.alone else 1)
    for most in range(max(most_rows // groups, 1), 0, -1):
        at_once = -(-words // -(-words // most)) * groups
        steps = tuple(
            _step(weights, (first, min(sizes.rows, first + at_once)), sizes, config)
            for first in range(0, sizes.rows, at_once)
        )
        if all(step.counts.max(initial=0) < 2 * config.accumulator_depth for step in steps):
            break
    return steps


def _step(
    weights: _Weights, rows: tuple[int, int], sizes: _Sizes, config: AcceleratorConfig
) -> Step:
    """Entries of the rows from the first to below the second of `rows`."""
    first, end = rows
    element, column, row, code, active = weights.only((first <= weights.row) & (weights.row < end))
    gaps = _gaps(element, column, row - first)
    gap_bits = _choose_gap_bits(element, gaps, active, sizes.code_bits, config)
    entries, element, column = _with_padding(
        code, gaps, sizes.code_bits, gap_bits, (element, column)
    )
    shape = (config.elements, sizes.columns)
    counts = np.bincount(element * sizes.columns + column, minlength=math.prod(shape))
    ends = np.cumsum(np.bincount(element, minlength=config.elements))[:-1]
    return Step(
        first=first,
        rows=end - first,
        joined=sizes.alone and end - first > config.accumulator_depth,
        gap_bits=gap_bits,
        entries=tuple(np.split(entries, ends)),
        counts=counts.reshape(shape),
    )


def _gaps(element: Ints, column: Ints, row: Ints) -> Ints:
    """Rows skipped before each non-zero, from the column's top or the non-zero before it."""
    gaps = row.copy()
    same = (element[1:] == element[:-1]) & (column[1:] == column[:-1])
    gaps[1:][same] = (row[1:] - row[:-1] - 1)[same]
    return gaps


def _choose_gap_bits(
    element: Ints, gaps: Ints, active: Floats, code_bits: int, config: AcceleratorConfig
) -> int:
    """The split with the fewest cycles, then the fewest entries, then the fewest bits."""

    def cost(gap_bits: int) -> tuple[float, int]:
        entries = 1 + (gaps >> gap_bits)
        cycles = np.bincount(element, entries * active, minlength=config.elements)
        return float(cycles.max()), int(entries.sum())

    most = min(layouts.GAP_BITS_MAX, config.entry_bits - code_bits)
    return min(range(most + 1), key=cost)


def _with_padding(
    codes: Ints, gaps: Ints, code_bits: int, gap_bits: int, place: tuple[Ints, Ints]
) -> tuple[Ints, Ints, Ints]:
    """Entries, with as many padding entries before each as its gap needs; (element, column) too.

    A padding entry has code 0 and the greatest gap, so it skips 2**gap_bits rows in all. Without
    gap bits every skipped row takes one: the layer is stored dense.
    """
    padding = gaps >> gap_bits
    last = np.cumsum(padding + 1) - 1
    greatest = (1 << gap_bits) - 1
    entries = np.full(last[-1] + 1 if len(last) else 0, greatest << code_bits, np.int64)
    entries[last] = codes | ((gaps & greatest) << code_bits)
    element, column = (np.repeat(which, padding + 1) for which in place)
    return entries, element, column
