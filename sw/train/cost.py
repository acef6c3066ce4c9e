"""About how many bits an adaptive coder spends on each weight, while training goes on."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["code_costs", "probability_left", "total_bits"]

_LEAST, _MOST = 1e-4, 0.95  # probabilities that a coder can learn from matrices of this size


def probability_left(left: Tensor) -> Tensor:
    """Probability (rows, columns) that a weight is not pruned, as a coder can know it.

    That of its row times that of its column over that of all.

    Parameters
    ----------
    left : (rows, columns) float32 Tensor
        1 where it is not.
    """
    rows = (left.sum(1) + 0.5) / (left.shape[1] + 1)
    columns = (left.sum(0) + 0.5) / (left.shape[0] + 1)
    # Not the mean of `left`, which is 0 for a layer without weights.
    whole = torch.maximum(rows.mean(), columns.mean())
    return (rows[:, None] * columns / whole).clamp(_LEAST, _MOST)


def code_costs(codes: Tensor, values: int) -> Tensor:
    """Bits (rows * columns, values) that each code would take at each place.

    Parameters
    ----------
    codes : (rows, columns) int64 Tensor
        0 where pruned; the others cost what their frequencies say.
    values : int
        Codes that there are.
    """
    p = probability_left((codes != 0).float()).flatten()
    counts = torch.bincount(codes.flatten(), minlength=values)[1:] + 0.5
    of_value = -(counts / counts.sum()).log2()
    return torch.cat([-(1 - p).log2()[:, None], of_value - p.log2()[:, None]], 1)


def total_bits(codes: Tensor, values: int) -> float:
    """Bits that all codes of a layer take."""
    return float(code_costs(codes, values).gather(1, codes.flatten()[:, None]).sum())
