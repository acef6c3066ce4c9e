"""Shapes in model graphs, and where in a file a message is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

__all__ = ["fixed_shape", "naming", "per_row"]


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Puts `where` before the message of a BadInput.

    Names in a file may hold anything: what a terminal would obey is not printed.
    """
    try:
        yield
    except BadInput as error:
        message = f"{where}: {error}"
        raise BadInput("".join(c if c.isprintable() else "?" for c in message)) from error


def fixed_shape(
    sizes: Sequence[int | str | None], given: tuple[int, ...] | None
) -> tuple[int | None, tuple[int, ...]]:
    """Batch size, None if it is open, and the shape of one input.

    Parameters
    ----------
    sizes : sequence of int, str or None
        Dimensions of the graph's input; text or None where the graph leaves one open.
    given : tuple of int, optional
        What they are without the batch, as the user says.

    Raises
    ------
    BadInput
        If there is no batch, or a dimension is open and not given.
    """
    if len(sizes) < 2:
        raise BadInput(f"it has shape {list(sizes)}; it must be (batch, ...), and all of it known")
    shape = []
    for place, size in enumerate(sizes[1:]):
        if not isinstance(size, int):
            if given is None or len(given) != len(sizes) - 1:
                raise BadInput(
                    f"dimension {place + 1} of its shape {list(sizes)} is dynamic; only the batch "
                    "may be: export it with a fixed shape, or give the shape of an input"
                )
            size = given[place]
        if size < 1:
            raise BadInput(f"dimension {place + 1} of its shape {list(sizes)} is {size}")
        shape.append(size)
    batch = sizes[0] if isinstance(sizes[0], int) and sizes[0] > 0 else None
    return batch, tuple(shape)


def per_row(array: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """A constant that activations are added to or multiplied by, as one value a row (rows,).

    Parameters
    ----------
    array : broadcast against (batch, *shape) as NumPy does
    shape : of the activations of one input: (rows,) or (rows, height, width)

    Raises
    ------
    BadInput
        If it differs along another dimension than that of the rows.
    """
    full = (1,) * (len(shape) + 1 - array.ndim) + array.shape
    others = [*full[:1], *full[2:]]
    if len(full) != len(shape) + 1 or full[1] not in (1, shape[0]) or set(others) != {1}:
        raise BadInput(
            f"a constant of shape {array.shape} meets activations of shape {tuple(shape)}; it must "
            f"be one value for each of {shape[0]} rows"
        )
    return np.broadcast_to(array.reshape(-1), shape[0])
