"""Number formats: a power-of-two scale for the inputs and for each layer's weights and outputs."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.layouts import SHIFT_MAX
from sw.compressed import CompressedLayer, NumberFormat
from sw.convolution import Convolution, per_column, per_output
from sw.errors import BadInput
from sw.network import Layer
from sw.numbers import FRACTION_MAX, bound_layer, bound_sums

__all__ = ["Shared", "Statistics", "Widths", "choose", "input_format", "measure"]

_BLOCK = 4096  # calibration vectors run at once
_TRADE = 12  # output fraction bits that may be given up for weight fraction bits


@dataclasses.dataclass(frozen=True)
class Widths:
    """Signed widths that number formats are chosen for."""

    activation: int = 16
    weight: int = 16
    accumulator: int = 32


@dataclasses.dataclass(frozen=True)
class Shared:
    """A float layer whose weights are ``centroids[codes]``; ``centroids[0] == 0``."""

    name: str
    codes: NDArray[np.uint8]
    centroids: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    convolution: Convolution | None = None

    @property
    def layer(self) -> Layer:
        """The float layer that this stands for."""
        weights = self.centroids[self.codes]
        return Layer(self.name, weights, self.bias, self.relu, self.convolution)

    @functools.cached_property
    def used(self) -> NDArray[np.bool_]:
        """Whether any weight has a centroid (n,)."""
        return np.bincount(self.codes.ravel(), minlength=len(self.centroids)) > 0

    @functools.cached_property
    def split(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (rows, columns): the positive ones, and the negative ones, 0 elsewhere."""
        return (
            np.maximum(self.centroids, 0.0)[self.codes],
            np.minimum(self.centroids, 0.0)[self.codes],
        )


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What calibration showed of a layer's outputs.

    Attributes
    ----------
    peak : float
        Greatest magnitude, after the ReLU.
    power : float
        Mean square.
    active : float
        Share of outputs that are not 0.
    """

    peak: float
    power: float
    active: float


@dataclasses.dataclass(frozen=True)
class _Range:
    """Activations as integers: their fraction bits, and the least and greatest of each (n,)."""

    fraction: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def input_format(inputs: NDArray[np.float64], activation_bits: int) -> NumberFormat:
    """Number format of the inputs that were seen.

    If they lie on a binary grid that fits, the coarsest such grid of 0 or more fraction bits, so
    that they are exact (pixels / 256 give 8 fraction bits); otherwise the finest that fits.

    Parameters
    ----------
    inputs : (n, inputs) float64

    Raises
    ------
    BadInput
        If all inputs are 0.
    """
    peak = float(np.abs(inputs).max())
    if peak == 0:
        raise BadInput(
            "the calibration inputs are all 0; inputs as the network will see are needed"
        )
    fraction = _finest(peak, activation_bits)
    scaled = np.ldexp(inputs, fraction)
    whole = np.floor(scaled + 0.5)
    if fraction > 0 and np.array_equal(scaled, whole):
        used = int(np.bitwise_or.reduce(whole.astype(np.int64), axis=None))
        spare = min(fraction, (used & -used).bit_length() - 1)
        fraction, whole = fraction - spare, np.ldexp(whole, -spare)
    return NumberFormat(fraction, min(0, int(whole.min())), max(0, int(whole.max())))


def measure(layers: Sequence[Shared], inputs: NDArray[np.float64]) -> list[Statistics]:
    """Statistics of every layer's float outputs for inputs (n, inputs).

    Raises
    ------
    BadInput
        If the outputs of a layer overflow.
    """
    peak, power, active = (np.zeros(len(layers)) for _ in range(3))
    floats = [layer.layer for layer in layers]
    with np.errstate(over="ignore", invalid="ignore"):  # shows in `power`
        for start in range(0, len(inputs), _BLOCK):
            x = inputs[start : start + _BLOCK]
            for i, layer in enumerate(floats):
                x = layer.run(x)
                peak[i] = max(peak[i], np.abs(x).max())
                power[i] += np.square(x).sum()
                active[i] += np.count_nonzero(x)
    if len(bad := np.flatnonzero(~np.isfinite(power))):
        raise BadInput(f"layer {layers[bad[0]].name!r}: its outputs are too large for floats")
    sizes = [layer.outputs * len(inputs) for layer in floats]
    return [
        Statistics(float(peak[i]), float(power[i] / size), float(active[i] / size))
        for i, size in enumerate(sizes)
    ]


def choose(
    layers: Sequence[Shared],
    statistics: Sequence[Statistics],
    margin: float,
    fmt: NumberFormat,
    widths: Widths,
) -> tuple[CompressedLayer, ...]:
    """Layers in integers, none of whose accumulators can overflow.

    A layer's weights have as many fraction bits as their width, the accumulator and the shift
    allow. Its outputs have as many as let `margin` times their measured peak (or their bound, if
    that is less) fit; a hidden layer gives some of them up where the next layer's weights thereby
    gain more than its activations lose.

    Parameters
    ----------
    statistics : sequence of Statistics
        Of the outputs of each layer.
    margin : float
        By how much outputs may exceed the measured peak before they saturate.
    fmt : NumberFormat
        Of the inputs.

    Raises
    ------
    BadInput
        If no format of a layer fits.
    """
    low = np.full(layers[0].layer.inputs, fmt.low, np.int64)
    inputs = _Range(fmt.fraction, low, np.full_like(low, fmt.high))
    chosen: list[CompressedLayer] = []
    for i, layer in enumerate(layers):
        peak = min(margin * statistics[i].peak, _reach(layer, inputs))
        last = i + 1 == len(layers)
        candidates = _candidates(layer, inputs, peak, widths, trade=0 if last else _TRADE)
        if not candidates:
            raise BadInput(
                f"layer {layer.name!r}: no number format lets its weights and biases fit in "
                f"{widths.weight} weight bits and {widths.accumulator} accumulator bits"
            )
        quantised, inputs = candidates[0]
        if not last:
            noises = [_noise(layers[i + 1], c[1], statistics[i], widths) for c in candidates]
            quantised, inputs = candidates[int(np.argmin(noises))]
        chosen.append(quantised)
    return tuple(chosen)


def _finest(peak: float, bits: int) -> int:
    """Most fraction bits with which `peak` fits in signed `bits`."""
    greatest = (1 << (bits - 1)) - 1
    if peak * 2.0**FRACTION_MAX <= greatest:
        return FRACTION_MAX
    fraction = math.frexp(greatest / peak)[1]
    while math.floor(math.ldexp(peak, fraction) + 0.5) > greatest:
        fraction -= 1
    return fraction


def _extremes(layer: Shared, inputs: _Range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest sums (rows,) of float weights and integer inputs, without bias."""
    positive, negative = layer.split
    low, high = per_column(layer.convolution, inputs.low, inputs.high)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    return positive @ low + negative @ high, positive @ high + negative @ low


def _reach(layer: Shared, inputs: _Range) -> float:
    """Bound of the magnitude of a layer's float outputs, after the ReLU."""
    least, greatest = (np.ldexp(sums, -inputs.fraction) for sums in _extremes(layer, inputs))
    top, bottom = float((greatest + layer.bias).max()), float((least + layer.bias).min())
    return max(top, 0.0, 0.0 if layer.relu else -bottom)


def _estimate(layer: Shared, inputs: _Range, widths: Widths) -> int:
    """Fraction bits of the weights that their width and, about, the accumulator allow."""
    bias = np.ldexp(layer.bias, inputs.fraction)
    sums = _extremes(layer, inputs)
    reach = max(float(np.abs(total).max()) for s in sums for total in (s, s + bias))
    largest = float(np.abs(layer.centroids).max())
    return min(_finest(largest, widths.weight), _finest(reach, widths.accumulator))


def _candidates(
    layer: Shared, inputs: _Range, peak: float, widths: Widths, trade: int
) -> list[tuple[CompressedLayer, _Range]]:
    """The layer in its best weight format with up to `trade` + 1 output formats, finest first."""
    finest = _finest(peak, widths.activation)
    # Rounding may leave room for one bit more than the estimate says.
    weight_fraction = min(
        _estimate(layer, inputs, widths) + 1, SHIFT_MAX + finest - inputs.fraction, FRACTION_MAX
    )
    while weight_fraction >= -FRACTION_MAX:
        total = weight_fraction + inputs.fraction
        candidates = []
        if (quantised := _quantise(layer, weight_fraction, total, widths)) is not None:
            sums = bound_sums(quantised, inputs.low, inputs.high)
            first = min(finest, total)
            for fraction in range(first, max(first - trade, total - SHIFT_MAX) - 1, -1):
                shifted = dataclasses.replace(quantised, shift=total - fraction)
                bounds = bound_layer(shifted, sums, widths.activation)
                fits = bounds.accumulator_bits <= widths.accumulator
                if fits and abs(fraction) <= FRACTION_MAX:
                    ends = (bounds.output_low, bounds.output_high)
                    low, high = (per_output(layer.convolution, end) for end in ends)
                    outputs = _Range(fraction, low, high)
                    candidates.append((shifted, outputs))
        if candidates:
            return candidates
        weight_fraction -= 1
    return []


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
    )


def _noise(layer: Shared, inputs: _Range, statistics: Statistics, widths: Widths) -> float:
    """Expected square error of one product of `layer`, up to a factor: rounding of both operands.

    A rounded weight errs by ``2**-fraction / sqrt(12)`` times the activation, and the reverse;
    activations that are 0 are exact.
    """
    weight_fraction = _estimate(layer, inputs, widths)
    kept = layer.centroids[1:]
    weight_power = float(np.square(kept).mean()) if len(kept) else 0.0
    of_weights = statistics.power * 2.0 ** (-2 * weight_fraction)
    return of_weights + statistics.active * weight_power * 2.0 ** (-2 * inputs.fraction)
