"""Layers of EIE's benchmark over the number of processing elements and the depth of the queues.

All by the cycle model, which equals the RTL exactly (`tests/sim/test_cycles.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hw.config import AcceleratorConfig
from hw.regmap import Window
from sw.pack import pack
from sw.published import EieLayer, eie

from . import golden
from .cycles import predict
from .eie import Single, entries_of, random_single, single
from .groups import QUEUE_RESERVE

__all__ = ["ELEMENTS", "QUEUE_RESERVE", "Point", "grid", "measure"]

ELEMENTS = (1, 4, 16, 64, 256)

_MEMORIES = ("entry", "column", "segment", "activation", "accumulator", "codebook", "bias", "layer")
_DEPTHS = tuple(f"{memory}_depth" for memory in _MEMORIES)
_SPARE = 1.05  # of the entries of the fullest element, over the mean


@dataclasses.dataclass(frozen=True)
class Point:
    """What a layer takes on an engine.

    Attributes
    ----------
    parts : int
        In which the layer is computed, one after the other, each with some of the rows: more than
        one where a processing element cannot hold its share.
    products : int
        Of a weight and an activation, neither zero.
    busy : int
        Entries executed, padding included.
    weights, entries : int
        That are stored, without and with padding.
    cycles : of each queue depth
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


def grid(elements: int) -> tuple[int, int]:
    """Lanes and groups of so many elements: as few groups as there can be, as EIE has one."""
    lanes = min(elements, AcceleratorConfig.limits("lanes")[1])
    return lanes, elements // lanes


def measure(
    figures: EieLayer, seed: int, elements: int, entry_bits: int, queue_depths: Sequence[int]
) -> Point:
    """The layer `sim.eie.random_single` makes, on an engine of memories as deep as they can be."""
    lanes, groups = grid(elements)
    layer = random_single(figures, seed)
    knobs: dict[str, Any] = {knob: AcceleratorConfig.limits(knob)[1] for knob in _DEPTHS}
    config = AcceleratorConfig(lanes=lanes, groups=groups, entry_bits=entry_bits, **knobs)
    parts = _parts(layer, config)
    cycles = dict.fromkeys(queue_depths, 0)
    products = busy = entries = 0
    for part in parts:
        image = pack(part.network, config)
        outputs = golden.run(part.network, part.x)
        products += int(golden.products(part.network, part.x, outputs)[0])
        entries += sum(len(items) for items in image.contents[Window.ENTRIES])
        for depth in queue_depths:
            # What the memories hold does not depend on the queues.
            queued = dataclasses.replace(config, queue_depth=depth)
            (found,) = predict(dataclasses.replace(image, config=queued), part.x).layers
            cycles[depth] += found.counts.cycles
        busy += found.counts.busy
    published = eie()
    return Point(
        layer=figures.name,
        lanes=lanes,
        groups=groups,
        parts=len(parts),
        products=products,
        busy=busy,
        weights=layer.nonzeros,
        entries=entries,
        eie_entries=entries_of(layer.layer.codes, elements, published.gap_bits),
        cycles=cycles,
    )


def _parts(layer: Single, config: AcceleratorConfig) -> list[Single]:
    """As few as the elements hold, of about as many rows each."""
    most = config.elements * config.entry_depth / _SPARE
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
