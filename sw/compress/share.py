"""Weight sharing: a codebook of few weights, and a code for each weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.layouts import CODE_BITS_MAX
from sw.errors import BadInput

from .kmeans import Initialisation, Method, cluster, nearest

__all__ = ["share", "share_values", "squared_error"]

_CHUNK = 1 << 20  # weights that exist a second time at once


def share(
    weights: NDArray[np.float64],
    code_bits: int,
    method: Method = "optimal",
    initialisation: Initialisation = "linear",
    seed: int = 0,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """`share_values` with as many values as codes of this width can name.

    Parameters
    ----------
    code_bits : int
        1 to 8; gives ``2**code_bits - 1`` centroids, code 0 being kept for pruned weights.

    Raises
    ------
    BadInput
        If `code_bits` is out of range; or as `share_values` does.
    """
    if not 1 <= code_bits <= CODE_BITS_MAX:
        raise BadInput(f"code bits are {code_bits}; they must be from 1 to {CODE_BITS_MAX}")
    return share_values(weights, (1 << code_bits) - 1, method, initialisation, seed)


def share_values(
    weights: NDArray[np.float64],
    values: int,
    method: Method = "optimal",
    initialisation: Initialisation = "linear",
    seed: int = 0,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Replace each non-zero weight by the nearest of few centroids (Han et al. 2016, section 3).

    Parameters
    ----------
    weights : (outputs, inputs) float64
        Zeros are pruned weights.
    values : int
        Greatest number of distinct weights beside 0, 1 to 255.
    method : "optimal" or "lloyd"
        As `cluster` has them: the least squared error that there is, or Lloyd's iteration.
    initialisation : "linear", "density" or "forgy"
        Where Lloyd's iteration starts.
    seed : int
        Of "forgy".

    Returns
    -------
    codes : (outputs, inputs) uint8
        0 where the weight is 0, otherwise the place of its centroid.
    centroids : (n,) float64
        ``centroids[0] == 0``, the others ascending. Exact if there are few distinct weights.

    Raises
    ------
    BadInput
        If `values` is out of range, a weight is not finite, or there is no such method.
    """
    most = (1 << CODE_BITS_MAX) - 1
    if not 1 <= values <= most:
        raise BadInput(f"a layer is to have {values} distinct weights; it can have 1 to {most}")
    centroids = cluster(weights[weights != 0], values, method, initialisation, seed)
    codes = np.zeros(weights.shape, np.uint8)
    flat, flat_codes = weights.reshape(-1), codes.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        flat_codes[part] = np.where(flat[part] != 0, nearest(flat[part], centroids) + 1, 0)
    return codes, np.concatenate([[0.0], centroids])


def squared_error(
    weights: NDArray[np.float64], codes: NDArray[np.integer], centroids: NDArray[np.float64]
) -> float:
    """Sum of ``(weights - centroids[codes])**2``.

    Parameters
    ----------
    weights : float64, of any shape
    codes : integers, of the same shape
    centroids : (n,) float64
    """
    flat, flat_codes = weights.reshape(-1), codes.reshape(-1)
    return sum(
        float(
            np.square(
                flat[start : start + _CHUNK] - centroids[flat_codes[start : start + _CHUNK]]
            ).sum()
        )
        for start in range(0, flat.size, _CHUNK)
    )
