"""Compressed network -> image: which row goes where, entries, pointers, segments, program.

The layout is EIE's (Han et al., ISCA 2016, section III-B): compressed sparse columns, interleaved
over the processing elements, with relative row indices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window, window_items

from .allocate import allocate, lifetimes
from .compressed import CompressedNetwork
from .errors import BadInput
from .image import Image, Port
from .numbers import prove
from .patches import Segment
from .place import PlacedLayer, Placement, place
from .tensors import Layout

__all__ = ["Usage", "config_for", "pack", "pack_file", "usage"]

# The knob of each memory and what it holds, in the order in which `fit` shows them.
_MEMORIES = {
    "entry_depth": "entries of the fullest processing element",
    "column_depth": "column pointers of a processing element",
    "segment_depth": "segments of patches of a group",
    "accumulator_depth": "rows per lane of one layer",
    "bias_depth": "rows per lane of all layers",
    "codebook_depth": "codebook values of all layers",
    "activation_depth": "activation words per group, for one vector",
    "layer_depth": "instructions",
}


@dataclasses.dataclass(frozen=True)
class Usage:
    """How much of one memory a network needs.

    Attributes
    ----------
    knob : str
        The knob of `AcceleratorConfig` that sizes the memory.
    holds : str
        What is counted, in words.
    used, available : int
    layer : str
        Layer that needs it, or that needs the most of it.
    """

    knob: str
    holds: str
    used: int
    available: int
    layer: str

    @property
    def fits(self) -> bool:
        return self.used <= self.available


def usage(network: CompressedNetwork, config: AcceleratorConfig) -> list[Usage]:
    """What every memory of `config` must hold for the network, whether it fits or not."""
    return _usage(network, place(network, config), config)


def config_for(network: CompressedNetwork, **knobs: int) -> AcceleratorConfig:
    """A configuration with the given knobs and memories just large enough for the network.

    Depths are rounded up to powers of two; the numbers' widths are the network's.

    Raises
    ------
    BadInput
        If the network needs a memory beyond the limits of `AcceleratorConfig`.
    hw.config.ConfigError
        If a knob is out of its limits.
    """
    widths = {
        "activation_bits": network.activation_bits,
        "weight_bits": network.weight_bits,
        "accumulator_bits": network.accumulator_bits,
    }
    least = AcceleratorConfig(**{**dict.fromkeys(_MEMORIES, 2), **widths, **knobs})
    depths = {}
    for need in usage(network, least):
        depths[need.knob] = max(2, 1 << (need.used - 1).bit_length())
        if depths[need.knob] > AcceleratorConfig.limits(need.knob)[1]:
            raise BadInput(
                f"layer {need.layer}: {need.used} {need.holds} are needed, more than any "
                f"configuration has ({AcceleratorConfig.limits(need.knob)[1]}); use more lanes"
            )
    return AcceleratorConfig(**{**depths, **widths, **knobs})


def pack(network: CompressedNetwork, config: AcceleratorConfig) -> Image:
    """Lay a compressed network out in the memories of one accelerator.

    Raises
    ------
    BadInput
        If a memory is too small (naming it, the layer, what is needed, and the setting that
        fits), if numbers are wider than the accelerator's, or if an accumulator could overflow.
    """
    _check_widths(network, config)
    prove(network, config.accumulator_bits)
    placement = place(network, config)
    short = [need for need in _usage(network, placement, config) if not need.fits]
    if short:
        raise BadInput("; ".join(_shortage(need) for need in short))
    return _Packer(network, config, placement).image()


def pack_file(model: str | Path, network: CompressedNetwork, config: AcceleratorConfig) -> Image:
    """`pack`, for a network read from the file `model`, which every error names."""
    try:
        return pack(network, config)
    except BadInput as error:
        raise BadInput(f"{model}: {error}") from error


def _check_widths(network: CompressedNetwork, config: AcceleratorConfig) -> None:
    if network.activation_bits != config.activation_bits:
        raise BadInput(
            f"the network was compressed for {network.activation_bits}-bit activations, the "
            f"accelerator has {config.activation_bits}-bit ones"
        )
    high = (1 << (config.weight_bits - 1)) - 1
    for layer in network.layers:
        if layer.codebook.max() > high or layer.codebook.min() < -high - 1:
            raise BadInput(
                f"layer {layer.name}: codebook values reach {np.abs(layer.codebook).max()}, more "
                f"than the accelerator's {config.weight_bits}-bit weights hold ({high})"
            )


def _shortage(need: Usage) -> str:
    depth = 1 << (need.used - 1).bit_length()
    possible = depth <= AcceleratorConfig.limits(need.knob)[1]
    return (
        f"layer {need.layer}: {need.used} {need.holds} are needed, {need.available} are there, "
        f"{need.used - need.available} too few; "
        + (f"{need.knob} = {depth} would do" if possible else "an engine with more lanes would do")
    )


def _usage(
    network: CompressedNetwork, placement: Placement, config: AcceleratorConfig
) -> list[Usage]:
    layers = placement.layers
    names = [layer.name for layer in layers]
    entries = np.array([layer.element_entries for layer in layers])
    fullest = entries.sum(axis=0).argmax()
    columns = np.array([layer.patch.columns for layer in layers])
    rows = np.array([layer.rows for layer in layers])
    codes = np.array([len(layer.codebook) for layer in layers])
    words = [layout.words for layout in placement.tensors]
    touched = [
        words[number + 1] + sum(words[tensor] for tensor in tensors)
        for number, tensors in enumerate(network.sources)
    ]
    needs: dict[str, tuple[Any, Any]] = {
        "entry_depth": (entries[:, fullest].sum(), entries[:, fullest]),
        "column_depth": (columns.sum(), columns),
        "segment_depth": (sum(segments := [_table_length(layer) for layer in layers]), segments),
        "accumulator_depth": (rows.max(), rows),
        "bias_depth": (rows.sum(), rows),
        "codebook_depth": (codes.sum(), codes),
        "activation_depth": (allocate(words, lifetimes(network))[1], touched),
        "layer_depth": (len(layers), np.ones(len(layers))),
    }
    return [
        Usage(
            knob,
            holds,
            int(needs[knob][0]),
            getattr(config, knob),
            names[int(np.argmax(needs[knob][1]))],
        )
        for knob, holds in _MEMORIES.items()
    ]


def _table_length(layer: PlacedLayer) -> int:
    """Segments of a layer in every group; one at least, since the last carries the marker."""
    return max(1, *(len(segments) for segments in layer.patch.segments))


class _Packer:
    """Bits of a placed network; `image` is the result."""

    def __init__(
        self, network: CompressedNetwork, config: AcceleratorConfig, placement: Placement
    ) -> None:
        self.network = network
        self.config = config
        self.placement = placement

    def image(self) -> Image:
        ports, vectors = self._ports()
        columns = np.cumsum([0, *(layer.patch.columns for layer in self.placement.layers)])
        contents = {
            Window.PROGRAM: [self._words(layouts.instruction(self.config), self._program(ports))],
            Window.SEGMENTS: [
                self._words(layouts.segment(self.config), self._table(ports, columns, group))
                for group in range(self.config.groups)
            ],
            Window.ENTRIES: [self._parts(Window.ENTRIES, e) for e in self._entries()],
            Window.POINTERS: [self._parts(Window.POINTERS, p) for p in self._pointers()],
            Window.CODEBOOK: [self._parts(Window.CODEBOOK, self._codebook())],
            Window.BIAS: [self._parts(Window.BIAS, b) for b in self._biases()],
        }
        return Image(
            config=self.config,
            contents={window: tuple(units) for window, units in contents.items()},
            input=ports[0],
            layer_ports=tuple(ports[1:]),
            vectors=vectors,
            input_low=self.network.input.low,
            input_high=self.network.input.high,
        )

    def _ports(self) -> tuple[list[Port], int]:
        """Regions of the activation memories, for as many vectors as there is room for."""
        tensors, groups = self.placement.tensors, self.config.groups
        places, most = allocate([t.words for t in tensors], lifetimes(self.network))
        vectors = min(self.config.activation_depth // most, (1 << 16) - 1)
        if any(t.groups is not None and t.words * t.lanes != _pixel_slots(t) for t in tensors):
            vectors = 1  # what write-back leaves out behind a vector is no multiple of a pixel
        ports = [
            Port(place * vectors, layout.words, layout.features(groups), layout.groups is None)
            for place, layout in zip(places, tensors, strict=True)
        ]
        return ports, vectors

    def _program(self, ports: list[Port]) -> list[dict[str, Any]]:
        bias = codebook = segment = 0
        program = []
        layers = list(zip(self.network.layers, self.placement.layers, strict=True))
        for number, (layer, placed) in enumerate(layers):
            length = _table_length(placed)
            height, width = placed.patch.bounds or (1, 1)
            program.append(
                {
                    "patch": {
                        "walk": self._walk(number, ports),
                        "segment_base": segment,
                        "segment_last": segment + length - 1,
                        "height": height,
                        "width": width,
                    },
                    "store": {**self._store(number, ports), "bias_base": bias},
                    "codebook_base": codebook,
                    "code_bits": placed.code_bits,
                    "last": int(number == len(layers) - 1),
                }
            )
            segment += length
            bias += placed.rows
            codebook += len(placed.codebook)
        return program

    def _source(self, number: int, ports: list[Port], place: int = 0) -> tuple[Layout, int]:
        """Layout of a layer's source, and its first slot."""
        tensor = self.network.sources[number][place]
        return self.placement.tensors[tensor], ports[tensor].base * self.config.lanes

    def _walk(self, number: int, ports: list[Port]) -> dict[str, Any]:
        """Positions in the first source; the others are as far from it at all of them."""
        patch = self.placement.layers[number].patch
        layout, base = self._source(number, ports)
        walk = patch.walk
        start = self._position(base + layout.slot(*walk.start), walk.start, patch.bounds)
        steps = []
        for level, (y, x) in zip(layouts.WALK_LEVELS, walk.steps, strict=True):
            slots = y * layout.row_slots + x * layout.pixel_slots
            if level == "vector":
                slots += layout.words * layout.lanes
            steps.append(self._position(slots, (y, x), patch.bounds))
        return {"start": start, "repeats": walk.repeats, "steps": steps}

    def _position(
        self, slots: int, place: tuple[int, int], bounds: tuple[int, int] | None
    ) -> dict[str, int]:
        word, lane = self._slot(slots)
        y, x = place if bounds else (0, 0)
        coordinates = 1 << layouts.COORDINATE_BITS
        return {"word": word, "lane": lane, "y": y % coordinates, "x": x % coordinates}

    def _slot(self, slots: int) -> tuple[int, int]:
        """(word, lane), words wrapping around as the hardware's sums do."""
        word, lane = divmod(slots, self.config.lanes)
        return word % (1 << layouts.position(self.config)["word"].width), lane

    def _store(self, number: int, ports: list[Port]) -> dict[str, int]:
        layer, placed = self.network.layers[number], self.placement.layers[number]
        layout, geometry = self.placement.tensors[number + 1], layer.convolution
        across, down, *_ = placed.patch.walk.repeats
        average = geometry is not None and geometry.average
        return {
            "base": ports[number + 1].base,
            "rows": placed.rows,
            "gap": layout.pixel_slots // layout.lanes - placed.rows // self.config.groups,
            "window": (across + 1) * (down + 1) - 1,
            "pixels": layout.shape.pixels - 1,
            "shift": layer.shift,
            "relu": int(layer.relu),
            "across": int(placed.patch.across),
            "average": int(average),
            "average_shift": (geometry.pool**2).bit_length() - 1 if geometry and average else 0,
        }

    def _table(
        self, ports: list[Port], columns: NDArray[np.int64], group: int
    ) -> list[dict[str, Any]]:
        """Segments of all layers in one group; those that have fewer than others are filled up."""
        layout = layouts.segment(self.config)
        unused = {name: 0 for name, _ in layout}
        table = []
        for number, placed in enumerate(self.placement.layers):
            own = [
                self._segment(number, segment, ports, int(columns[number]))
                for segment in placed.patch.segments[group]
            ]
            table += own + [unused] * (_table_length(placed) - len(own))
        return table

    def _segment(self, number: int, of: Segment, ports: list[Port], column: int) -> dict[str, int]:
        first, first_base = self._source(number, ports)
        layout, base = self._source(number, ports, of.source)
        word, lane = self._slot(layout.slot(of.y, of.x) - first.origin + base - first_base)
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

    def _entries(self) -> list[NDArray[np.int64]]:
        layers = self.placement.layers
        return [
            np.concatenate([layer.entries[element] for layer in layers])
            for element in range(self.config.elements)
        ]

    def _pointers(self) -> list[NDArray[np.int64]]:
        """A layer's columns follow those of the layer before; so do its entries."""
        layout = layouts.pointer(self.config)
        pointers = []
        for element in range(self.config.elements):
            counts = np.concatenate([layer.counts[element] for layer in self.placement.layers])
            starts = np.cumsum(counts) - counts
            starts[counts == 0] = 0  # an empty column at the end would point past the memory
            pointers.append((starts << layout["start"].offset) | (counts << layout["count"].offset))
        return pointers

    def _codebook(self) -> NDArray[np.int64]:
        return np.concatenate([layer.codebook for layer in self.placement.layers])

    def _biases(self) -> NDArray[np.int64]:
        """(lanes, rows of all layers): biases with the rounding half of the shift."""
        lanes = self.config.lanes
        biases = []
        for layer, placed in zip(self.network.layers, self.placement.layers, strict=True):
            bias = np.zeros(placed.rows * lanes, np.int64)
            bias[placed.slots] = layer.bias + ((1 << layer.shift) >> 1)
            biases.append(bias.reshape(placed.rows, lanes).T)
        return np.concatenate(biases, axis=1)

    def _words(self, layout: Any, items: Sequence[dict[str, Any]]) -> NDArray[np.uint32]:
        """Items of nested fields, split into bus words."""
        parts = -(-layout.size // layouts.BUS_BITS)
        octets = b"".join(
            layouts.encode(layout, item).to_bytes(4 * parts, "little") for item in items
        )
        return np.frombuffer(octets, "<u4").reshape(len(items), parts).astype(np.uint32)

    def _parts(self, window: Window, items: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Items in two's complement of the window's width, split into bus words."""
        width = window_items(window, self.config)[2]
        parts = -(-width // layouts.BUS_BITS)
        shifts = layouts.BUS_BITS * np.arange(parts)
        masked = items & ((1 << width) - 1)
        return ((masked[:, None] >> shifts) & ((1 << layouts.BUS_BITS) - 1)).astype(np.uint32)


def _pixel_slots(layout: Layout) -> int:
    """Slots of all pixels of a tensor."""
    return layout.shape.pixels * layout.pixel_slots
