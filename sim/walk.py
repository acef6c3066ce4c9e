"""A walk of the packed image: what the engine does with the bits of its memories, step by step.

It knows nothing of the compressed network; it must agree with the golden model all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.regmap import Window
from sw.image import Image, Port

__all__ = ["LayerWalk", "walk"]

Ints = NDArray[np.int64]
Fields = dict[Any, Any]


@dataclasses.dataclass(frozen=True)
class LayerWalk:
    """What happened in one layer.

    Attributes
    ----------
    outputs : (vectors, rows * lanes) int64
        Activation words as stored, flattened: one value per slot.
    tokens : (vectors, groups) int64
        Non-zero activations that each group's feeder sent.
    entries : (vectors, elements) int64
        Entries that each processing element executed, padding included.
    """

    outputs: Ints
    tokens: Ints
    entries: Ints


_PARTS = [field.name for field in dataclasses.fields(LayerWalk)]


def walk(image: Image, x: NDArray[np.integer]) -> list[LayerWalk]:
    """Execute an image on integer inputs (vectors, inputs); one `LayerWalk` a layer."""
    chunks = [
        _walk_chunk(image, x[at : at + image.vectors]) for at in range(0, len(x), image.vectors)
    ]
    return [
        LayerWalk(*(np.concatenate([getattr(walk, name) for walk in layer]) for name in _PARTS))
        for layer in zip(*chunks, strict=True)
    ]


def _walk_chunk(image: Image, x: NDArray[np.integer]) -> list[LayerWalk]:
    """The vectors of one run, which share the activation memories."""
    config, port = image.config, image.input
    units = 1 if port.copies else config.groups
    slots = np.zeros((len(x), port.words * units * config.lanes), np.int64)
    slots[:, port.slots] = x
    memory = np.zeros((config.groups, config.activation_depth, config.lanes), np.int64)
    words = slots.reshape(-1, units, config.lanes).transpose(1, 0, 2)
    memory[:, port.base : port.base + len(x) * port.words] = words
    layers: list[LayerWalk] = []
    for parts, number in zip(image.contents[Window.PROGRAM][0], image.steps, strict=True):
        instruction = layouts.decode(layouts.instruction(config), _number(parts))
        tokens, entries = _walk_step(image, instruction, memory, len(x))
        if number < len(layers):  # more rows of the same layer
            before = layers.pop()
            tokens, entries = tokens + before.tokens, entries + before.entries
        outputs = _load(memory, image.layer_ports[number], len(x))
        layers.append(LayerWalk(outputs, tokens, entries))
    assert instruction["last"]
    return layers


def _load(memory: Ints, port: Port, vectors: int) -> Ints:
    """What a port holds, (vectors, slots)."""
    region = memory[:, port.base : port.base + vectors * port.words]
    return region.transpose(1, 0, 2).reshape(vectors, -1).copy()


def _number(parts: NDArray[np.uint32]) -> int:
    """An item of several bus words."""
    return sum(int(part) << (layouts.BUS_BITS * place) for place, part in enumerate(parts))


def _walk_step(image: Image, instruction: Fields, memory: Ints, vectors: int) -> tuple[Ints, Ints]:
    """Tokens and entries of an instruction, executed from and to the activation memories."""
    config, store = image.config, instruction["store"]
    lanes, groups = config.lanes, config.groups
    positions = list(_positions(instruction["patch"]["walk"], vectors))
    totals = np.zeros((len(positions), store["rows"], lanes, groups), np.int64)
    tokens = np.zeros((vectors, groups), np.int64)
    executed = np.zeros((vectors, config.elements), np.int64)
    for group in range(groups):
        found = _tokens(image, instruction, memory[group], positions, group)
        tokens[:, group] = _per_vector(found.position, len(positions), vectors)
        for lane in range(lanes):
            element = group * lanes + lane
            sums, position = _walk_element(image, element, instruction, found, len(positions))
            totals[:, :, lane, group] = sums[:, : store["rows"]]
            executed[:, element] = _per_vector(position, len(positions), vectors)
    total = totals.max(axis=3) if store["across"] else totals.sum(axis=3)
    pixels = _pool(_write_back(image, store, total), store)
    _store(memory, pixels, store)
    return tokens, executed


def _per_vector(position: Ints, positions: int, vectors: int) -> Ints:
    """How many things happened in each vector, from the positions at which they did."""
    counts = np.bincount(position, minlength=positions)
    return np.asarray(counts.reshape(vectors, -1).sum(axis=1), np.int64)


def _positions(walk: Fields, vectors: int) -> Iterator[Fields]:
    """Where each patch begins, in order."""
    times = [walk["repeats"][level] + 1 for level in range(4)] + [vectors]
    counts = [0] * len(times)
    here = dict(walk["start"])
    while True:
        yield dict(here)
        level = next((n for n, time in enumerate(times) if counts[n] + 1 < time), None)
        if level is None:
            return
        counts = [0] * level + [counts[level] + 1, *counts[level + 1 :]]
        for field, step in walk["steps"][level].items():
            here[field] += step


@dataclasses.dataclass(frozen=True)
class _Tokens:
    """Non-zero activations that a group's feeder sends: at which position, their column, value."""

    position: Ints
    column: Ints
    activation: Ints


def _tokens(
    image: Image, instruction: Fields, memory: Ints, positions: list[Fields], group: int
) -> _Tokens:
    config, patch = image.config, instruction["patch"]
    table = image.contents[Window.SEGMENTS][group]
    layout = layouts.segment(config)
    segments = [
        layouts.decode(layout, _number(parts))
        for parts in table[patch["segment_base"] : patch["segment_last"] + 1]
    ]
    flat = memory.reshape(-1)
    words = 1 << layouts.position(config)["word"].width
    coordinates = 1 << layouts.COORDINATE_BITS
    found: list[tuple[Ints, Ints, Ints]] = [(np.zeros(0, np.int64),) * 3]
    for number, here in enumerate(positions):
        for segment in segments:
            y, x = (here["y"] + segment["dy"]), (here["x"] + segment["dx"])
            inside = y % coordinates < patch["height"] and x % coordinates < patch["width"]
            if not segment["used"] or not inside:
                continue
            slot = (here["word"] + segment["word"]) * config.lanes + here["lane"] + segment["lane"]
            length = segment["words"] * config.lanes + segment["lanes"] + 1
            slots = (slot + np.arange(length)) % (words * config.lanes)
            (active,) = np.nonzero(flat[slots])
            column = segment["column"] + active
            found.append((np.full(len(active), number), column, flat[slots[active]]))
    return _Tokens(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _walk_element(
    image: Image, element: int, instruction: Fields, tokens: _Tokens, positions: int
) -> tuple[Ints, Ints]:
    """One element's accumulators after every position, and the position of all it executed."""
    config = image.config
    pointer = image.contents[Window.POINTERS][element][tokens.column, 0]
    start, count = (
        (pointer.astype(np.int64) >> field.offset) & ((1 << field.width) - 1)
        for field in (layouts.pointer(config)[name] for name in ("start", "count"))
    )
    ends = np.cumsum(count)
    first = ends - count  # place of each column's first entry among those executed
    place = np.arange(count.sum()) + np.repeat(start - first, count)
    entry = image.contents[Window.ENTRIES][element][place, 0].astype(np.int64)

    code = entry & ((1 << instruction["code_bits"]) - 1)
    steps = np.cumsum((entry >> instruction["code_bits"]) + 1)
    before = np.concatenate(([0], steps))[first]  # steps made in the columns before
    row = steps - np.repeat(before, count) - 1

    codebook = _signed(image.contents[Window.CODEBOOK][0], config.weight_bits)
    weight = codebook[instruction["codebook_base"] + code]
    position = np.repeat(tokens.position, count)
    sums = np.zeros((positions, config.accumulator_depth), np.int64)
    np.add.at(sums, (position, row), weight * np.repeat(tokens.activation, count))
    return sums, position


def _write_back(image: Image, store: Fields, totals: Ints) -> Ints:
    """Totals (positions, rows, lanes) -> activations."""
    config = image.config
    base, rows = store["bias_base"], store["rows"]
    bias = np.stack(
        [
            _signed(lane[base : base + rows], config.accumulator_bits)
            for lane in image.contents[Window.BIAS]
        ],
        axis=1,
    )
    high = (1 << (config.activation_bits - 1)) - 1
    low = 0 if store["relu"] else -high - 1
    outputs: Ints = np.clip((totals + bias) >> store["shift"], low, high)
    return outputs


def _pool(outputs: Ints, store: Fields) -> Ints:
    """Outputs (positions, rows, lanes) -> pixels (n, rows, lanes)."""
    windows = outputs.reshape(-1, store["window"] + 1, *outputs.shape[1:])
    if not store["average"]:
        return np.asarray(windows.max(axis=1), np.int64)
    half = (1 << store["average_shift"]) >> 1
    return np.asarray((windows.sum(axis=1) + half) >> store["average_shift"], np.int64)


def _store(memory: Ints, pixels: Ints, store: Fields) -> None:
    """Row r of a pixel goes to word r // groups of group r % groups."""
    groups, _, lanes = memory.shape
    words = store["rows"] // groups
    pitch = words + store["gap"]
    split = pixels.reshape(len(pixels), words, groups, lanes).transpose(2, 0, 1, 3)
    for word in range(words):
        first = store["base"] + word
        memory[:, first : first + (len(pixels) - 1) * pitch + 1 : pitch] = split[:, :, word]


def _signed(items: NDArray[np.uint32], width: int) -> Ints:
    """Memory items of one or two parts as two's complement numbers."""
    parts = items.astype(np.int64)
    value = sum(parts[:, part] << (layouts.BUS_BITS * part) for part in range(parts.shape[1]))
    sign = 1 << (width - 1)
    return np.asarray((value ^ sign) - sign, np.int64)
