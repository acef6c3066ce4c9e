"""Instructions and segments: how a placed network is walked, in the fields of `hw.layouts`."""

from __future__ import annotations

import dataclasses
from typing import Any

from hw import layouts
from hw.config import AcceleratorConfig

from .compressed import CompressedNetwork
from .image import Port
from .patches import Segment
from .place import PlacedLayer, Placement, Step
from .tensors import Layout

__all__ = ["Program", "table_length"]

Fields = dict[str, Any]


def table_length(layer: PlacedLayer) -> int:
    """Segments of a layer in every group; one at least, since the last carries the marker."""
    return max(1, *(len(segments) for segments in layer.patch.segments))


@dataclasses.dataclass(frozen=True)
class Program:
    """A placed network whose tensors lie in these ports, that of its input first."""

    network: CompressedNetwork
    config: AcceleratorConfig
    placement: Placement
    ports: list[Port]

    def instructions(self) -> list[Fields]:
        """Fields of `hw.layouts.instruction`, step after step."""
        bias = segment = 0
        program = []
        bases = self.placement.codebook_bases
        for number, (placed, base) in enumerate(zip(self.placement.layers, bases, strict=True)):
            for step in placed.steps:
                patch = self._patch(number, segment)
                segment += table_length(placed)
                program.append(
                    {
                        "patch": patch,
                        "store": self._store(number, step) | {"bias_base": bias + step.first},
                        "codebook_base": base,
                        "code_bits": placed.code_bits,
                        "last": 0,
                    }
                )
            bias += placed.rows
        program[-1]["last"] = 1
        return program

    def table(self, group: int) -> list[Fields]:
        """Fields of `hw.layouts.segment` of a group, some unused where others have more."""
        unused = dict.fromkeys((name for name, _ in layouts.segment(self.config)), 0)
        table, column = [], 0
        for number, placed in enumerate(self.placement.layers):
            own = placed.patch.segments[group]
            for _ in placed.steps:
                table += [self._segment(number, segment, column) for segment in own]
                table += [unused] * (table_length(placed) - len(own))
                column += placed.patch.columns
        return table

    def _patch(self, number: int, segment: int) -> Fields:
        """Positions in the first source; the others are as far from it at all of them."""
        placed = self.placement.layers[number]
        layout, base = self._source(number, 0)
        walk, bounds = placed.patch.walk, placed.patch.bounds
        steps = []
        for level, (y, x) in zip(layouts.WALK_LEVELS, walk.steps, strict=True):
            vector = layout.words * layout.lanes if level == "vector" else 0
            slots = y * layout.row_slots + x * layout.pixel_slots + vector
            steps.append(self._position(slots, (y, x), bounds))
        start = self._position(base + layout.slot(*walk.start), walk.start, bounds)
        height, width = bounds or (1, 1)
        return {
            "walk": {"start": start, "repeats": walk.repeats, "steps": steps},
            "segment_base": segment,
            "segment_last": segment + table_length(placed) - 1,
            "height": height,
            "width": width,
        }

    def _store(self, number: int, step: Step) -> Fields:
        layer, patch = self.network.layers[number], self.placement.layers[number].patch
        layout, geometry = self.placement.tensors[number + 1], layer.convolution
        words, groups = layout.pixel_slots // layout.lanes, self.config.groups
        window = (patch.walk.repeats[0] + 1) * (patch.walk.repeats[1] + 1)
        average = geometry is not None and geometry.average
        return {
            "base": self.ports[number + 1].base + step.first // groups,
            "rows": step.rows,
            "joined": int(step.joined),
            "gap": words - step.rows // groups,
            "window": window - 1,
            "pixels": layout.shape.pixels - 1,
            "shift": layer.shift,
            "relu": int(layer.relu),
            "across": int(patch.across),
            "average": int(average),
            "average_shift": window.bit_length() - 1 if average else 0,
        }

    def _segment(self, number: int, of: Segment, column: int) -> Fields:
        first, first_base = self._source(number, 0)
        layout, base = self._source(number, of.source)
        slots = layout.slot(of.y, of.x) - first.origin + base - first_base
        word, lane = self._slot(slots)
        words, lanes = divmod(of.length - 1, self.config.lanes)
        bounded = self.placement.layers[number].patch.bounds is not None
        return {
            "used": 1,
            "dy": of.y if bounded else 0,
            "dx": of.x if bounded else 0,
            "word": word,
            "lane": lane,
            "words": words,
            "lanes": lanes,
            "column": column + of.column,
        }

    def _source(self, number: int, place: int) -> tuple[Layout, int]:
        """Layout of a layer's source, and its first slot."""
        tensor = self.network.sources[number][place]
        return self.placement.tensors[tensor], self.ports[tensor].base * self.config.lanes

    def _position(
        self, slots: int, place: tuple[int, int], bounds: tuple[int, int] | None
    ) -> Fields:
        word, lane = self._slot(slots)
        y, x = place if bounds else (0, 0)
        coordinates = 1 << layouts.COORDINATE_BITS
        return {"word": word, "lane": lane, "y": y % coordinates, "x": x % coordinates}

    def _slot(self, slots: int) -> tuple[int, int]:
        """(word, lane), words wrapping around as the hardware's sums do."""
        word, lane = divmod(slots, self.config.lanes)
        return word % (1 << layouts.position(self.config)["word"].width), lane
