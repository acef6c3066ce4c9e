"""Dead units: what no longer depends on the input becomes part of the next layers' biases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sw.convolution import Convolution
from sw.graph import consumers, sources

from .shared import Shared, sizes

__all__ = ["fold_dead"]


def fold_dead(layers: Sequence[Shared]) -> list[Shared]:
    """Layers that compute the same with fewer weights and biases.

    A row without weights gives the same output for all inputs: it goes into the biases of the
    layers that take it, with the weights that it meets there. A row that no weight of those layers
    meets loses its weights and its bias. Repeated until nothing changes.

    Fixed layers, and those that add their sources, take what they are given; fixed ones also keep
    their rows.
    """
    folded = list(layers)
    takers = consumers(layers)
    while True:
        weights = sum(np.count_nonzero(layer.codes) for layer in folded)
        for place in range(len(folded) - 1):
            _fold(folded, place, sorted(set(takers[place + 1])))
        if sum(np.count_nonzero(layer.codes) for layer in folded) == weights:
            return folded


def _fold(layers: list[Shared], place: int, takers: list[int]) -> None:
    """Fold the dead rows of one layer into those that take them."""
    before = layers[place]
    value = np.maximum(before.bias, 0.0) if before.relu else before.bias
    constant: NDArray[np.bool_] = np.count_nonzero(before.codes, axis=1) == 0
    unused = np.ones_like(constant)
    for taker in takers:
        for units in _units(layers, place, taker):
            if units is None:
                unused[:] = False
                continue
            after = layers[taker]
            if not (after.added or after.fixed):
                after = layers[taker] = _absorb(after, units, constant, value)
            met = np.count_nonzero(_blocks(after), axis=(1, 3)).ravel() > 0
            unused &= ~met[units].any(axis=1)
    if not before.fixed:
        layers[place] = dataclasses.replace(
            before,
            codes=np.where(unused[:, None], np.uint8(0), before.codes),
            bias=np.where(unused, 0.0, before.bias),
        )


def _units(layers: list[Shared], place: int, taker: int) -> list[NDArray[np.int64] | None]:
    """For each time that a layer takes another's outputs: inputs, or channels, (rows, n) of it.

    None where a row gives no whole channels.
    """
    after, rows, size = layers[taker], len(layers[place].bias), sizes(layers)
    found: list[NDArray[np.int64] | None] = []
    start = 0
    for tensor in sources(layers)[taker]:
        if tensor == place + 1:
            units = start + np.arange(size[tensor]).reshape(rows, -1)
            found.append(_channels(units, after.convolution))
        start += 0 if after.added else size[tensor]
    return found


def _channels(
    inputs: NDArray[np.int64], convolution: Convolution | None
) -> NDArray[np.int64] | None:
    """Channels (rows, 1) that inputs (rows, n) are the planes of; the inputs where all are met."""
    if convolution is None:
        return inputs
    plane = convolution.height * convolution.width
    if inputs.shape[1] != plane or inputs[0, 0] % plane:
        return None
    return inputs[:, :1] // plane


def _blocks(layer: Shared) -> NDArray[np.uint8]:
    """Codes (groups, rows, units, kernel): units are the channels of a group, or all inputs."""
    if layer.convolution is None:
        return layer.codes[None, :, :, None]
    where = layer.convolution
    shape = (where.groups, -1, where.channels // where.groups)
    return layer.codes.reshape(*shape, where.kernel_height * where.kernel_width)


def _absorb(
    after: Shared,
    units: NDArray[np.int64],
    constant: NDArray[np.bool_],
    value: NDArray[np.float64],
) -> Shared:
    """The layer with those rows of another in its biases that are constant."""
    if after.convolution is not None and after.convolution.padding > 0:
        # It meets the zeros around a plane too.
        constant = constant & (value == 0)
    if not constant.any():
        return after
    blocks = _blocks(after)
    shape = (len(blocks), 1, blocks.shape[2], 1)
    gone, given = np.zeros(shape, np.bool_), np.zeros(shape)
    gone.reshape(-1)[units] = constant[:, None]
    given.reshape(-1)[units] = np.where(constant, value, 0.0)[:, None]
    sums = after.centroids[np.where(gone, blocks, np.uint8(0))].sum(axis=3)
    return dataclasses.replace(
        after,
        codes=np.where(gone, np.uint8(0), blocks).reshape(after.codes.shape),
        bias=after.bias + (sums @ given[:, 0]).ravel(),
    )
