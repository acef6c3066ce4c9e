"""Layers of EIE's benchmark over the number of processing elements and the depth of the queues.

All by the cycle model (`sim.cycles`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hw.config import MEMORY_DEPTHS, AcceleratorConfig
from hw.regmap import Window
from sw.pack import pack
from sw.published import EieLayer, eie

from . import golden
from .cycles import predict
from .eie import Single, entries_of, random_single, single

__all__ = ["ELEMENTS", "Point", "grid", "measure"]

ELEMENTS = (1, 4, 16, 64, 256)

# Entries of the fullest element over the mean weights where elements are few: each has many rows,
# so that gaps are longer than an entry says, and padding is most of it (VGG-6 on one: 1.056).
_PADDED = 1.06


@dataclasses.dataclass(frozen=True)
class Point:
    """What a layer takes on an engine.

    Attributes
    ----------
    layer : str
        Its name in EIE's table.
    lanes, groups : int
    parts : int
        In which the layer is computed, one after the other, each with some of the rows: more than
        one where a processing element cannot hold its share.
    products : int
        Of a weight and an activation, neither zero.
    busy : int
        Entries executed by all elements, padding included, a cycle each.
    weights, entries : int
        That are stored in all elements, without and with padding.
    eie_entries : int
        That EIE's storage has for the same weights, see `sim.eie.entries_of`.
    cycles : dict of int to int
        Clock cycles of the layer by queue depth, those of the parts added.
    """

    layer: str
    lanes: int
    groups: int
    parts: int
    products: int
    busy: int
    weights: int
    entries: int
    eie_entries: int
    cycles: dict[int, int]

    @property
    def elements(self) -> int:
        return self.lanes * self.groups

    def balance(self, queue_depth: int) -> float:
        """Share of the elements' cycles in which they execute entries."""
        return self.busy / (self.cycles[queue_depth] * self.elements)


@dataclasses.dataclass(frozen=True)
class _Part:
    """What some rows of a layer take; see `Point`."""

    products: int
    busy: int
    entries: int
    cycles: dict[int, int]


def grid(elements: int) -> tuple[int, int]:
    """Lanes and groups of so many elements: as few groups as there can be, as EIE has one."""
    lanes = min(elements, AcceleratorConfig.limits("lanes")[1])
    return lanes, elements // lanes


def measure(
    figures: EieLayer, seed: int, elements: int, entry_bits: int, queue_depths: Sequence[int]
) -> Point:
    """What a layer takes on an engine whose memories are as deep as they can be.

    Parameters
    ----------
    figures : EieLayer
        The layer, as `sim.eie.random_single` makes it.
    seed : int
        Of its weights and activations, 0 or more.
    elements : int
        Processing elements, in lanes and groups as `grid` says.
    entry_bits : int
        Of code and gap together.
    queue_depths : sequence of int
        Places of a queue; the keys of `Point.cycles`.

    Raises
    ------
    BadInput
        If the layer's codes do not fit into an entry, or a part of it into the memories.
    ConfigError
        If there is no such engine.
    """
    lanes, groups = grid(elements)
    layer = random_single(figures, seed)
    knobs: dict[str, Any] = {knob: AcceleratorConfig.limits(knob)[1] for knob in MEMORY_DEPTHS}
    config = AcceleratorConfig(lanes=lanes, groups=groups, entry_bits=entry_bits, **knobs)
    parts = [_measure_part(part, config, queue_depths) for part in _parts(layer, config)]
    return Point(
        layer=figures.name,
        lanes=lanes,
        groups=groups,
        parts=len(parts),
        products=sum(part.products for part in parts),
        busy=sum(part.busy for part in parts),
        weights=layer.nonzeros,
        entries=sum(part.entries for part in parts),
        eie_entries=entries_of(layer.layer.codes, elements, eie().gap_bits),
        cycles={depth: sum(part.cycles[depth] for part in parts) for depth in queue_depths},
    )


def _measure_part(part: Single, config: AcceleratorConfig, queue_depths: Sequence[int]) -> _Part:
    image = pack(part.network, config)
    outputs = golden.run(part.network, part.x)
    counts = {}
    for depth in queue_depths:
        # What the memories hold does not depend on the queues.
        queued = dataclasses.replace(config, queue_depth=depth)
        (found,) = predict(dataclasses.replace(image, config=queued), part.x).layers
        counts[depth] = found.counts
    return _Part(
        products=int(golden.products(part.network, part.x, outputs)[0]),
        busy=counts[queue_depths[0]].busy,  # the same with all queues
        entries=sum(len(items) for items in image.contents[Window.ENTRIES]),
        cycles={depth: each.cycles for depth, each in counts.items()},
    )


def _parts(layer: Single, config: AcceleratorConfig) -> list[Single]:
    """As few as the elements hold, of about as many rows each."""
    most = config.elements * config.entry_depth / _PADDED
    count = max(
        -(-layer.nonzeros // int(most)),
        -(-layer.layer.rows // (config.elements * config.accumulator_depth)),
    )
    if count == 1:
        return [layer]
    return [
        single(layer.layer.name, codes, layer.layer.codebook, layer.x[0])
        for codes in np.array_split(layer.layer.codes, count)
    ]
