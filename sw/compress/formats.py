"""Number formats: a power-of-two scale for the inputs and for each layer's weights and outputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, NumberFormat
from sw.errors import BadInput
from sw.graph import Wired, gather, sources
from sw.network import Layer
from sw.numbers import FRACTION_MAX

from .integers import (
    Candidate,
    Range,
    Statistics,
    Widths,
    candidates,
    extremes,
    finest,
    gathered,
    noise,
    reach,
)
from .shared import Shared, sizes

__all__ = [
    "Shared",
    "Statistics",
    "Widths",
    "blocks",
    "choose",
    "input_format",
    "measure",
    "suit_input",
]

_BLOCK = 4096  # calibration vectors run at once, if all their activations are no more than
_ACTIVATIONS = 1 << 26
_TRADE = 12  # output fraction bits that may be given up for weight fraction bits


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
    fraction = finest(peak, activation_bits)
    scaled = np.ldexp(inputs, fraction)
    whole = np.floor(scaled + 0.5)
    if fraction > 0 and np.array_equal(scaled, whole):
        used = int(np.bitwise_or.reduce(whole.astype(np.int64), axis=None))
        spare = min(fraction, (used & -used).bit_length() - 1)
        fraction, whole = fraction - spare, np.ldexp(whole, -spare)
    return NumberFormat(fraction, min(0, int(whole.min())), max(0, int(whole.max())))


def blocks(layers: Sequence[Wired], count: int) -> list[slice]:
    """Parts of `count` vectors, each of so few that all their activations can be kept at once."""
    step = max(1, min(_BLOCK, _ACTIVATIONS // sum(sizes(layers))))
    return [slice(start, start + step) for start in range(0, count, step)]


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
        for part in blocks(layers, len(inputs)):
            tensors = [inputs[part]]
            for i, layer in enumerate(floats):
                x, top = _run(layer, gather(tensors, layer))
                peak[i] = max(peak[i], top)
                power[i] += np.square(x).sum()
                active[i] += np.count_nonzero(x)
                tensors.append(x)
    if len(bad := np.flatnonzero(~np.isfinite(power))):
        raise BadInput(f"layer {layers[bad[0]].name!r}: its outputs are too large for floats")
    numbers = [layer.outputs * len(inputs) for layer in floats]
    return [
        Statistics(float(peak[i]), float(power[i] / size), float(active[i] / size))
        for i, size in enumerate(numbers)
    ]


def _run(layer: Layer, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Outputs, and the greatest magnitude that is clamped, which comes before a mean."""
    where = layer.convolution
    if where is None or not where.average:
        y = layer.run(x)
        return y, float(np.abs(y).max())
    whole = dataclasses.replace(where, pool=1, overlap=0, average=False)
    y = dataclasses.replace(layer, convolution=whole).run(x)
    top = float(np.abs(y).max())
    return where.pooled(y.reshape(len(y), len(layer.weights), -1).swapaxes(1, 2)), top


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is known before a format is chosen; tensors are those of `sw.graph`.

    Attributes
    ----------
    layers : sequence of Shared
    statistics : sequence of Statistics
        Of each layer's outputs.
    margin : float
    widths : Widths
    sources : list of tuple of int
        Tensors that each layer takes.
    first : list of int
        For each tensor, the first of those that must have its fraction bits.
    expected : list of Range
        Floats between which each tensor is let fit; empty where no layer has several sources.
    """

    layers: Sequence[Shared]
    statistics: Sequence[Statistics]
    margin: float
    widths: Widths
    sources: list[tuple[int, ...]]
    first: list[int]
    expected: list[Range]

    def others(self, tensor: int) -> list[int]:
        """Outputs of layers that must have the fraction bits of a tensor."""
        alike = self.first[tensor]
        return [t for t in range(1, len(self.first)) if self.first[t] == alike and t != tensor]

    def takers(self, tensor: int) -> list[int]:
        """Layers that take tensors with these fraction bits."""
        alike = self.first[tensor]
        return [i for i, tensors in enumerate(self.sources) if self.first[tensors[0]] == alike]

    def finest(self, tensor: int) -> int:
        """Most fraction bits with which the outputs of a layer are expected to fit."""
        ends = self.expected[tensor]
        return finest(float(max(ends.high.max(), -ends.low.min())), self.widths.activation)

    def met(self, tensor: int) -> str:
        """Names of the layers in which a tensor meets others with the same fraction bits."""
        names = [repr(self.layers[i].name) for i in self.takers(tensor) if len(self.sources[i]) > 1]
        return f"layer{'s' if len(names) > 1 else ''} {', '.join(names)}"


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
    that is less) fit; a hidden layer gives some of them up where the weights of the layers that
    take them thereby gain more than its activations lose. Tensors that meet in a layer, added or
    concatenated, have the same fraction bits: no more than suits each of them.

    Parameters
    ----------
    statistics : sequence of Statistics
        Of the outputs of each layer.
    margin : float
        By how much outputs may exceed the measured peak before they saturate.
    fmt : NumberFormat
        Of the inputs; what meets them has their fraction bits, so `suit_input` comes first.

    Raises
    ------
    BadInput
        If no format of a layer fits, or none that suits those whose outputs meet its own.
    """
    plan = _plan(layers, statistics, margin, fmt, widths)
    low = np.full(sizes(layers)[0], fmt.low, np.int64)
    ranges = [Range(fmt.fraction, low, np.full_like(low, fmt.high))]
    caps = [FRACTION_MAX] * len(plan.first)
    chosen: list[CompressedLayer] = []
    while len(chosen) < len(layers):
        tensor = len(ranges)
        first = plan.first[tensor]
        inputs = gathered(layers[tensor - 1], [ranges[t] for t in plan.sources[tensor - 1]])
        if first == tensor:
            quantised, outputs = _lead(plan, tensor, inputs, caps[first])
        else:
            quantised, outputs = _follow(plan, tensor, inputs, ranges[first].fraction)
            if outputs.fraction < ranges[first].fraction:
                # The others must give way, from the first of them on.
                caps[first] = outputs.fraction
                del chosen[first - 1 :], ranges[first:]
                continue
        chosen.append(quantised)
        ranges.append(outputs)
    return tuple(chosen)


def suit_input(
    layers: Sequence[Shared],
    statistics: Sequence[Statistics],
    margin: float,
    fmt: NumberFormat,
    widths: Widths,
) -> NumberFormat:
    """The inputs' number format, or a coarser one if outputs that meet the inputs need it.

    Parameters are those of `choose`.
    """
    plan = _plan(layers, statistics, margin, fmt, widths)
    fraction = min([fmt.fraction, *(plan.finest(other) for other in plan.others(0))])
    low, high = (
        math.floor(math.ldexp(end, fraction - fmt.fraction) + 0.5) for end in (fmt.low, fmt.high)
    )
    return NumberFormat(fraction, low, high)


def _plan(
    layers: Sequence[Shared],
    statistics: Sequence[Statistics],
    margin: float,
    fmt: NumberFormat,
    widths: Widths,
) -> _Plan:
    taken = sources(layers)
    first = list(range(len(layers) + 1))
    for tensors in taken:
        alike = {first[tensor] for tensor in tensors}
        first = [min(alike) if each in alike else each for each in first]
    expected: list[Range] = []
    if any(len(tensors) > 1 for tensors in taken):
        ends = np.ldexp([float(fmt.low), float(fmt.high)], -fmt.fraction)
        expected.append(Range(0, *(np.full(sizes(layers)[0], end) for end in ends)))
        for layer, tensors, seen in zip(layers, taken, statistics, strict=True):
            inputs = gathered(layer, [expected[tensor] for tensor in tensors])
            expected.append(_expected(layer, inputs, margin * seen.peak))
    return _Plan(layers, statistics, margin, widths, taken, first, expected)


def _expected(layer: Shared, inputs: Range, limit: float) -> Range:
    """Floats between which a layer's outputs lie, and no more than is to fit."""
    plane = 1 if layer.convolution is None else int(np.prod(layer.convolution.plane))
    least, greatest = (sums + layer.bias for sums in extremes(layer, inputs))
    low = np.clip(least, 0.0 if layer.relu else -limit, limit)
    high = np.clip(greatest, 0.0 if layer.relu else -limit, limit)
    return Range(0, np.repeat(low, plane), np.repeat(high, plane))


def _lead(plan: _Plan, tensor: int, inputs: Range, cap: int) -> Candidate:
    """A layer in integers whose fraction bits those of others follow, if there are any."""
    layer, seen = plan.layers[tensor - 1], plan.statistics[tensor - 1]
    peak = min(plan.margin * seen.peak, reach(layer, inputs))
    most = min([finest(peak, plan.widths.activation), cap])
    most = min([most, *(plan.finest(other) for other in plan.others(tensor))])
    takers = plan.takers(tensor)
    found = candidates(layer, inputs, most, plan.widths, trade=_TRADE if takers else 0)
    if not found:
        raise _no_format(layer, plan.widths)
    if not takers:
        return found[0]
    return found[int(np.argmin([_cost(plan, tensor, outputs) for _, outputs in found]))]


def _follow(plan: _Plan, tensor: int, inputs: Range, fraction: int) -> Candidate:
    """A layer in integers whose outputs have that many fraction bits, or fewer."""
    layer = plan.layers[tensor - 1]
    found = candidates(layer, inputs, fraction, plan.widths, trade=0)
    if not found:
        raise _no_format(layer, plan.widths)
    if plan.first[tensor] == 0:
        most = min(plan.finest(tensor), found[0][1].fraction)
        if most < fraction:
            raise BadInput(
                f"layer {layer.name!r}: its outputs meet the network's inputs in "
                f"{plan.met(tensor)}, so both must have {fraction} fraction bits; "
                f"{plan.widths.activation} activation bits and {plan.widths.accumulator} "
                f"accumulator bits leave them {most}"
            )
    return found[0]


def _no_format(layer: Shared, widths: Widths) -> BadInput:
    return BadInput(
        f"layer {layer.name!r}: no number format lets its weights and biases fit in "
        f"{widths.weight} weight bits and {widths.accumulator} accumulator bits"
    )


def _cost(plan: _Plan, tensor: int, outputs: Range) -> float:
    """Noise of all layers that take outputs with these fraction bits."""
    greatest = (1 << (plan.widths.activation - 1)) - 1

    def scaled(floats: Range) -> Range:
        low, high = (
            np.clip(np.rint(np.ldexp(end, outputs.fraction)), -greatest - 1, greatest)
            for end in (floats.low, floats.high)
        )
        return Range(outputs.fraction, low, high)

    total = 0.0
    for place in plan.takers(tensor):
        layer, taken = plan.layers[place], plan.sources[place]
        parts = [outputs if t == tensor else scaled(plan.expected[t]) for t in taken]
        seen = _of_inputs(
            layer,
            [plan.layers[t - 1].outputs for t in taken],
            [plan.statistics[t - 1] for t in taken],
        )
        total += noise(layer, gathered(layer, parts), seen, plan.widths)
    return total


def _of_inputs(layer: Shared, numbers: list[int], parts: list[Statistics]) -> Statistics:
    """Statistics of what sources of so many activations give; uncorrelated if added."""
    if len(parts) == 1:
        return parts[0]
    shares = [1.0 if layer.added else number / sum(numbers) for number in numbers]
    peak, power, active = (
        float(np.dot(shares, values))
        for values in zip(*(dataclasses.astuple(part) for part in parts), strict=True)
    )
    return Statistics(peak, power, active)
