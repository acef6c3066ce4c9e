"""Whether the integers of a compressed network fit: ranges of its fields, bounds of its sums."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.config import PRESETS, ConfigError
from hw.layouts import CODE_BITS_MAX, SHIFT_MAX

from .compressed import CompressedLayer, CompressedNetwork
from .convolution import per_column, per_output
from .errors import BadInput
from .graph import Wired, gather, wiring_fault

__all__ = [
    "FRACTION_MAX",
    "Bounds",
    "bound_layer",
    "bound_sums",
    "check",
    "gather_range",
    "prove",
    "signed_bits",
]

FRACTION_MAX = 64  # of any number format, either way: every scale is a float64 without overflow
ACTIVATIONS_MAX = 1 << 24  # of one layer: what it may cost in memory
PATCHES_MAX = 1 << 28  # numbers of all patches of a vector, which the golden model lays out
NAME_BYTES_MAX = 255  # the .thr file gives the length one byte
_CHUNK = 1 << 22  # weights decoded at once


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The extremes of one layer's accumulators and outputs, row by row.

    Attributes
    ----------
    sum_low, sum_high : (rows,) int64
        No sum of any of the row's products leaves these, in whatever order they are added.
    total_low, total_high : (rows,) int64
        The same with the bias, and with the half that rounds.
    output_low, output_high : (rows,) int64
        The layer's outputs, clamped to the activation width.
    """

    sum_low: NDArray[np.int64]
    sum_high: NDArray[np.int64]
    total_low: NDArray[np.int64]
    total_high: NDArray[np.int64]
    output_low: NDArray[np.int64]
    output_high: NDArray[np.int64]

    @property
    def accumulator_bits(self) -> int:
        """Signed bits that hold every sum of the layer."""
        return max(signed_bits(value) for value in self._extremes())

    @property
    def worst(self) -> tuple[int, int]:
        """(row, value) of the sum that needs most bits."""
        rows = (
            self.sum_low.argmin(),
            self.sum_high.argmax(),
            self.total_low.argmin(),
            self.total_high.argmax(),
        )
        pairs = zip(rows, self._extremes(), strict=True)
        row, value = max(pairs, key=lambda pair: signed_bits(pair[1]))
        return int(row), value

    def _extremes(self) -> tuple[int, int, int, int]:
        return (
            int(self.sum_low.min()),
            int(self.sum_high.max()),
            int(self.total_low.min()),
            int(self.total_high.max()),
        )


def signed_bits(value: int) -> int:
    """Least width of a signed number that holds `value`."""
    return (value if value >= 0 else ~value).bit_length() + 1


def bound_sums(
    layer: CompressedLayer, low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Exact extremes (rows,) of a layer's sums of products, for inputs in `low`..`high`.

    Products may be added in any order and those of zero activations left out, so every interval
    is widened to hold 0: then the greatest partial sum is the sum of the greatest products.

    Parameters
    ----------
    layer : CompressedLayer
        Within the ranges that `check` keeps, so that int64 is exact.
    low, high : (inputs,) int64
        Range of each input, as `gather_range` gives it.
    """
    low, high = per_column(layer.convolution, low, high)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    groups = 1 if layer.convolution is None else layer.convolution.groups
    # One part a group, of which each meets its own columns.
    codes = layer.codes.reshape(groups, -1, layer.columns)
    ranges = np.stack([low, high]).reshape(2, groups, layer.columns, 1)
    sums = np.empty((2, *codes.shape[:2], 1), np.int64)
    rows = max(1, _CHUNK // layer.columns)
    for part, row in itertools.product(
        range(0, groups, step := max(1, rows // codes.shape[1])), range(0, codes.shape[1], rows)
    ):
        at = slice(part, part + step), slice(row, row + rows)
        weights = layer.codebook[codes[at]]
        positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
        mine = ranges[:, at[0]]
        sums[:, *at] = positive @ mine + negative @ mine[::-1]
    sum_low, sum_high = sums.reshape(2, -1)
    return sum_low, sum_high


def gather_range(
    tensors: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], layer: Wired
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Range (inputs,) of what a layer is given, from those of all tensors so far.

    Activations of sources that are added reach the accumulator one by one, so each may be missing.
    """
    if len(layer.sources) == 1:
        return tensors[-layer.sources[0]]
    # Only the tensors that are taken: all of them, for each of many layers, would take long.
    near = tensors[-max(layer.sources) :]
    taken = set(layer.sources)
    ends = [
        (np.minimum(low, 0), np.maximum(high, 0)) if len(near) - place in taken else (low, high)
        for place, (low, high) in enumerate(near)
    ]
    return gather([low for low, _ in ends], layer), gather([high for _, high in ends], layer)


def bound_layer(
    layer: CompressedLayer,
    sums: tuple[NDArray[np.int64], NDArray[np.int64]],
    activation_bits: int,
) -> Bounds:
    """All extremes of a layer whose sums lie within `sums`, as `bound_sums` gives them."""
    sum_low, sum_high = sums
    half = (1 << layer.shift) >> 1
    total_low, total_high = sum_low + layer.bias, sum_high + layer.bias + half
    greatest = (1 << (activation_bits - 1)) - 1
    least = 0 if layer.relu else -greatest - 1
    return Bounds(
        sum_low,
        sum_high,
        total_low,
        total_high,
        np.clip((total_low + half) >> layer.shift, least, greatest),
        np.clip(total_high >> layer.shift, least, greatest),
    )


def prove(network: CompressedNetwork, accumulator_bits: int | None = None) -> list[Bounds]:
    """Show that no accumulator overflows, whatever the inputs.

    Interval arithmetic in exact integers: inputs lie in the range of the input's number format,
    and each layer's inputs in the bounds shown for the outputs of the layer before.

    Parameters
    ----------
    network : CompressedNetwork
        Checked by `check` first.
    accumulator_bits : int, optional
        Signed width to prove for; that of the network if not given.

    Returns
    -------
    list of Bounds
        One a layer.

    Raises
    ------
    BadInput
        If a sum can leave the accumulator; names the layer, the row, the sum and a width that fits.
    """
    check(network)
    width = network.accumulator_bits if accumulator_bits is None else accumulator_bits
    low = np.full(network.inputs, network.input.low, np.int64)
    high = np.full(network.inputs, network.input.high, np.int64)
    ranges = [(low, high)]
    proof = []
    for layer in network.layers:
        sums = bound_sums(layer, *gather_range(ranges, layer))
        bounds = bound_layer(layer, sums, network.activation_bits)
        if bounds.accumulator_bits > width:
            row, value = bounds.worst
            raise BadInput(
                f"layer {layer.name!r}, row {row}: a sum can reach {value}, which does not fit in "
                f"{width} accumulator bits; {bounds.accumulator_bits} bits would fit"
            )
        proof.append(bounds)
        ends = (bounds.output_low, bounds.output_high)
        low, high = (per_output(layer.convolution, end) for end in ends)
        ranges.append((low, high))
    return proof


def check_widths(activation_bits: int, weight_bits: int, accumulator_bits: int) -> None:
    """Check signed widths against what an accelerator can be built for.

    Raises
    ------
    BadInput
        If one is out of its range.
    """
    try:
        # The knobs' limits stand in one place, and a configuration checks them.
        dataclasses.replace(
            PRESETS["tiny"],
            activation_bits=activation_bits,
            weight_bits=weight_bits,
            accumulator_bits=accumulator_bits,
        )
    except ConfigError as error:
        raise BadInput(str(error)) from error


def check(network: CompressedNetwork) -> None:
    """Check every field of a compressed network against its range.

    Raises
    ------
    BadInput
        If widths, number formats, shapes, codes, codebooks, biases or shifts are not in range.
    """
    check_widths(network.activation_bits, network.weight_bits, network.accumulator_bits)
    fmt, least = network.input, -(1 << (network.activation_bits - 1))
    if not least <= fmt.low <= 0 <= fmt.high < -least:
        raise BadInput(
            f"the input range {fmt.low}..{fmt.high} must hold 0 and lie in {least}..{-least - 1}"
        )
    if not network.layers:
        raise BadInput("the network has no layers")
    for layer in network.layers:
        _check_layer(layer, network)
    if fault := wiring_fault(network.layers, network.inputs):
        raise BadInput(f"layer {network.layers[fault[0]].name[:40]!r} {fault[1]}")
    _check_fractions(network)


def _check_fractions(network: CompressedNetwork) -> None:
    fractions = network.fractions
    for fraction in fractions:
        if abs(fraction) > FRACTION_MAX:
            raise BadInput(f"{fraction} fraction bits are not within ±{FRACTION_MAX}")
    for layer, tensors in zip(network.layers, network.sources, strict=True):
        if len(found := {fractions[tensor] for tensor in tensors}) > 1:
            raise BadInput(
                f"layer {layer.name[:40]!r} takes sources of {sorted(found)} fraction bits; all "
                "must have the same"
            )


def _check_layer(layer: CompressedLayer, network: CompressedNetwork) -> None:
    where = f"layer {layer.name[:40]!r}"
    # What is not printable would reach terminals by way of tables and messages.
    if not layer.name.isprintable() or len(layer.name.encode()) > NAME_BYTES_MAX:
        raise BadInput(f"{where}: a name is printable and at most {NAME_BYTES_MAX} bytes long")
    if layer.codes.ndim != 2 or not layer.codes.size or layer.codes.dtype != np.uint8:
        raise BadInput(f"{where} has codes of shape {layer.codes.shape}, {layer.codes.dtype}")
    if layer.bias.shape != (layer.rows,) or layer.codebook.ndim != 1:
        raise BadInput(f"{where} has a bias of shape {layer.bias.shape}")
    if layer.convolution is not None:
        _check_convolution(where, layer)
    if not 1 <= len(layer.codebook) <= 1 << CODE_BITS_MAX or layer.codebook[0] != 0:
        raise BadInput(f"{where}: a codebook has 1 to {1 << CODE_BITS_MAX} values, the first 0")
    if (code := int(layer.codes.max())) >= len(layer.codebook):
        raise BadInput(f"{where} has code {code} but {len(layer.codebook)} codebook values")
    for name, values, bits in (
        ("codebook", layer.codebook, network.weight_bits),
        ("bias", layer.bias, network.accumulator_bits),
    ):
        worst = max(int(values.min()), int(values.max()), key=signed_bits)
        if signed_bits(worst) > bits:
            raise BadInput(f"{where}: {name} value {worst} does not fit in {bits} bits")
    if not 0 <= layer.shift <= SHIFT_MAX:
        raise BadInput(f"{where}: shift is {layer.shift}; it must be from 0 to {SHIFT_MAX}")
    if abs(layer.weight_fraction) > FRACTION_MAX:
        raise BadInput(
            f"{where}: {layer.weight_fraction} weight fraction bits are not within ±{FRACTION_MAX}"
        )


def _check_convolution(where: str, layer: CompressedLayer) -> None:
    convolution = layer.convolution
    assert convolution is not None
    if fault := convolution.fault():
        raise BadInput(f"{where}: {fault}")
    if layer.rows % convolution.groups:
        raise BadInput(
            f"{where} has {layer.rows} rows, which do not split into {convolution.groups} groups"
        )
    if convolution.columns != layer.columns:
        raise BadInput(
            f"{where} has {layer.columns} columns of codes; its kernel takes {convolution.columns}"
        )
    border = 2 * convolution.padding
    padded = convolution.channels * (convolution.height + border) * (convolution.width + border)
    if max(padded, layer.outputs) > ACTIVATIONS_MAX:
        raise BadInput(
            f"{where} takes {padded} activations, padding included, and gives {layer.outputs}; at "
            f"most {ACTIVATIONS_MAX} are allowed"
        )
    patches = math.prod(convolution.positions) * convolution.columns * convolution.groups
    if patches > PATCHES_MAX:
        raise BadInput(
            f"{where} has {patches} numbers in its patches; at most {PATCHES_MAX} are allowed"
        )
