"""From a float network to a compressed one: prune, share weights, choose number formats."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.network import Network
from sw.numbers import check_widths, prove

from .fold import fold_dead
from .formats import Widths, choose, input_format, measure, suit_input
from .recipe import Coding, Recipe
from .shared import Shared
from .steps import prune_layers, share_layers

if TYPE_CHECKING:
    from sw.train.stages import Run

__all__ = ["CALIBRATION", "compress", "in_integers"]

_MAGNITUDE_MAX = 2.0**32  # of weights, biases and inputs: no float in here overflows
_MARGIN = 2.0  # by which outputs may exceed those of the calibration inputs
CALIBRATION = 2000  # training inputs that are enough to choose number formats
# Without calibration inputs: how many random vectors stand in, and a margin for how little the
# outputs that they give say of real ones.
_STAND_INS = 1024
_STAND_IN_MARGIN = 16.0
_STAND_IN_FRACTION = 8


def compress(
    network: Network,
    recipe: Recipe,
    *,
    run: Run | None = None,
    calibration: NDArray[np.floating] | None = None,
) -> CompressedNetwork:
    """Prune, share and quantise a network as a recipe says (Deep Compression, Han et al. 2016).

    Parameters
    ----------
    network : Network
    recipe : Recipe
    run : sw.train.stages.Run, optional
        Training data, seed and checkpoint; for recipes that train. The checkpoint is left, for the
        caller to delete when what comes of it is safe.
    calibration : (n, inputs) floating, optional
        Inputs as the network will see, from which number formats are chosen; training inputs if
        not given. Without either, inputs are taken to lie in [0, 1] on a grid of 1/256.

    Returns
    -------
    CompressedNetwork
        For which `sw.numbers.prove` holds.

    Raises
    ------
    BadInput
        If the recipe needs training data and there is none, a number is out of range, or no number
        format fits.
    """
    for layer in network.layers:
        _check_magnitude(f"layer {layer.name!r}", layer.weights, layer.bias)
    what = "calibration"
    if calibration is None and run is not None:
        what, calibration = "training", run.images.x[:CALIBRATION]
    code = recipe.code
    widths = Widths(code.activation_bits, code.weight_bits, code.accumulator_bits)
    check_widths(widths.activation, widths.weight, widths.accumulator)
    fmt, seen, margin = _inputs(network, calibration, widths, what)
    return in_integers(_coded(_shared(network, recipe, run), code), seen, margin, fmt, widths)


def in_integers(
    layers: Sequence[Shared],
    seen: NDArray[np.float64],
    margin: float,
    fmt: NumberFormat,
    widths: Widths,
) -> CompressedNetwork:
    """Layers as integers, none of whose accumulators can overflow.

    Parameters
    ----------
    seen : (n, inputs) float64
        Inputs from which number formats are chosen.
    margin : float
        By which outputs may exceed those of `seen`.
    fmt : NumberFormat
        Of the inputs; made coarser where what they are joined with needs it.
    """
    statistics = measure(layers, seen)
    fmt = suit_input(layers, statistics, margin, fmt, widths)
    compressed = CompressedNetwork(
        input=fmt,
        activation_bits=widths.activation,
        weight_bits=widths.weight,
        accumulator_bits=widths.accumulator,
        layers=choose(layers, statistics, margin, fmt, widths),
    )
    prove(compressed)
    return compressed


def _shared(network: Network, recipe: Recipe, run: Run | None) -> list[Shared]:
    if not recipe.trains:
        return share_layers(prune_layers(network, recipe), recipe)
    if run is None:
        raise BadInput(
            "this recipe trains the network further: name the folder of the training data (--data)"
        )
    from sw.train.stages import prune_and_share  # PyTorch, which the other recipes do without

    return prune_and_share(network, recipe, run)


def _coded(layers: list[Shared], coding: Coding) -> list[Shared]:
    """The layers without dead units, and with short biases."""
    if coding.fold_dead:
        layers = fold_dead(layers)
    if coding.bias_bits is None:
        return layers
    return [
        dataclasses.replace(layer, bias=_shorten(layer.bias, coding.bias_bits)) for layer in layers
    ]


def _shorten(bias: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Biases as multiples of the power of two with which the largest has so many signed bits."""
    _, exponent = np.frexp(np.abs(bias).max())
    step = 2.0 ** (int(exponent) - (bits - 1))
    if np.rint(np.abs(bias).max() / step) >= 1 << (bits - 1):
        step *= 2
    return np.rint(bias / step) * step


def _inputs(
    network: Network, calibration: NDArray[np.floating] | None, widths: Widths, what: str
) -> tuple[NumberFormat, NDArray[np.float64], float]:
    """Number format of the inputs, inputs to measure with, and the margin that they need."""
    if calibration is None:
        fmt, seen = _stand_ins(network.inputs, widths.activation)
        return fmt, seen, _STAND_IN_MARGIN
    seen = np.asarray(calibration, np.float64)
    if seen.ndim != 2 or seen.shape[1] != network.inputs or not len(seen):
        raise BadInput(
            f"{what} inputs have shape {seen.shape}; this network takes (n, {network.inputs})"
        )
    _check_magnitude(f"the {what} input", seen)
    return input_format(seen, widths.activation), seen, _MARGIN


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
