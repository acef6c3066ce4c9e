"""The model of which weights are not 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .mixing import Mixer, logarithm, rounded, squash
from .neighbours import Batch, Codes, Floats, Integers, Neighbours, Setting
from .range_coder import ONE, Coder

__all__ = ["Mask"]

_FADE = 0.9375  # of the past, in what is recent


class Mask:
    """Logistic mixing of how full a weight's row, column and neighbourhood are.

    Parameters
    ----------
    rows, columns : int
        Of the matrix; rows with the `Neighbours.above` that are thought above it.
    level : (values,) int64
        Of each code.
    """

    def __init__(self, setting: Setting, rows: int, columns: int, level: Integers) -> None:
        self._near = Neighbours(setting.stride)
        sizes = np.abs(level)
        self._excess = rounded(np.maximum(sizes - 1, 0) * (4 / int(sizes.max())), 64)
        self._logit = (setting.density - 128) / 10
        self._share = int(squash(np.array([self._logit]))[0]) / ONE
        # Of each, ones and all.
        self._row = np.zeros((2, rows), np.int64)
        self._column = np.zeros((2, columns), np.int64)
        self._recent = np.zeros((2, columns))
        self._pattern = np.zeros((2, 1 << len(self._near.inner)), np.int64)
        weights = [0.0, 0.5, 0.2, 0.2, 0.5, 0.5, 0.05] + [0.15] * len(self._near.inner)
        self._mixer = Mixer(weights, 0.002, 0.02, 300.0)

    def code(self, coder: Coder, batch: Batch, near: Codes, bits: Integers | None) -> Integers:
        """Code which weights (n,) of a batch are not 0.

        Parameters
        ----------
        near : (k, n) uint8
            Codes of the neighbours.
        bits : (n,) int64, optional
            None: decode.
        """
        inner = (near[self._near.inner] > 0).astype(np.float64)
        pattern = ((1 << np.arange(len(inner))) @ inner).astype(np.int64)
        features = self._features(batch, near, inner, pattern)
        ones = squash(self._mixer.mix(features) + self._logit)
        bits = coder.bits(ones, bits)
        variance = int((ones * (ONE - ones) >> 20).sum()) / ONE
        self._mixer.learn(features, bits - ones / ONE, variance)
        self._count(batch, pattern, bits)
        return bits

    def _features(self, batch: Batch, near: Codes, inner: Floats, pattern: Integers) -> Floats:
        share, weighted = self._share, self._near.shares
        around = weighted @ self._row[:, self._near.rows(batch.rows)].astype(np.float64)
        row_share = (around[0] + 2 * share) / (around[1] + 2)
        row_logit = logarithm(row_share / (1 - row_share))
        row_odds = _odds(self._row[:, batch.rows], row_share, 2) - row_logit
        counts = [
            self._column[:, batch.columns],
            self._recent[:, batch.columns],
            self._pattern[:, pattern],
        ]
        return Mixer.features(
            [
                np.ones(len(pattern)),
                *(_odds(np.stack(counts, axis=1), share, 1) - self._logit),
                (row_logit - self._logit)[batch.chunk],
                row_odds[batch.chunk],
                weighted @ self._excess[near],
                *inner,
            ]
        )

    def _count(self, batch: Batch, pattern: Integers, bits: Integers) -> None:
        self._row[0, batch.rows] += np.add.reduceat(bits, batch.starts)
        self._row[1, batch.rows] += np.bincount(batch.chunk)
        known = np.stack([bits, np.ones_like(bits)])
        self._column[:, batch.columns] += known
        self._recent[:, batch.columns] = self._recent[:, batch.columns] * _FADE + known
        size = self._pattern.shape[1]
        self._pattern[0] += np.bincount(pattern[bits > 0], minlength=size)
        self._pattern[1] += np.bincount(pattern, minlength=size)


def _odds(counts: NDArray[Any], share: Floats | float, strength: float) -> Floats:
    """Logit of the share of ones, after (ones, all) of them, and `strength` of `share` before."""
    ones, count = counts
    return logarithm((ones + strength * share) / (count - ones + strength * (1 - share)))
