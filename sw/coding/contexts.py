"""A matrix of codes as a coder sees it: batches of weights, each with its known neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mask_model import Mask
from .neighbours import Codes, Neighbours, Setting, batches, levels
from .range_coder import Coder
from .value_model import Values

__all__ = ["code_matrix"]


def code_matrix(
    coder: Coder,
    setting: Setting,
    active: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    values: int,
    codes: Codes | None,
) -> Codes:
    """Code a matrix, or decode it.

    Parameters
    ----------
    active : (rows,) and (columns,) bool
        False only for rows and columns that are all 0.
    values : int
        Number of codes, 0 among them; 2 at least.
    codes : (rows, columns) uint8, optional
        None: decode.

    Returns
    -------
    (rows, columns) uint8
    """
    rows, columns = (np.flatnonzero(flags) for flags in active)
    matrix = np.zeros((len(active[0]), len(active[1])), np.uint8)
    if not (len(rows) and len(columns)):
        return matrix
    near = Neighbours(setting.stride)
    height, width = near.above + len(matrix), len(columns)
    plane = np.zeros(height * width, np.uint8)  # what is known, below rows of 0
    known = None if codes is None else codes[:, columns].ravel()
    level = levels(values, setting.split)
    mask, model = Mask(setting, height, width, level), Values(setting, height, width, level)
    for batch in batches(rows + near.above, width):
        row, column = batch.rows[batch.chunk], np.arange(batch.columns.start, batch.columns.stop)
        place = row * width + column
        around = plane[place - near.distances[:, None] * width]
        now = None if known is None else known[place - near.above * width]
        bits = mask.code(coder, batch, around, None if now is None else (now > 0).astype(np.int64))
        some = np.flatnonzero(bits)
        if len(some):
            plane[place[some]] = model.code(
                coder, row[some], column[some], around[:, some], None if now is None else now[some]
            )
    matrix[:, columns] = plane[near.above * width :].reshape(len(matrix), width)
    return matrix
