"""Placement: which processing element holds which weight, and how a layer's entries are split."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig

from .compressed import CompressedLayer, CompressedNetwork
from .errors import BadInput

__all__ = ["PlacedLayer", "Placement", "balance", "place"]

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class PlacedLayer:
    """One layer spread over the processing elements.

    Attributes
    ----------
    slots : (outputs,) int64
        Place of each output: row * lanes + lane.
    rows : int
        Rows per lane, a multiple of the groups.
    in_words : int
        Words of an input vector in each group.
    code_bits, gap_bits : int
        How an entry is split.
    codebook : (n,) int64
    entries : per element, (n,) int64
        code | gap << code_bits, column after column; padding included.
    counts : per element, (in_words * lanes,) int64
        Entries of each column.
    """

    name: str
    slots: Ints
    rows: int
    in_words: int
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
    """A network spread over the processing elements; inputs lie in their natural order."""

    input_slots: Ints
    layers: tuple[PlacedLayer, ...]


def place(network: CompressedNetwork, config: AcceleratorConfig) -> Placement:
    """Spread every layer over the elements of `config`, whose depths are not looked at.

    Raises
    ------
    BadInput
        If the codes of a layer are wider than an entry, or a layer is a convolution.
    """
    for layer in network.layers:
        if layer.convolution is not None:
            raise BadInput(
                f"layer {layer.name} is a convolution, which the engine does not run yet; the "
                "golden model does"
            )
    slots = input_slots = np.arange(network.layers[0].inputs)
    layers = []
    for layer in network.layers:
        placed = _place_layer(layer, slots, config)
        layers.append(placed)
        slots = placed.slots
    return Placement(input_slots, tuple(layers))


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


def _place_layer(layer: CompressedLayer, in_slots: Ints, config: AcceleratorConfig) -> PlacedLayer:
    lanes, groups = config.lanes, config.groups
    if layer.code_bits > config.entry_bits:
        raise BadInput(
            f"layer {layer.name}: its {layer.code_bits}-bit codes do not fit into the "
            f"accelerator's {config.entry_bits}-bit entries"
        )
    in_words = _words_per_group(layer.inputs, config)
    rows = _words_per_group(layer.outputs, config) * groups

    row, column = np.nonzero(layer.codes)
    word, in_lane = np.divmod(in_slots[column], lanes)
    group = word % groups
    work = np.zeros((layer.outputs, groups), np.int64)
    np.add.at(work, (row, group), 1)
    slots = balance(work, lanes, rows)

    # Storage order: by element, then column, then row.
    out_row, out_lane = np.divmod(slots[row], lanes)
    element = group * lanes + out_lane
    local_column = word // groups * lanes + in_lane
    order = np.lexsort((out_row, local_column, element))
    element, local_column, out_row = element[order], local_column[order], out_row[order]
    codes = layer.codes[row[order], column[order]].astype(np.int64)
    gaps = _gaps(element, local_column, out_row)

    gap_bits = _choose_gap_bits(element, gaps, layer.code_bits, config)
    entries, element, local_column = _with_padding(
        codes, gaps, layer.code_bits, gap_bits, (element, local_column)
    )
    columns = in_words * lanes
    counts = np.bincount(element * columns + local_column, minlength=config.elements * columns)
    ends = np.cumsum(np.bincount(element, minlength=config.elements))[:-1]
    return PlacedLayer(
        name=layer.name,
        slots=slots,
        rows=rows,
        in_words=in_words,
        code_bits=layer.code_bits,
        gap_bits=gap_bits,
        codebook=layer.codebook,
        entries=tuple(np.split(entries, ends)),
        counts=counts.reshape(config.elements, columns),
    )


def _words_per_group(features: int, config: AcceleratorConfig) -> int:
    words = -(-features // config.lanes)
    return -(-words // config.groups)


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
