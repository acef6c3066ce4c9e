"""Single layers, as EIE's benchmark has them: a network of one layer, and one vector for it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig
from hw.layouts import SHIFT_MAX
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.numbers import bound_layer, bound_sums, signed_bits
from sw.published import EieLayer, eie

__all__ = [
    "Single",
    "engine_for_all",
    "entries_of",
    "geometric_mean",
    "larger",
    "random_single",
    "single",
]

Ints = NDArray[np.int64]

_BITS = 16  # of a weight and an activation, EIE's
_ACCUMULATOR_BITS = 32  # or as many more as a layer needs
_CODES = 16  # of a codebook, the 0 among them
_STEP = 16  # between the values of a codebook
_WEIGHTS_AT_ONCE = 1 << 22
# Entries of the fullest element over the mean weights; NT-We, the smallest layer, has 1.019 on 64
# elements, whose columns are too short for padding. More would double the memories of entries.
_IMBALANCE = 1.02


@dataclasses.dataclass(frozen=True)
class Single:
    """A network of one layer, and what it is to be run on.

    Attributes
    ----------
    network : CompressedNetwork
    x : (1, inputs) int64
    """

    network: CompressedNetwork
    x: Ints

    @property
    def layer(self) -> CompressedLayer:
        return self.network.layers[0]

    @property
    def nonzeros(self) -> int:
        """Weights that are stored: those whose code is not 0."""
        return int(np.count_nonzero(self.layer.codes))


def random_single(figures: EieLayer, seed: int) -> Single:
    """A layer of that size and of those densities; the same for the same seed.

    Each weight is kept or not by itself, all codes are equally likely. As many activations as the
    density says are not 0, and those are anything up to the greatest that has 16 bits; none is
    negative, as behind a ReLU.
    """
    rng = np.random.default_rng((seed, *figures.name.encode()))
    codes = np.zeros((figures.outputs, figures.inputs), np.uint8)
    step = max(1, _WEIGHTS_AT_ONCE // figures.inputs)
    for first in range(0, figures.outputs, step):
        part = codes[first : first + step]
        kept = rng.random(part.shape, np.float32) < figures.weight_density
        part[kept] = rng.integers(1, _CODES, int(kept.sum()))
    values = np.arange(_CODES - 1) - (_CODES // 2 - 1)
    codebook = _STEP * np.concatenate([[0], values[values != 0], [_CODES // 2]])
    x = np.zeros(figures.inputs, np.int64)
    count = round(figures.activation_density * figures.inputs)
    active = rng.choice(figures.inputs, count, replace=False)
    x[active] = rng.integers(1, 1 << (_BITS - 1), count)
    return single(figures.name, codes, codebook, x)


def single(name: str, codes: NDArray[np.uint8], codebook: Ints, x: Ints) -> Single:
    """The network of one layer without bias, shifted so that no output saturates.

    Parameters
    ----------
    codes : (rows, columns)
    codebook : (n,) of 16 bits, 0 at first
    x : (columns,) of 16 bits
    """
    layer = CompressedLayer(
        name=name,
        codes=codes,
        codebook=codebook,
        weight_fraction=0,
        bias=np.zeros(len(codes), np.int64),
        shift=int(
            np.clip(signed_bits(_greatest_sum(codes, codebook, x)) - (_BITS - 1), 0, SHIFT_MAX)
        ),
        relu=False,
    )
    low, high = min(0, int(x.min())), max(0, int(x.max()))
    sums = bound_sums(layer, np.full(len(x), low), np.full(len(x), high))
    needed = bound_layer(layer, sums, _BITS).accumulator_bits
    bits = max(_ACCUMULATOR_BITS, needed)
    network = CompressedNetwork(NumberFormat(0, low, high), _BITS, _BITS, bits, (layer,))
    return Single(network, x[None])


def _greatest_sum(codes: NDArray[np.uint8], codebook: Ints, x: Ints) -> int:
    """Magnitude of the greatest sum of products."""
    (active,) = np.nonzero(x)
    weights, inputs = codebook.astype(np.float64), x[active].astype(np.float64)
    step = max(1, _WEIGHTS_AT_ONCE // max(1, len(active)))
    return max(
        int(np.abs(weights[codes[first : first + step, active]] @ inputs).max())
        for first in range(0, len(codes), step)
    )


def engine_for_all(knobs: dict[str, Any]) -> AcceleratorConfig:
    """An engine with room for each of the published layers.

    Where the limits of a memory do not allow that, with as much as they do.

    Parameters
    ----------
    knobs : dict of str to int
        `lanes`, `groups` and others of `AcceleratorConfig`, but the depths of its memories, which
        are powers of two that derive from the layers.

    Raises
    ------
    ConfigError
        If a knob is beyond its limits.
    """
    lanes, groups = max(1, knobs["lanes"]), max(1, knobs["groups"])
    depths = {"segment_depth": 2, "codebook_depth": 16, "layer_depth": 2}
    for layer in eie().layers:
        words = -(-layer.inputs // (lanes * groups))
        rows = -(-layer.outputs // (lanes * groups))
        weights = layer.inputs * layer.outputs * layer.weight_density
        needed = {
            "entry_depth": math.ceil(_IMBALANCE * weights / (lanes * groups)),
            "column_depth": words * lanes,
            "activation_depth": words + rows,
            "accumulator_depth": rows * groups,
            "bias_depth": rows * groups,
        }
        depths |= {knob: max(depth, depths.get(knob, 2)) for knob, depth in needed.items()}
    sizes: dict[str, Any] = {knob: _power(knob, depth) for knob, depth in depths.items()}
    return AcceleratorConfig(**knobs, **sizes)


def _power(knob: str, depth: int) -> int:
    """The next power of two, or the knob's greatest value."""
    return min(1 << (depth - 1).bit_length(), AcceleratorConfig.limits(knob)[1])


def larger(one: AcceleratorConfig, other: AcceleratorConfig) -> AcceleratorConfig:
    """Every depth the greater of the two."""
    pairs = dataclasses.asdict(other).items()
    return dataclasses.replace(one, **{knob: max(v, getattr(one, knob)) for knob, v in pairs})


def entries_of(codes: NDArray[np.uint8], elements: int, gap_bits: int) -> int:
    """Entries of all elements, padding included, with row r in element r % elements: EIE's order.

    Parameters
    ----------
    codes : (rows, columns) uint8
        Of the weights; 0 is a weight that is not stored.
    elements : int
        Processing elements.
    gap_bits : int
        Of a relative index: the zeros before an entry in its column, as the element has it. More
        than 2**gap_bits - 1 of them take an entry of padding for each 2**gap_bits.
    """
    greatest, entries = 1 << gap_bits, 0
    for element in range(elements):
        column, row = np.nonzero(codes[element::elements].T)
        gap = row.copy()
        same = column[1:] == column[:-1]
        gap[1:][same] = (row[1:] - row[:-1] - 1)[same]
        entries += int((1 + gap // greatest).sum())
    return entries


def geometric_mean(values: list[float]) -> float:
    """Of positive numbers."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))
