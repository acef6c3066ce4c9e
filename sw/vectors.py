"""What a network is given: one vector, vectors or planes, of floats."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compressed import CompressedNetwork
from .errors import BadInput

__all__ = ["ClampedInputs", "as_rows", "as_vectors", "clamped", "warn_if_clamped"]

_BYTE = 255


class ClampedInputs(UserWarning):
    """Inputs lie outside of the range that the network was compressed for, and are clamped."""


def as_rows(x: NDArray[Any], inputs: int) -> NDArray[Any] | None:
    """One vector (inputs,), or (n, …) with as many numbers each, as (n, inputs); else None."""
    if x.shape == (inputs,):
        x = x[None]
    if x.ndim < 2 or math.prod(x.shape[1:]) != inputs:
        return None
    return x.reshape(len(x), inputs)


def as_vectors(x: ArrayLike, inputs: int) -> NDArray[np.float64]:
    """Numbers (n, …), each of n with as many as the network has inputs, as (n, inputs).

    One vector (inputs,) is taken as (1, inputs).

    Raises
    ------
    BadInput
        If they are no real numbers, not finite or of another shape.
    """
    try:
        given = np.asarray(x)
        values = None if np.iscomplexobj(given) else np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"inputs are not numbers: {error}") from error
    if values is None:
        raise BadInput(f"inputs are {given.dtype}; real numbers are needed")
    rows = as_rows(values, inputs)
    if rows is None:
        raise BadInput(
            f"inputs have shape {values.shape}; (n, {inputs}) is needed, or n of as many numbers, "
            f"or one vector ({inputs},)"
        )
    if not np.isfinite(rows).all():
        raise BadInput("an input is not a finite number")
    return rows


def clamped(network: CompressedNetwork, x: NDArray[np.floating]) -> str | None:
    """How many of the inputs (n, inputs) have to be clamped, in words; None if none has to.

    One step beyond the range does not count: it is as rounding, and pixels from 0 to 1 go so far.
    """
    step = 2.0**-network.input.fraction
    low, high = network.input.low * step, network.input.high * step
    outside = int(np.count_nonzero((x < low - step) | (x > high + step)))
    if not outside:
        return None
    said = (
        f"{outside:,} of {x.size:,} inputs lie outside of {low:g} to {high:g}, the range that the "
        "network was compressed for, and are clamped"
    )
    bytes_given = x.min() >= 0 and x.max() <= _BYTE and not np.mod(x, 1).any()
    if high <= 1 and bytes_given:
        said += f": are they pixels of 0 to {_BYTE}, which must be divided by {_BYTE + 1}?"
    return said


def warn_if_clamped(network: CompressedNetwork, x: NDArray[np.floating]) -> None:
    """A `ClampedInputs` at the line of whoever called into this package, if there are any."""
    said = clamped(network, x)
    if said is None:
        return
    package, level = __name__.partition(".")[0], 2
    while _module(level).partition(".")[0] == package:
        level += 1
    warnings.warn(said, ClampedInputs, stacklevel=level)


def _module(level: int) -> str:
    """Name of the module that called, so many levels above; empty beyond the outermost."""
    try:
        return str(sys._getframe(level).f_globals.get("__name__", ""))
    except ValueError:
        return ""
