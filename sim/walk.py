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


def walk(image: Image, x: NDArray[np.integer]) -> list[LayerWalk]:
    """Execute an image on integer inputs (vectors, inputs); one `LayerWalk` a layer."""
    config = image.config
    instructions = [_fields(words, config) for words in image.contents[Window.PROGRAM][0]]
    slots = np.zeros((len(x), image.input.words * config.groups * config.lanes), np.int64)
    slots[:, image.input.slots] = x
    layers = []
    for instruction in instructions:
        layer = _walk_layer(image, instruction, slots)
        layers.append(layer)
        slots = layer.outputs
        if instruction["last"]:
            break
    return layers


def _fields(words: NDArray[np.uint32], config: AcceleratorConfig) -> dict[str, int]:
    """An instruction, taken apart by the layout that the hardware uses."""
    value = sum(int(word) << (layouts.BUS_BITS * part) for part, word in enumerate(words))
    return {
        name: (value >> field.offset) & ((1 << field.width) - 1)
        for name, field in layouts.instruction(config)
    }


def _walk_layer(image: Image, instruction: dict[str, int], slots: Ints) -> LayerWalk:
    config = image.config
    lanes, groups = config.lanes, config.groups
    rows = instruction["out_rows"]
    # Word w of a vector is word w // groups of group w % groups: (vector, group, local column).
    words = slots.reshape(len(slots), instruction["in_words"], groups, lanes)
    columns = words.transpose(0, 2, 1, 3).reshape(len(slots), groups, -1)

    totals = np.zeros((len(slots), rows, lanes), np.int64)
    executed = np.zeros((len(slots), config.elements), np.int64)
    for vector in range(len(slots)):
        for element in range(config.elements):
            group, lane = divmod(element, lanes)
            sums, count = _walk_element(image, element, instruction, columns[vector, group])
            totals[vector, :, lane] += sums[:rows]
            executed[vector, element] = count
    return LayerWalk(
        outputs=_write_back(image, instruction, totals).reshape(len(slots), -1),
        tokens=np.count_nonzero(columns, axis=2),
        entries=executed,
    )


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
    """(vectors, rows, lanes) sums -> activations."""
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
