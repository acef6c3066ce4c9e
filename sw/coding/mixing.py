"""Logistic mixing that gives the same bits everywhere.

Encoder and decoder must compute the same probabilities on any machine. So all that is added up is
rounded before, to multiples of powers of two so large that float64 holds every partial sum exactly,
whatever the order; the rest is single IEEE 754 operations on float64, and look-ups in tables of
correctly rounded multiples of 2**-20.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .range_coder import ONE

__all__ = ["Mixer", "exponential", "logarithm", "rounded", "squash"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LOGIT_MAX, _TILT_MAX, _FEATURE_MAX, _WEIGHT_MAX = 12, 8, 16, 16
_LOGIT_STEPS, _TILT_STEPS, _LOG_STEPS = 64, 32, 1024  # of the tables, a unit
_FEATURE_ONE = 1 << 12


def rounded(numbers: NDArray[Any], one: int) -> Floats:
    """The nearest multiples of ``1 / one``."""
    found: Floats = np.rint(numbers * float(one)) / one
    return found


def _limited(numbers: Floats, low: float, high: float) -> Floats:
    found: Floats = np.minimum(np.maximum(numbers, low), high)  # np.clip is slow on short arrays
    return found


def _table(numbers: Sequence[decimal.Decimal]) -> Floats:
    return np.array([int((ONE * number).to_integral_value()) for number in numbers]) / ONE


with decimal.localcontext(prec=40):
    _1 = decimal.Decimal(1)
    _SQUASH = _table(
        [
            1 / (1 + (_LOGIT_MAX - _1 * i / _LOGIT_STEPS).exp())
            for i in range(2 * _LOGIT_MAX * _LOGIT_STEPS + 2)
        ]
    )
    _EXP = _table(
        [(_1 * i / _TILT_STEPS - _TILT_MAX).exp() for i in range(2 * _TILT_MAX * _TILT_STEPS + 2)]
    )
    _LOG = _table([(1 + _1 * i / _LOG_STEPS).ln() for i in range(_LOG_STEPS)])
    _LOG_2 = float(_table([(2 * _1).ln()])[0])


def logarithm(x: Floats) -> Floats:
    """Natural logarithm of x > 0, at most 0.001 less than it is."""
    mantissa, exponent = np.frexp(x)  # mantissa from 0.5, below 1
    place = (mantissa * (2 * _LOG_STEPS)).astype(np.int64) - _LOG_STEPS
    return _LOG[place] + (exponent - 1) * _LOG_2


def exponential(x: Floats) -> Floats:
    """exp(x) of x limited to -8 … 8, interpolated linearly at steps of 1/32."""
    return _interpolated(_EXP, (_limited(x, -_TILT_MAX, _TILT_MAX) + _TILT_MAX) * _TILT_STEPS)


def squash(logits: Floats) -> Integers:
    """1 / (1 + exp(-x)) of x limited to -12 … 12 as a coder takes it, in units of 1 / ONE."""
    x = (_limited(logits, -_LOGIT_MAX, _LOGIT_MAX) + _LOGIT_MAX) * _LOGIT_STEPS
    return _limited(_interpolated(_SQUASH, x) * ONE, 1, ONE - 1).astype(np.int64)


def _interpolated(table: Floats, x: Floats) -> Floats:
    place = x.astype(np.int64)
    low = table[place]
    return low + (table[place + 1] - low) * (x - place)


class Mixer:
    """A weighted sum of features, the weights learned on the way.

    Parameters
    ----------
    weights : sequence of float
        At the start.
    slow, fast : float
        Learning rate in the end, and what it is more at the start.
    delay : float
        Variance of what was learned from after which half of `fast` is left.
    """

    def __init__(self, weights: Sequence[float], slow: float, fast: float, delay: float) -> None:
        self.weights = np.array(weights)
        self.slow, self.fast, self.delay = slow, fast, delay
        self._seen = 0.0

    @staticmethod
    def features(numbers: Sequence[NDArray[Any]]) -> Floats:
        """Features (features, n), limited to -16 … 16 and rounded to 2**-12."""
        stacked = np.stack(numbers).astype(np.float64)
        return rounded(_limited(stacked, -_FEATURE_MAX, _FEATURE_MAX), _FEATURE_ONE)

    def mix(self, features: Floats) -> Floats:
        """Weighted sums (n,)."""
        mixed: Floats = rounded(self.weights, ONE) @ features
        return mixed

    def learn(self, features: Floats, error: Floats, variance: float) -> None:
        """Follow the gradient.

        Parameters
        ----------
        error : (n,), magnitudes below 1; n <= 2**16
            What was found less what was expected.
        variance : float
            Expected sum of squared errors.
        """
        rate = self.slow + self.fast / (1 + self._seen / self.delay)
        # A step over a large batch must not leave the region in which the gradient holds.
        rate = min(rate, 1 / (8 * variance + 0.001))
        self._seen += variance
        weights = self.weights + rate * (features @ rounded(error, ONE))
        self.weights = _limited(weights, -_WEIGHT_MAX, _WEIGHT_MAX)
