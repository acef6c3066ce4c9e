"""From a float network to a compressed one: prune, share weights, choose number formats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.network import Layer, Network
from sw.numbers import check_widths, prove

from .formats import Shared, Widths, choose, input_format, measure
from .prune import prune
from .share import share

__all__ = ["compress"]

_MAGNITUDE_MAX = 2.0**32  # of weights, biases and inputs: no float in here overflows
_MARGIN = 2.0  # by which outputs may exceed those of the calibration inputs
# Without calibration inputs: how many random vectors stand in, and a margin for how little the
# outputs that they give say of real ones.
_STAND_INS = 1024
_STAND_IN_MARGIN = 16.0
_STAND_IN_FRACTION = 8


def compress(
    network: Network,
    *,
    density: float | None = None,
    code_bits: int = 4,
    calibration: NDArray[np.floating] | None = None,
    widths: Widths = Widths(),  # noqa: B008 (frozen)
) -> CompressedNetwork:
    """Prune, share and quantise a network, without training (Han et al. 2016, less its retraining).

    Parameters
    ----------
    network : Network
    density : float, optional
        Share of each layer's weights to keep; those that are not 0 if not given.
    code_bits : int
        Greatest width of a code, 1 to 8: at most ``2**code_bits - 1`` weights a layer, and 0.
    calibration : (n, inputs) floating, optional
        Inputs as the network will see, from which number formats are chosen. Without them inputs
        are taken to lie in [0, 1] on a grid of 1/256.
    widths : Widths
        Signed widths of the numbers.

    Returns
    -------
    CompressedNetwork
        For which `sw.numbers.prove` holds.

    Raises
    ------
    BadInput
        If an argument is out of range, or no number format fits.
    """
    check_widths(widths.activation, widths.weight, widths.accumulator)
    for layer in network.layers:
        _check_magnitude(f"layer {layer.name!r}", layer.weights, layer.bias)
    inputs = network.inputs
    if calibration is None:
        fmt, seen = _stand_ins(inputs, widths.activation)
        margin = _STAND_IN_MARGIN
    else:
        seen = np.asarray(calibration, np.float64)
        if seen.ndim != 2 or seen.shape[1] != inputs or not len(seen):
            raise BadInput(
                f"calibration inputs have shape {seen.shape}; this network takes (n, {inputs})"
            )
        _check_magnitude("the calibration input", seen)
        fmt = input_format(seen, widths.activation)
        margin = _MARGIN
    layers = [_share(layer, density, code_bits) for layer in network.layers]
    compressed = CompressedNetwork(
        input=fmt,
        activation_bits=widths.activation,
        weight_bits=widths.weight,
        accumulator_bits=widths.accumulator,
        layers=choose(layers, measure(layers, seen), margin, fmt, widths),
    )
    prove(compressed)
    return compressed


def _share(layer: Layer, density: float | None, code_bits: int) -> Shared:
    weights = layer.weights if density is None else prune(layer.weights, density)
    codes, centroids = share(weights, code_bits)
    return Shared(layer.name, codes, centroids, layer.bias, layer.relu, layer.convolution)


def _check_magnitude(where: str, *arrays: NDArray[np.float64]) -> None:
    for array in arrays:
        # Written so that NaN fails too.
        bad = array[~(np.abs(array) < _MAGNITUDE_MAX)]
        if bad.size:
            raise BadInput(f"{where} has a value {bad[0]:g}; values must be finite and below 2**32")


def _stand_ins(inputs: int, activation_bits: int) -> tuple[NumberFormat, NDArray[np.float64]]:
    fraction = min(_STAND_IN_FRACTION, activation_bits - 2)
    one = 1 << fraction
    vectors = np.random.default_rng(0).integers(0, one + 1, (_STAND_INS, inputs))
    return NumberFormat(fraction, 0, one), np.ldexp(vectors.astype(np.float64), -fraction)
