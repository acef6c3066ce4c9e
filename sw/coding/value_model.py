"""The model of which code a weight has that is not 0."""

from __future__ import annotations

import numpy as np

from .mixing import Mixer, exponential, logarithm, squash
from .neighbours import Codes, Floats, Integers, Neighbours, Setting
from .range_coder import ONE, Coder

__all__ = ["Values"]

_COUNT = 32  # what a code counts; half of it before it was seen
_COUNTS_MAX = 1 << 21  # sum of counts at which all are halved
_PART = 32  # what a count is multiplied by, for the tilt to be rounded off little


class Values:
    """The sign by logistic mixing of the signs around; the size by frequencies, tilted.

    Parameters
    ----------
    rows, columns : int
        As for `Mask`.
    level : (values,) int64
        Of each code.
    """

    def __init__(self, setting: Setting, rows: int, columns: int, level: Integers) -> None:
        self._near = Neighbours(setting.stride)
        self._level = level
        self._sizes, self._positive = np.abs(level[1:]), level[1:] > 0
        self._both = bool(self._positive.any() and not self._positive.all())
        self._counts = np.full(len(level) - 1, _COUNT // 2)
        # Of each, weights that are not 0, positive ones, and the sum of sizes.
        self._all = np.zeros(3, np.int64)
        self._row = np.zeros((3, rows), np.int64)
        self._column = np.zeros((3, columns), np.int64)
        self._pattern = np.zeros((2, 3 ** len(self._near.cross)), np.int64)
        weights = [1.0, 0.4, 0.4, 0.0, 0.2, *(0.75 * self._near.shares)]
        self._sign_mixer = Mixer(weights, 0.03, 0.05, 25.0)
        self._size_mixer = Mixer([0.4, 0.4, 0.8, 0.0, 0.0], 0.01, 0.03, 25.0)

    def code(
        self, coder: Coder, rows: Integers, columns: Integers, near: Codes, codes: Codes | None
    ) -> Codes:
        """Code the codes (n,) of weights that are not 0.

        Parameters
        ----------
        rows, columns : (n,) int64
            Of the weights.
        near : (k, n) uint8
            Codes of their neighbours.
        codes : (n,) uint8, optional
            None: decode.
        """
        if len(self._counts) == 1:
            return np.ones(len(rows), np.uint8)
        around = self._level[near]
        mean = (int(self._all[2]) + 2) / (int(self._all[0]) + 1)
        drift = (self._near.shares @ around.astype(np.float64)) / mean
        places = self._row[:, rows], self._column[:, columns]
        pattern, sign_features = self._sign_features(places, np.sign(around), drift)
        ones = np.full(len(rows), ONE * bool(self._positive[0]))
        if self._both:
            ones = squash(self._sign_mixer.mix(sign_features))
        size_features = self._size_features(places, np.abs(around), drift, mean)
        weights, expected = self._weights(ones, size_features, mean)
        symbols = coder.symbols(weights, None if codes is None else codes.astype(np.int64) - 1)
        signs, sizes = self._positive[symbols].astype(np.int64), self._sizes[symbols]
        if self._both:
            variance = int((ones * (ONE - ones) >> 20).sum()) / ONE
            self._sign_mixer.learn(sign_features, signs - ones / ONE, variance)
        error = (sizes - np.where(signs, expected[1], expected[0])) / mean
        size_features = np.where(signs, size_features[1], size_features[0])
        self._size_mixer.learn(size_features, np.clip(error, -1, 1), 0.25 * len(rows))
        self._count(rows, columns, pattern, symbols)
        return (symbols + 1).astype(np.uint8)

    def _sign_features(
        self, places: tuple[Integers, Integers], signs: Integers, drift: Floats
    ) -> tuple[Integers, Floats]:
        pattern = np.zeros(len(drift), np.int64)
        for index in self._near.cross:
            pattern = 3 * pattern + signs[index] + 1
        count, positive, _ = self._all
        usual = np.full(len(drift), positive + 0.5) / (count - positive + 0.5)
        alike, positive = self._pattern[:, pattern]
        here = (positive + 0.4) / (alike - positive + 0.4)
        balances = [(2 * positive - count) / (count + 2) for count, positive, _ in places]
        features = [logarithm(usual), *balances, drift, logarithm(here), *signs]
        return pattern, Mixer.features(features)

    def _size_features(
        self, places: tuple[Integers, Integers], sizes: Integers, drift: Floats, mean: float
    ) -> Floats:
        """Features (2, features, n) of a negative and of a positive weight."""
        shares = self._near.shares
        some = shares @ (sizes > 0).astype(np.float64)
        around = ((shares @ sizes.astype(np.float64)) / mean - some) / (some + 1)
        usual = [(total / mean - count) / (count + 2) for count, _, total in places]
        features = [*usual, around, 0.5 * some - 0.5]
        return np.stack([Mixer.features([*features, toward - 0.5]) for toward in (-drift, drift)])

    def _weights(self, ones: Integers, features: Floats, mean: float) -> tuple[Integers, Floats]:
        """Probabilities (n, codes); expected size (2, n) of a negative and of a positive weight.

        A size is as frequent as it was before, times exp(tilt * size).
        """
        shift = self._sizes / mean - 1
        weights = np.zeros((len(ones), len(self._counts)), np.int64)
        expected = np.zeros((2, len(ones)))
        for sign, chance in enumerate((ONE - ones, ones)):
            which = self._positive == bool(sign)
            tilt = self._size_mixer.mix(features[sign])
            tilted = exponential(tilt[:, None] * shift[which]) * self._counts[which]
            parts = np.maximum((tilted * _PART).astype(np.int64), 1)
            whole = np.maximum(parts.sum(axis=1), 1)
            weights[:, which] = parts * chance[:, None] // whole[:, None]
            expected[sign] = (parts @ self._sizes[which]) / whole
        weights[:, 0] += ONE - weights.sum(axis=1)
        return weights, expected

    def _count(
        self, rows: Integers, columns: Integers, pattern: Integers, symbols: Integers
    ) -> None:
        known = np.ones((3, len(symbols)), np.int64)
        known[1:] = self._positive[symbols], self._sizes[symbols]
        self._all += known.sum(axis=1)
        self._column[:, columns] += known
        for index in range(3):
            np.add.at(self._row[index], rows, known[index])
        for index in range(2):
            np.add.at(self._pattern[index], pattern, known[index])
        self._counts += _COUNT * np.bincount(symbols, minlength=len(self._counts))
        if int(self._counts.sum()) > _COUNTS_MAX:
            self._counts = (self._counts + 1) >> 1
