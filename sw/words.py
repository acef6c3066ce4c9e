"""Memory items and activations as the words of the bus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window, window_items

from .bus import Part
from .image import Image, Port, word_address

__all__ = [
    "activation_address",
    "activation_masks",
    "activation_stride",
    "differing_words",
    "from_words",
    "image_words",
    "port_places",
    "port_units",
    "to_words",
]


_GAP_MAX = 1  # equal words that are written: two take longer than a command's header


def image_words(image: Image, most: int = 1 << 18) -> list[Part]:
    """All that an image holds: (bus address of the first, `most` words or fewer)."""
    return [
        (word_address(window, unit, start), words[start : start + most])
        for window, units in image.contents.items()
        for unit, items in enumerate(units)
        for words in [_bus_words(items, window, image.config)]
        for start in range(0, len(words), most)
    ]


def differing_words(new: Sequence[Part], old: Sequence[Part]) -> list[Part]:
    """Of `new`, what `old` has not or has otherwise: successive words, the address of the first.

    Equal words between others are among them where leaving them out would take longer.
    """
    before = dict(old)
    parts = []
    for address, words in new:
        same = before.get(address, words[:0])[: len(words)]
        differs = np.ones(len(words), bool)
        differs[: len(same)] = words[: len(same)] != same
        places = np.flatnonzero(differs)
        ends = np.flatnonzero(np.diff(places) > _GAP_MAX + 1)
        starts = [0, *(ends + 1)] if len(places) else []
        for start, end in zip(starts, [*ends, len(places) - 1], strict=False):
            first, last = places[start], places[end]
            parts.append((address + int(first), words[first : last + 1]))
    return parts


def _bus_words(
    items: NDArray[np.uint32], window: Window, config: AcceleratorConfig
) -> NDArray[np.uint32]:
    """Items (n, parts) as the words of a window, gaps up to the stride filled with zeros."""
    step = layouts.stride(window_items(window, config)[2])
    words = np.zeros((len(items), step), np.uint32)
    words[:, : items.shape[1]] = items
    return words.ravel()


def activation_stride(config: AcceleratorConfig) -> int:
    """Bus words from one activation word to the next."""
    return layouts.stride(config.lanes * config.activation_bits)


def activation_masks(config: AcceleratorConfig) -> NDArray[np.uint32]:
    """Bits that a group's activation memory keeps of each of its bus words."""
    bits = config.lanes * config.activation_bits
    kept = np.zeros(activation_stride(config) * layouts.BUS_BITS, np.uint8)
    kept[:bits] = 1
    item = np.packbits(kept, bitorder="little").view("<u4").astype(np.uint32)
    return np.tile(item, config.activation_depth)


def port_units(port: Port, config: AcceleratorConfig) -> list[int]:
    """Units of the activations' window that hold a port: each group, or all of them as one."""
    return [layouts.ALL_UNITS] if port.copies else list(range(config.groups))


def port_places(
    port: Port, config: AcceleratorConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where the lowest bit of each activation of a vector is, (features,) each.

    Returns
    -------
    Which of `port_units`, bus word of the vector in it, bit of that word. What does not fit into
    the word goes on in the next one.
    """
    word, lane = np.divmod(port.slots, config.lanes)
    index, unit = np.divmod(word, len(port_units(port, config)))
    part, bit = np.divmod(lane * config.activation_bits, layouts.BUS_BITS)
    return unit, index * activation_stride(config) + part, bit


def activation_address(port: Port, unit: int, config: AcceleratorConfig) -> int:
    """Bus address of a port's first word in a unit."""
    return word_address(Window.ACTIVATIONS, unit, port.base * activation_stride(config))


def to_words(
    x: NDArray[np.int64], port: Port, config: AcceleratorConfig
) -> list[NDArray[np.uint32]]:
    """Vectors (n, features) as the bus words of a port, one array for each of its units."""
    units = len(port_units(port, config))
    slots = np.zeros((len(x), port.words * units * config.lanes), np.int64)
    slots[:, port.slots] = x
    values = slots.reshape(len(x), port.words, units, config.lanes)
    bits = (values[..., None] >> np.arange(config.activation_bits)) & 1
    flat = bits.reshape(*values.shape[:3], -1).astype(np.uint8)
    width = activation_stride(config) * layouts.BUS_BITS
    padded = np.zeros((*values.shape[:3], width), np.uint8)
    padded[..., : flat.shape[-1]] = flat
    words = np.packbits(padded, axis=-1, bitorder="little").view("<u4")
    return [words[:, :, unit].reshape(-1).astype(np.uint32) for unit in range(units)]


def from_words(
    groups: list[NDArray[np.uint32]], port: Port, config: AcceleratorConfig
) -> NDArray[np.int64]:
    """Vectors (n, features) from the bus words of a port in every group."""
    step, width = activation_stride(config), config.activation_bits
    words = np.stack(groups).reshape(config.groups, -1, port.words, step)
    octets = words.astype("<u4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., : config.lanes * width]
    weights = 1 << np.arange(width, dtype=np.int64)
    weights[-1] = -weights[-1]
    values = bits.reshape(*words.shape[:-1], config.lanes, width).astype(np.int64) @ weights
    # (group, vector, word, lane) -> (vector, slot)
    return values.transpose(1, 2, 0, 3).reshape(words.shape[1], -1)[:, port.slots]
