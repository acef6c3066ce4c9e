"""Compressed network -> image: which row goes where, entries, pointers, program.

The layout is EIE's (Han et al., ISCA 2016, section III-B): compressed sparse columns, interleaved
over the processing elements, with relative row indices.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window, window_items

from .compressed import CompressedNetwork
from .errors import BadInput
from .image import Image, Port
from .numbers import prove
from .place import Placement, place

__all__ = ["Usage", "config_for", "pack", "pack_file", "usage"]

# The knob of each memory and what it holds, in the order in which `fit` shows them.
_MEMORIES = {
    "entry_depth": "entries of the fullest processing element",
    "column_depth": "column pointers of a processing element",
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
    return _usage(place(network, config), config)


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
    short = [need for need in _usage(placement, config) if not need.fits]
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


def _usage(placement: Placement, config: AcceleratorConfig) -> list[Usage]:
    layers = placement.layers
    names = [layer.name for layer in layers]
    entries = np.array([layer.element_entries for layer in layers])
    fullest = entries.sum(axis=0).argmax()
    columns = np.array([layer.in_words * config.lanes for layer in layers])
    rows = np.array([layer.rows for layer in layers])
    codes = np.array([len(layer.codebook) for layer in layers])
    words = np.array([layer.in_words + layer.rows // config.groups for layer in layers])
    needs = {
        "entry_depth": (entries[:, fullest].sum(), entries[:, fullest]),
        "column_depth": (columns.sum(), columns),
        "accumulator_depth": (rows.max(), rows),
        "bias_depth": (rows.sum(), rows),
        "codebook_depth": (codes.sum(), codes),
        "activation_depth": (words.max(), words),
        "layer_depth": (len(layers), np.ones(len(layers))),
    }
    return [
        Usage(
            knob, holds, int(needs[knob][0]), getattr(config, knob), names[needs[knob][1].argmax()]
        )
        for knob, holds in _MEMORIES.items()
    ]


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
        contents = {
            Window.PROGRAM: [self._program(ports)],
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
        """Regions of the activation memories: every second one from the top down."""
        layers, depth = self.placement.layers, self.config.activation_depth
        words = [layers[0].in_words] + [layer.rows // self.config.groups for layer in layers]
        slots = [self.placement.input_slots] + [layer.slots for layer in layers]
        most = max(a + b for a, b in itertools.pairwise(words))
        vectors = min(depth // most, (1 << 16) - 1)
        ports = [
            Port(0 if number % 2 == 0 else depth - vectors * word, word, slot)
            for number, (word, slot) in enumerate(zip(words, slots, strict=True))
        ]
        return ports, vectors

    def _program(self, ports: list[Port]) -> NDArray[np.uint32]:
        layout = layouts.instruction(self.config)
        column = bias = codebook = 0
        program = []
        for number, (layer, placed) in enumerate(
            zip(self.network.layers, self.placement.layers, strict=True)
        ):
            fields = {
                "in_base": ports[number].base,
                "in_words": placed.in_words,
                "out_base": ports[number + 1].base,
                "out_rows": placed.rows,
                "column_base": column,
                "bias_base": bias,
                "codebook_base": codebook,
                "code_bits": placed.code_bits,
                "shift": layer.shift,
                "relu": int(layer.relu),
                "last": int(number == len(ports) - 2),
            }
            program.append(sum(value << layout[name].offset for name, value in fields.items()))
            column += placed.in_words * self.config.lanes
            bias += placed.rows
            codebook += len(placed.codebook)
        parts = -(-layout.size // layouts.BUS_BITS)
        mask = (1 << layouts.BUS_BITS) - 1
        return np.array(
            [
                [(word >> (layouts.BUS_BITS * part)) & mask for part in range(parts)]
                for word in program
            ],
            np.uint32,
        )

    def _entries(self) -> list[NDArray[np.int64]]:
        layers = self.placement.layers
        return [
            np.concatenate([layer.entries[element] for layer in layers])
            for element in range(self.config.elements)
        ]

    def _pointers(self) -> list[NDArray[np.int64]]:
        """A layer's columns follow the layer's before; so do its entries."""
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

    def _parts(self, window: Window, items: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Items in two's complement of the window's width, split into bus words."""
        width = window_items(window, self.config)[2]
        parts = -(-width // layouts.BUS_BITS)
        shifts = layouts.BUS_BITS * np.arange(parts)
        masked = items & ((1 << width) - 1)
        return ((masked[:, None] >> shifts) & ((1 << layouts.BUS_BITS) - 1)).astype(np.uint32)
