"""What write-back must store: a reference, and random accumulators to try it with."""

from __future__ import annotations

import dataclasses
import random

from hw import layouts
from sim.bench.blocks import bits_of, configuration

CONFIG = configuration()
LANES, GROUPS = CONFIG.lanes, CONFIG.groups
STORE = layouts.store(CONFIG)
WORDS = 1 << STORE["base"].width
HIGH = (1 << CONFIG.activation_bits - 1) - 1
END = 1 << CONFIG.accumulator_bits - 1

Position = list[list[list[int]]]  # totals by row, lane, group
Stored = tuple[int, int, list[int]]  # write_enable, write_index, activations


@dataclasses.dataclass(frozen=True)
class Layer:
    """What write-back needs of an instruction."""

    rows: int
    base: int = 0
    joined: int = 0
    gap: int = 0
    window: int = 0
    pixels: int = 0
    bias_base: int = 0
    shift: int = 0
    relu: int = 0
    across: int = 0
    average: int = 0
    average_shift: int = 0

    @property
    def bits(self) -> int:
        return bits_of(STORE, **dataclasses.asdict(self))

    @property
    def positions(self) -> int:
        """Of a vector."""
        return (self.window + 1) * (self.pixels + 1)

    @property
    def pixel_words(self) -> int:
        """From the first word of a pixel to that of the next, in every group."""
        return self.rows // GROUPS + self.gap


def outputs(layer: Layer, biases: list[list[int]], position: Position) -> list[list[int]]:
    """The words that a position becomes: ``clamp(relu((total + bias) >> shift))``, row by row."""
    words = []
    low = 0 if layer.relu else -HIGH - 1
    for row, lanes in enumerate(position):
        totals = [max(groups) if layer.across else sum(groups) for groups in lanes]
        sums = [total + biases[n][layer.bias_base + row] for n, total in enumerate(totals)]
        words.append([max(low, min(HIGH, value >> layer.shift)) for value in sums])
    return words


def reduced(layer: Layer, values: tuple[int, ...]) -> int:
    """The outputs of a window as one."""
    half = (1 << layer.average_shift) >> 1
    return (sum(values) + half) >> layer.average_shift if layer.average else max(values)


def reference(layer: Layer, biases: list[list[int]], positions: list[Position]) -> list[Stored]:
    """Every word of all vectors, pixel after pixel, row after row, round robin over the groups."""
    stored = []
    size = layer.window + 1
    for pixel in range(len(positions) // size):
        window = [outputs(layer, biases, p) for p in positions[pixel * size : (pixel + 1) * size]]
        for row, words in enumerate(zip(*window, strict=True)):
            word = [reduced(layer, values) for values in zip(*words, strict=True)]
            index = layer.base + pixel * layer.pixel_words + row // GROUPS
            stored.append((1 << row % GROUPS, index % WORDS, word))
    return stored


def split(numbers: random.Random, total: int) -> list[int]:
    """Totals of the groups that sum up to `total`, all of them accumulators."""
    parts = []
    for group in range(GROUPS - 1):
        left = GROUPS - 1 - group
        low, high = max(-END, total - left * (END - 1)), min(END - 1, total + left * END)
        parts.append(numbers.randint(max(low, -END // 2), min(high, END // 2)))
        total -= parts[-1]
    return [*parts, total]


def below(numbers: random.Random, total: int) -> list[int]:
    """Totals of the groups the greatest of which is `total`."""
    parts = [numbers.choice((-END, total, numbers.randint(-END, total))) for _ in range(GROUPS)]
    parts[numbers.randrange(GROUPS)] = total
    return parts


def random_position(numbers: random.Random, layer: Layer, biases: list[list[int]]) -> Position:
    """Totals whose outputs lie around the edges of an activation, of zero, and anywhere."""
    position: Position = []
    for row in range(layer.rows):
        lanes = []
        for lane in range(LANES):
            output = numbers.choice((HIGH, HIGH + 1, -HIGH - 1, -HIGH - 2, 0, -1, 1, 1000))
            fraction = numbers.choice((0, (1 << layer.shift) - 1, (1 << layer.shift) >> 1))
            bias = biases[lane][layer.bias_base + row]
            total = (output << layer.shift) + fraction - bias
            if numbers.random() < 0.1 or not -END <= total < END or not in_range(total + bias):
                total = numbers.randint(max(-END, -END - bias), min(END - 1, END - 1 - bias))
            lanes.append((below if layer.across else split)(numbers, total))
        position.append(lanes)
    return position


def random_positions(
    numbers: random.Random, layer: Layer, biases: list[list[int]], vectors: int = 1
) -> list[Position]:
    return [random_position(numbers, layer, biases) for _ in range(vectors * layer.positions)]


def in_range(value: int) -> bool:
    return -END <= value < END
