"""Placement: which processing element holds which weight, and how a layer's entries are split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig

from .compressed import CompressedNetwork
from .errors import BadInput
from .graph import consumers
from .patches import Patch, patch_of, taps_of
from .tensors import Layout, copied, frames, shapes, spread

__all__ = ["PlacedLayer", "Placement", "balance", "place"]

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class PlacedLayer:
    """One layer spread over the processing elements.

    Attributes
    ----------
    slots : (rows of the matrix,) int64
        Place of each: row * lanes + lane.
    rows : int
        Rows per lane, a multiple of the groups.
    patch : Patch
        How it is fed.
    code_bits, gap_bits : int
        How an entry is split.
    codebook : (n,) int64
    entries : per element, (n,) int64
        code | gap << code_bits, column after column; padding included.
    counts : per element, (columns,) int64
        Entries of each column.
    """

    name: str
    slots: Ints
    rows: int
    patch: Patch
    code_bits: int
    gap_bits: int
    codebook: Ints
    entries: tuple[Ints, ...]
    counts: Ints

    @property
    def element_entries(self) -> list[int]:
        return [len(entries) for entries in self.entries]


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


def place(network: CompressedNetwork, config: AcceleratorConfig) -> Placement:
    """Spread every layer over the elements of `config`, whose depths are not looked at.

    Raises
    ------
    BadInput
        If the codes of a layer are wider than an entry, or its planes are not those of its sources
        or larger than the engine's.
    """
    of, framed = shapes(network), frames(network, config)
    tensors = [_input_layout(network, config)]
    layers = []
    for number in range(len(network.layers)):
        placed = _place_layer(network, number, tensors, config)
        layers.append(placed)
        tensors.append(spread(of[number + 1], config, framed[number + 1], placed.slots))
    return Placement(tuple(tensors), tuple(layers))


def _input_layout(network: CompressedNetwork, config: AcceleratorConfig) -> Layout:
    """Planes of few channels are copied to all groups, if nothing is joined with them."""
    shape = shapes(network)[0]
    takers = [network.layers[taker] for taker in consumers(network.layers)[0]]
    alone = all(len(taker.sources) == 1 for taker in takers)
    if alone and shape.pixels > 1 and shape.channels < config.lanes * config.groups:
        borders = (t.convolution.padding for t in takers if t.convolution is not None)
        return copied(shape, config, max(borders, default=0))
    return spread(shape, config, frames(network, config)[0], np.arange(shape.channels))


def balance(work: Ints, lanes: int, rows: int) -> Ints:
    """Spread rows over lanes so that the busiest processing element has as little as possible.

    Greedy, heaviest row first (longest processing time, Graham 1969), each lane taking `rows` rows
    at most.

    Parameters
    ----------
    work : (outputs, groups)
        Non-zeros of each output row in the columns of each group.

    Returns
    -------
    (outputs,) int64
        row * lanes + lane; in a lane, rows keep their order.
    """
    load = np.zeros((lanes, work.shape[1]), np.int64)
    free = np.full(lanes, rows)
    lane_of = np.empty(len(work), np.int64)
    for row in np.argsort(-work.sum(axis=1), kind="stable"):
        after = load + work[row]
        # The total decides between lanes with the same maximum; a full lane comes last.
        cost = after.max(axis=1) * (after.sum() + 1) + after.sum(axis=1)
        cost[free == 0] = np.iinfo(np.int64).max
        lane = int(cost.argmin())
        lane_of[row] = lane
        load[lane] = after[lane]
        free[lane] -= 1
    slots = np.empty(len(work), np.int64)
    for lane in range(lanes):
        mine = np.flatnonzero(lane_of == lane)
        slots[mine] = np.arange(len(mine)) * lanes + lane
    return slots


def _place_layer(
    network: CompressedNetwork, number: int, tensors: Sequence[Layout], config: AcceleratorConfig
) -> PlacedLayer:
    layer, lanes = network.layers[number], config.lanes
    if layer.code_bits > config.entry_bits:
        raise BadInput(
            f"layer {layer.name}: its {layer.code_bits}-bit codes do not fit into the "
            f"accelerator's {config.entry_bits}-bit entries"
        )
    sources = [tensors[tensor] for tensor in network.sources[number]]
    taps = taps_of(layer, [layout.shape for layout in sources])
    patch = patch_of(layer, sources, taps, config.groups)
    copies = len(patch.group) // max(1, len(taps.row))
    row, code = np.tile(taps.row, copies), np.tile(taps.code, copies)
    rows = -(-layer.rows // (lanes * config.groups)) * config.groups
    work = np.zeros((layer.rows, config.groups), np.int64)
    np.add.at(work, (row, patch.group), 1)
    slots = balance(work, lanes, rows)
    slots = _over_groups(slots, _demand(network, number), rows, config)

    # Storage order: by element, then column, then row.
    out_row, out_lane = np.divmod(slots[row], lanes)
    element = patch.group * lanes + out_lane
    order = np.lexsort((out_row, patch.column, element))
    element, column, out_row = element[order], patch.column[order], out_row[order]
    gaps = _gaps(element, column, out_row)

    gap_bits = _choose_gap_bits(element, gaps, layer.code_bits, config)
    entries, element, column = _with_padding(
        code[order], gaps, layer.code_bits, gap_bits, (element, column)
    )
    size = config.elements * patch.columns
    counts = np.bincount(element * patch.columns + column, minlength=size)
    ends = np.cumsum(np.bincount(element, minlength=config.elements))[:-1]
    return PlacedLayer(
        name=layer.name,
        slots=slots,
        rows=rows,
        patch=patch,
        code_bits=layer.code_bits,
        gap_bits=gap_bits,
        codebook=layer.codebook,
        entries=tuple(np.split(entries, ends)),
        counts=counts.reshape(config.elements, patch.columns),
    )


def _demand(network: CompressedNetwork, number: int) -> Ints:
    """(rows,) non-zero weights that the channels of a layer's output meet in the layers after."""
    layer = network.layers[number]
    demand = np.zeros(layer.rows, np.int64)
    shape = shapes(network)
    for taker in consumers(network.layers)[number + 1]:
        sources = network.sources[taker]
        taps = taps_of(network.layers[taker], [shape[tensor] for tensor in sources])
        for source, tensor in enumerate(sources):
            if tensor == number + 1:
                met = taps.channel[taps.source == source]
                demand += np.bincount(met, minlength=layer.rows)
    return demand


def _over_groups(slots: Ints, demand: Ints, rows: int, config: AcceleratorConfig) -> Ints:
    """Slots with the rows of every lane in another order: each group feeds the next layers alike.

    Greedy, the row of most demand first.

    Parameters
    ----------
    slots : (outputs,)
        Only their lanes matter.
    rows : int
        Rows per lane; row r is stored in group r % groups.
    """
    lanes, groups = config.lanes, config.groups
    load, free = np.zeros(groups, np.int64), np.full((lanes, groups), rows // groups)
    group = np.empty(len(slots), np.int64)
    for row in np.argsort(-demand, kind="stable"):
        left = free[slots[row] % lanes]
        # Among groups of the same load that which has most places left.
        cost = np.where(left > 0, load * (rows + 1) - left, np.iinfo(np.int64).max)
        group[row] = cost.argmin()
        load[group[row]] += demand[row]
        left[group[row]] -= 1
    placed = np.empty(len(slots), np.int64)
    for cell in range(lanes * groups):
        number, lane = divmod(cell, lanes)
        mine = np.flatnonzero((group == number) & (slots % lanes == lane))
        placed[mine] = (np.arange(len(mine)) * groups + number) * lanes + lane
    return placed


def _gaps(element: Ints, column: Ints, row: Ints) -> Ints:
    """Rows skipped before each non-zero, from the column's top or the non-zero before it."""
    gaps = row.copy()
    same = (element[1:] == element[:-1]) & (column[1:] == column[:-1])
    gaps[1:][same] = (row[1:] - row[:-1] - 1)[same]
    return gaps


def _choose_gap_bits(element: Ints, gaps: Ints, code_bits: int, config: AcceleratorConfig) -> int:
    """The split with the fewest cycles, then the fewest entries, then the fewest bits."""

    def cost(gap_bits: int) -> tuple[int, int]:
        entries = np.bincount(element, 1 + (gaps >> gap_bits), minlength=config.elements)
        return int(entries.max()), int(entries.sum())

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
