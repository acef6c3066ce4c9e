"""Compressed network -> image: which row goes where, entries, pointers, segments, program.

The layout is EIE's (Han et al., ISCA 2016, section III-B): compressed sparse columns, interleaved
over the processing elements, with relative row indices.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
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
from .place import PlacedLayer, Placement, Step, place
from .program import Program, table_length

__all__ = ["Usage", "config_for", "naming", "pack", "pack_file", "usage"]

# The knob of each memory and what it holds, in the order in which `fit` shows them.
_MEMORIES = {
    "entry_depth": "entries of the fullest processing element",
    "column_depth": "column pointers of a processing element",
    "segment_depth": "segments of patches of a group",
    "accumulator_depth": "rows per lane of one instruction",
    "bias_depth": "rows per lane of all layers",
    "codebook_depth": "codebook values of all layers",
    "activation_depth": "activation words per group and vector",
    "layer_depth": "instructions",
}
# What elements, lanes or groups share: the more of them, the less each holds.
_SHARED_OUT = {"entry_depth", "column_depth", "bias_depth", "activation_depth"}


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


def config_for(network: CompressedNetwork, **knobs: Any) -> AcceleratorConfig:
    """A configuration with the given knobs and memories just large enough for the network.

    Depths are rounded up to powers of two; the numbers' widths are the network's.

    Raises
    ------
    BadInput
        If the network needs a memory beyond the limits of `AcceleratorConfig`.
    hw.config.ConfigError
        If a knob is out of its limits.
    """
    widths: dict[str, Any] = {
        "activation_bits": network.activation_bits,
        "weight_bits": network.weight_bits,
        "accumulator_bits": network.accumulator_bits,
    }
    greatest = AcceleratorConfig.limits("accumulator_depth")[1]  # so that no layer is split
    depths = dict.fromkeys(_MEMORIES, 2) | {"accumulator_depth": greatest}
    least = AcceleratorConfig(**{**depths, **widths, **knobs})
    for need in usage(network, least):
        depths[need.knob] = max(2, 1 << (need.used - 1).bit_length())
        if depths[need.knob] > AcceleratorConfig.limits(need.knob)[1]:
            raise BadInput(
                f"layer {need.layer}: {need.used} {need.holds} are needed, {_beyond(need)}"
            )
    return AcceleratorConfig(**{**depths, **widths, **knobs})


def pack(network: CompressedNetwork, config: AcceleratorConfig) -> Image:
    """Lay a compressed network out in the memories of one accelerator.

    Raises
    ------
    BadInput
        If memories are too small (naming each, the layer, what is needed, and the setting that
        fits), if numbers are wider than the accelerator's, or if an accumulator could overflow.
    """
    wrong = list(_too_wide(network, config))
    if not wrong:  # or else the sums are those of other numbers
        wrong += _refusals(lambda: prove(network, config.accumulator_bits))
    placements: list[Placement] = []
    wrong += _refusals(lambda: placements.append(place(network, config)))
    for placement in placements:
        needs = _usage(network, placement, config)
        wrong += [_shortage(need) for need in needs if not need.fits]
    if wrong:
        raise BadInput("; ".join(wrong))
    return _Packer(network, config, placements[0]).image()


def _refusals(check: Callable[[], object]) -> list[str]:
    """What a check refuses; nothing if it passes."""
    try:
        check()
    except BadInput as error:
        return [str(error)]
    return []


def pack_file(model: str | Path, network: CompressedNetwork, config: AcceleratorConfig) -> Image:
    """`pack`, for a network read from the file `model`, which every error names."""
    with naming(model):
        return pack(network, config)


@contextlib.contextmanager
def naming(model: str | Path) -> Iterator[None]:
    """Errors about the network that was read from the file `model` name it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{model}: {error}") from error


def _too_wide(network: CompressedNetwork, config: AcceleratorConfig) -> Iterator[str]:
    """Which numbers of the network are not as wide as the accelerator's."""
    if network.activation_bits != config.activation_bits:
        yield (
            f"the network was compressed for {network.activation_bits}-bit activations, the "
            f"accelerator has {config.activation_bits}-bit ones: set activation_bits in a recipe's "
            "coding"
        )
    high = (1 << (config.weight_bits - 1)) - 1
    for layer in network.layers:
        if layer.codebook.max() > high or layer.codebook.min() < -high - 1:
            yield (
                f"layer {layer.name}: codebook values reach {np.abs(layer.codebook).max()}, more "
                f"than the accelerator's {config.weight_bits}-bit weights hold ({high}): set "
                "weight_bits in a recipe's coding"
            )


def _shortage(need: Usage) -> str:
    depth = 1 << (need.used - 1).bit_length()
    possible = depth <= AcceleratorConfig.limits(need.knob)[1]
    return (
        f"layer {need.layer}: {need.used} {need.holds} are needed, {need.available} are there, "
        f"{need.used - need.available} too few; "
        + (f"{need.knob} = {depth} would do" if possible else _beyond(need))
    )


def _beyond(need: Usage) -> str:
    """Why no depth of a memory would do."""
    most = f"more than any configuration has ({AcceleratorConfig.limits(need.knob)[1]})"
    if need.knob in _SHARED_OUT:
        return f"{most}; more lanes or groups take fewer each"
    return most


def _usage(
    network: CompressedNetwork, placement: Placement, config: AcceleratorConfig
) -> list[Usage]:
    layers = placement.layers
    names = [layer.name for layer in layers]
    entries = np.array([layer.element_entries for layer in layers])
    fullest = entries.sum(axis=0).argmax()
    steps = np.array([len(layer.steps) for layer in layers])
    columns = np.array([layer.patch.columns for layer in layers]) * steps
    segments = np.array([table_length(layer) for layer in layers]) * steps
    rows = np.array([layer.rows for layer in layers])
    at_once = np.array([_accumulators(layer) for layer in layers])
    codes = np.array([len(layer.codebook) for layer in layers])
    codes_end = placement.codebook_bases[-1] + codes[-1]
    words, lives = [layout.words for layout in placement.tensors], lifetimes(network)
    alive = [
        sum(w for w, (first, last) in zip(words, lives, strict=True) if first <= step <= last)
        for step in range(1, len(words))
    ]
    needs: dict[str, tuple[Any, Any]] = {
        "entry_depth": (entries[:, fullest].sum(), entries[:, fullest]),
        "column_depth": (columns.sum(), columns),
        "segment_depth": (segments.sum(), segments),
        "accumulator_depth": (at_once.max(), at_once),
        "bias_depth": (rows.sum(), rows),
        "codebook_depth": (codes_end, codes),
        "activation_depth": (allocate(words, lives)[1], alive),
        "layer_depth": (steps.sum(), steps),
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


def _accumulators(layer: PlacedLayer) -> int:
    """Rows that a buffer must have; a pointer counts up to one less than those of both."""
    of = [(-(-s.rows // 2) if s.joined else s.rows, s.counts.max(initial=0)) for s in layer.steps]
    return max(max(rows, int(count) // 2 + 1) for rows, count in of)


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
        program = Program(self.network, self.config, self.placement, ports)
        instruction, segment = layouts.instruction(self.config), layouts.segment(self.config)
        contents = {
            Window.PROGRAM: [self._words(instruction, program.instructions())],
            Window.SEGMENTS: [
                self._words(segment, program.table(group)) for group in range(self.config.groups)
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
            steps=tuple(
                number for number, layer in enumerate(self.placement.layers) for _ in layer.steps
            ),
            vectors=vectors,
            input_low=self.network.input.low,
            input_high=self.network.input.high,
        )

    def _ports(self) -> tuple[list[Port], int]:
        """Regions of the activation memories, for as many vectors as there is room for."""
        tensors, groups = self.placement.tensors, self.config.groups
        places, most = allocate([t.words for t in tensors], lifetimes(self.network))
        vectors = min(self.config.activation_depth // most, (1 << 16) - 1)
        if not all(layout.dense for layout in tensors):
            vectors = 1  # write-back leaves nothing out between two vectors
        ports = [
            Port(place * vectors, layout.words, layout.features(groups), layout.groups is None)
            for place, layout in zip(places, tensors, strict=True)
        ]
        return ports, vectors

    def _steps(self) -> list[Step]:
        return [step for layer in self.placement.layers for step in layer.steps]

    def _entries(self) -> list[NDArray[np.int64]]:
        steps = self._steps()
        return [
            np.concatenate([step.entries[element] for step in steps])
            for element in range(self.config.elements)
        ]

    def _pointers(self) -> list[NDArray[np.int64]]:
        """A step's columns follow those of the step before; so do its entries."""
        layout = layouts.pointer(self.config)
        pointers = []
        for element in range(self.config.elements):
            counts = np.concatenate([step.counts[element] for step in self._steps()])
            starts = np.cumsum(counts) - counts
            starts[counts == 0] = 0  # an empty column at the end would point past the memory
            pointers.append((starts << layout["start"].offset) | (counts << layout["count"].offset))
        return pointers

    def _codebook(self) -> NDArray[np.int64]:
        layers, bases = self.placement.layers, self.placement.codebook_bases
        codebook = np.zeros(bases[-1] + len(layers[-1].codebook), np.int64)
        for layer, base in zip(layers, bases, strict=True):
            codebook[base : base + len(layer.codebook)] = layer.codebook
        return codebook

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
