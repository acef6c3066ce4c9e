"""A walk of the packed image: what the engine does with the bits of its memories, step by step.

It knows nothing of the compressed network; it must agree with the golden model all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.regmap import Window
from sw.image import Image, Port

from .feed import Feed, Fields, Ints, feed, number_of, positions_of

__all__ = ["LayerWalk", "Step", "pointers", "steps", "walk"]


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


@dataclasses.dataclass(frozen=True)
class Step:
    """One instruction, executed.

    Attributes
    ----------
    layer : int
    instruction : fields of `hw.layouts.instruction`
    positions : int
        Of all vectors.
    feeds : what each group's feeder did
    walk : LayerWalk
        What happened in this instruction; the outputs are those of the layer so far.
    """

    layer: int
    instruction: Fields
    positions: int
    feeds: tuple[Feed, ...]
    walk: LayerWalk


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
    layers: list[LayerWalk] = []
    for step in steps(image, x):
        tokens, entries = step.walk.tokens, step.walk.entries
        if step.layer < len(layers):  # more rows of the same layer
            before = layers.pop()
            tokens, entries = tokens + before.tokens, entries + before.entries
        layers.append(LayerWalk(step.walk.outputs, tokens, entries))
    return layers


def steps(image: Image, x: NDArray[np.integer]) -> Iterator[Step]:
    """Execute the vectors of one run, `Image.vectors` at most, instruction by instruction."""
    config, port = image.config, image.input
    units = 1 if port.copies else config.groups
    slots = np.zeros((len(x), port.words * units * config.lanes), np.int64)
    slots[:, port.slots] = x
    memory = np.zeros((config.groups, config.activation_depth, config.lanes), np.int64)
    words = slots.reshape(-1, units, config.lanes).transpose(1, 0, 2)
    memory[:, port.base : port.base + len(x) * port.words] = words
    for parts, layer in zip(image.contents[Window.PROGRAM][0], image.steps, strict=True):
        instruction = layouts.decode(layouts.instruction(config), number_of(parts))
        here = positions_of(instruction["patch"]["walk"], len(x))
        feeds = [feed(image, instruction, own, here, n) for n, own in enumerate(memory)]
        count = len(here["word"])
        entries = _execute(image, instruction, feeds, memory, (count, len(x)))
        tokens = [_per_vector(own.position[own.word], count, len(x)) for own in feeds]
        outputs = _load(memory, image.layer_ports[layer], len(x))
        walked = LayerWalk(outputs, np.stack(tokens, axis=1), entries)
        yield Step(layer, instruction, count, tuple(feeds), walked)
    assert instruction["last"]


def _load(memory: Ints, port: Port, vectors: int) -> Ints:
    """What a port holds, (vectors, slots)."""
    region = memory[:, port.base : port.base + vectors * port.words]
    return region.transpose(1, 0, 2).reshape(vectors, -1).copy()


def _execute(
    image: Image,
    instruction: Fields,
    feeds: Sequence[Feed],
    memory: Ints,
    times: tuple[int, int],
) -> Ints:
    """Compute and store the outputs; returns the entries (vectors, elements) that this took.

    Parameters
    ----------
    times : positions and vectors
    """
    store, lanes = instruction["store"], image.config.lanes
    totals = np.zeros((times[0], store["rows"], lanes, image.config.groups), np.int64)
    executed = np.zeros((times[1], image.config.elements), np.int64)
    for group, fed in enumerate(feeds):
        for lane in range(lanes):
            element = group * lanes + lane
            sums, position = _walk_element(image, element, instruction, fed, times[0])
            totals[:, :, lane, group] = sums[:, : store["rows"]]
            executed[:, element] = _per_vector(position, *times)
    total = totals.max(axis=3) if store["across"] else totals.sum(axis=3)
    _store(memory, _pool(_write_back(image, store, total), store), store)
    return executed


def _per_vector(position: Ints, positions: int, vectors: int) -> Ints:
    """How many things happened in each vector, from the positions at which they did."""
    counts = np.bincount(position, minlength=positions)
    return np.asarray(counts.reshape(vectors, -1).sum(axis=1), np.int64)


def pointers(image: Image, element: int, column: Ints) -> tuple[Ints, Ints]:
    """Where the entries of columns lie in an element, and how many each has."""
    pointer = image.contents[Window.POINTERS][element][column, 0].astype(np.int64)
    start, count = (
        (pointer >> field.offset) & ((1 << field.width) - 1)
        for field in (layouts.pointer(image.config)[name] for name in ("start", "count"))
    )
    return start, count


def _walk_element(
    image: Image, element: int, instruction: Fields, fed: Feed, positions: int
) -> tuple[Ints, Ints]:
    """One element's accumulators after every position, and the position of all it executed."""
    config = image.config
    start, count = pointers(image, element, fed.column)
    ends = np.cumsum(count)
    first = ends - count  # place of each column's first entry among those executed
    place = np.arange(count.sum()) + np.repeat(start - first, count)
    entry = image.contents[Window.ENTRIES][element][place, 0].astype(np.int64)

    code = entry & ((1 << instruction["code_bits"]) - 1)
    below = np.cumsum((entry >> instruction["code_bits"]) + 1)
    top = np.concatenate(([0], below))[first]  # of each column
    row = below - np.repeat(top, count) - 1

    codebook = _signed(image.contents[Window.CODEBOOK][0], config.weight_bits)
    weight = codebook[instruction["codebook_base"] + code]
    position = np.repeat(fed.position[fed.word], count)
    sums = np.zeros((positions, 2 * config.accumulator_depth), np.int64)
    np.add.at(sums, (position, row), weight * np.repeat(fed.activation, count))
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
