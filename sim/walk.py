"""A walk of the packed image: what the engine does with the bits of its memories, step by step.

It knows nothing of the compressed network; it must agree with the golden model all the same.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window
from sw.image import Image

__all__ = ["LayerWalk", "walk"]

Ints = NDArray[np.int64]


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
    slots = np.zeros((len(x), port.words * config.groups * config.lanes), np.int64)
    slots[:, port.slots] = x
    memory = np.zeros((config.groups, config.activation_depth, config.lanes), np.int64)
    for vector, words in enumerate(slots):
        _store(memory, port.base + vector * port.words, words)
    layers = []
    for words in image.contents[Window.PROGRAM][0]:
        instruction = _fields(words, config)
        layers.append(_walk_layer(image, instruction, memory, len(x)))
        if instruction["last"]:
            break
    return layers


def _store(memory: Ints, base: int, slots: Ints) -> None:
    """Word w of a vector becomes word base + w // groups of group w % groups."""
    groups, _, lanes = memory.shape
    words = slots.reshape(-1, groups, lanes)
    memory[:, base : base + len(words)] = words.transpose(1, 0, 2)


def _fields(words: NDArray[np.uint32], config: AcceleratorConfig) -> dict[str, int]:
    """An instruction, taken apart by the layout that the hardware uses."""
    value = sum(int(word) << (layouts.BUS_BITS * part) for part, word in enumerate(words))
    return {
        name: (value >> field.offset) & ((1 << field.width) - 1)
        for name, field in layouts.instruction(config)
    }


def _walk_layer(image: Image, instruction: dict[str, int], memory: Ints, vectors: int) -> LayerWalk:
    """All vectors of a layer, one after the other, from and to the activation memories."""
    config = image.config
    lanes, groups = config.lanes, config.groups
    rows, in_words = instruction["out_rows"], instruction["in_words"]
    outputs = np.zeros((vectors, rows * lanes), np.int64)
    tokens = np.zeros((vectors, groups), np.int64)
    executed = np.zeros((vectors, config.elements), np.int64)
    for vector in range(vectors):
        base = instruction["in_base"] + vector * in_words
        columns = memory[:, base : base + in_words].reshape(groups, -1)
        totals = np.zeros((rows, lanes), np.int64)
        for element in range(config.elements):
            group, lane = divmod(element, lanes)
            sums, count = _walk_element(image, element, instruction, columns[group])
            totals[:, lane] += sums[:rows]
            executed[vector, element] = count
        tokens[vector] = np.count_nonzero(columns, axis=1)
        outputs[vector] = _write_back(image, instruction, totals).ravel()
        _store(memory, instruction["out_base"] + vector * rows // groups, outputs[vector])
    return LayerWalk(outputs=outputs, tokens=tokens, entries=executed)


def _walk_element(
    image: Image, element: int, instruction: dict[str, int], activations: Ints
) -> tuple[Ints, int]:
    """One element's accumulators after one vector, and the entries that it executed."""
    config = image.config
    column = np.flatnonzero(activations)
    pointer = image.contents[Window.POINTERS][element][instruction["column_base"] + column, 0]
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
    sums = np.zeros(config.accumulator_depth, np.int64)
    np.add.at(sums, row, weight * np.repeat(activations[column], count))
    return sums, len(entry)


def _write_back(image: Image, instruction: dict[str, int], totals: Ints) -> Ints:
    """(rows, lanes) sums -> activations."""
    config = image.config
    base, rows = instruction["bias_base"], instruction["out_rows"]
    bias = np.stack(
        [
            _signed(lane[base : base + rows], config.accumulator_bits)
            for lane in image.contents[Window.BIAS]
        ],
        axis=1,
    )
    high = (1 << (config.activation_bits - 1)) - 1
    low = 0 if instruction["relu"] else -high - 1
    outputs: Ints = np.clip((totals + bias) >> instruction["shift"], low, high)
    return outputs


def _signed(items: NDArray[np.uint32], width: int) -> Ints:
    """Memory items of one or two parts as two's complement numbers."""
    parts = items.astype(np.int64)
    value = sum(parts[:, part] << (layouts.BUS_BITS * part) for part in range(parts.shape[1]))
    sign = 1 << (width - 1)
    return np.asarray((value ^ sign) - sign, np.int64)
