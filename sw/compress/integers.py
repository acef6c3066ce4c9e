"""One layer in integers: the number formats that it can have, and what they cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.layouts import SHIFT_MAX
from sw.compressed import CompressedLayer
from sw.convolution import multiply, per_column, per_output
from sw.numbers import FRACTION_MAX, bound_layer, bound_sums, gather_range

from .shared import Shared

__all__ = [
    "Candidate",
    "Range",
    "Statistics",
    "Widths",
    "candidates",
    "extremes",
    "finest",
    "gathered",
    "noise",
    "reach",
]


@dataclasses.dataclass(frozen=True)
class Widths:
    """Signed widths that number formats are chosen for."""

    activation: int = 16
    weight: int = 16
    accumulator: int = 32


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What calibration showed of a layer's outputs.

    Attributes
    ----------
    peak : float
        Greatest magnitude, after the ReLU; before the mean where pooling takes one.
    power : float
        Mean square.
    active : float
        Share of outputs that are not 0.
    """

    peak: float
    power: float
    active: float


@dataclasses.dataclass(frozen=True)
class Range:
    """Activations as integers: their fraction bits, and the least and greatest of each (n,)."""

    fraction: int
    low: NDArray[Any]
    high: NDArray[Any]


Candidate = tuple[CompressedLayer, Range]  # a layer in integers, and its outputs


def finest(peak: float, bits: int) -> int:
    """Most fraction bits with which `peak` fits in signed `bits`."""
    greatest = (1 << (bits - 1)) - 1
    if peak * 2.0**FRACTION_MAX <= greatest:
        return FRACTION_MAX
    fraction = math.frexp(greatest / peak)[1]
    while math.floor(math.ldexp(peak, fraction) + 0.5) > greatest:
        fraction -= 1
    return fraction


def gathered(layer: Shared, parts: Sequence[Range]) -> Range:
    """What a layer is given by its sources, which have the same fraction bits."""
    near = dataclasses.replace(layer, sources=tuple(range(len(parts), 0, -1)))
    return Range(parts[0].fraction, *gather_range([(p.low, p.high) for p in parts], near))


def extremes(layer: Shared, inputs: Range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest sums (rows,) of float weights and integer inputs, without bias."""
    positive, negative = layer.split
    low, high = per_column(layer.convolution, inputs.low, inputs.high)
    low, high = np.minimum(low, 0)[None], np.maximum(high, 0)[None]
    groups = layer.groups
    least = multiply(low, positive, groups) + multiply(high, negative, groups)
    greatest = multiply(high, positive, groups) + multiply(low, negative, groups)
    return least[0], greatest[0]


def reach(layer: Shared, inputs: Range) -> float:
    """Bound of the magnitude of a layer's float outputs, after the ReLU."""
    least, greatest = (np.ldexp(sums, -inputs.fraction) for sums in extremes(layer, inputs))
    top, bottom = float((greatest + layer.bias).max()), float((least + layer.bias).min())
    return max(top, 0.0, 0.0 if layer.relu else -bottom)


def candidates(
    layer: Shared, inputs: Range, most: int, widths: Widths, trade: int
) -> list[Candidate]:
    """The layer in its best weight format with several output formats, finest first.

    Parameters
    ----------
    most : int
        Fraction bits that the outputs may have.
    trade : int
        How many of them may be given up, beyond those that cannot be had.
    """
    # Rounding may leave room for one bit more than the estimate says.
    weight_fraction = min(
        _estimate(layer, inputs, widths) + 1, SHIFT_MAX + most - inputs.fraction, FRACTION_MAX
    )
    while weight_fraction >= -FRACTION_MAX:
        total = weight_fraction + inputs.fraction
        found = []
        if (quantised := _quantise(layer, weight_fraction, total, widths)) is not None:
            sums = bound_sums(quantised, inputs.low, inputs.high)
            first = min(most, total)
            for fraction in range(first, max(first - trade, total - SHIFT_MAX) - 1, -1):
                shifted = dataclasses.replace(quantised, shift=total - fraction)
                bounds = bound_layer(shifted, sums, widths.activation)
                fits = bounds.accumulator_bits <= widths.accumulator
                if fits and abs(fraction) <= FRACTION_MAX:
                    ends = (bounds.output_low, bounds.output_high)
                    low, high = (per_output(layer.convolution, end) for end in ends)
                    found.append((shifted, Range(fraction, low, high)))
        if found:
            return found
        weight_fraction -= 1
    return []


def noise(layer: Shared, inputs: Range, statistics: Statistics, widths: Widths) -> float:
    """Expected square error of one product of `layer`, up to a factor: rounding of both operands.

    A rounded weight errs by ``2**-fraction / sqrt(12)`` times the activation, and the reverse;
    activations that are 0 are exact, as are fixed weights that need no more bits.

    Parameters
    ----------
    statistics : Statistics
        Of the inputs.
    """
    weight_fraction = _estimate(layer, inputs, widths)
    kept = layer.centroids[1:]
    weight_power = float(np.square(kept).mean()) if len(kept) else 0.0
    of_weights = statistics.power * 2.0 ** (-2 * weight_fraction)
    scaled = np.ldexp(kept, weight_fraction)
    if layer.fixed and np.array_equal(scaled, np.rint(scaled)):
        of_weights = 0.0
    return of_weights + statistics.active * weight_power * 2.0 ** (-2 * inputs.fraction)


def _estimate(layer: Shared, inputs: Range, widths: Widths) -> int:
    """Fraction bits of the weights that their width and, about, the accumulator allow."""
    bias = np.ldexp(layer.bias, inputs.fraction)
    sums = extremes(layer, inputs)
    most = max(float(np.abs(total).max()) for s in sums for total in (s, s + bias))
    largest = float(np.abs(layer.centroids).max())
    return min(finest(largest, widths.weight), finest(most, widths.accumulator))


def _quantise(
    layer: Shared, weight_fraction: int, total: int, widths: Widths
) -> CompressedLayer | None:
    """The layer in integers with shift 0, or None if a number does not fit in its width.

    Centroids that round to 0 are pruned, those that round to the same integer merged, and those
    that no weight has left out.
    """
    rounded = np.rint(np.ldexp(layer.centroids, weight_fraction)) * layer.used
    bias = np.rint(np.ldexp(layer.bias, total))
    for values, bits in ((rounded, widths.weight), (bias, widths.accumulator)):
        if values.min() < -(1 << (bits - 1)) or values.max() >= 1 << (bits - 1):
            return None
    codebook = np.unique(rounded[rounded != 0]).astype(np.int64)
    place = np.where(rounded == 0, 0, np.searchsorted(codebook, rounded) + 1).astype(np.uint8)
    return CompressedLayer(
        name=layer.name,
        codes=place[layer.codes],
        codebook=np.concatenate([[0], codebook]),
        weight_fraction=weight_fraction,
        bias=bias.astype(np.int64),
        shift=0,
        relu=layer.relu,
        convolution=layer.convolution,
        sources=layer.sources,
        added=layer.added,
    )
