"""From the nodes of a model graph to a network: what the readers of graphs share.

Messages in here have no subject: the readers put the file and the node before them (`naming`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer

from .draft import Draft, Value, count_uses
from .fusing import check_geometry, elementwise, mean, with_pool, with_relu, with_scale
from .shapes import per_row
from .window import Window

__all__ = ["Builder", "count_uses"]

_MAX_PARTS = 255  # tensors that one layer takes


class Builder(Draft):
    """A network in the making: nodes are added in the order in which they are executed.

    A node becomes a part of the layers before it where that is exact and nothing else takes what
    they give: ReLU, pooling, batch normalisation, sums and products with constants. Elsewhere it
    is a layer of its own, a depthwise convolution. Concatenations are sources of what takes them.
    """

    def dense(
        self, name: str, weights: NDArray[np.float64], bias: NDArray[np.float64] | None = None
    ) -> None:
        """A fully connected layer; weights (rows, columns), bias (rows,) or anything `per_row`."""
        if weights.ndim != 2 or 0 in weights.shape:
            raise BadInput(f"its weights have shape {weights.shape}; they must be a matrix")
        rows, columns = weights.shape
        if self.shape != (columns,):
            raise BadInput(
                f"it takes {columns} activations but is given those of shape {self.shape}"
                + ("; they must be flattened first" if len(self.shape) > 1 else "")
            )
        offset = np.zeros(rows) if bias is None else per_row(bias, (rows,))
        self._append(Layer(name, weights, offset, relu=False), self._one().parts)

    def convolution(
        self,
        name: str,
        weights: NDArray[np.float64],
        bias: NDArray[np.float64] | None,
        window: Window,
        groups: int = 1,
    ) -> None:
        """A convolution; weights (rows, channels / groups, height, width), bias (rows,)."""
        if weights.ndim != 4 or 0 in weights.shape:
            raise BadInput(
                f"its weights have shape {weights.shape}; they must be (outputs, channels, height, "
                "width)"
            )
        rows, channels = weights.shape[0], weights.shape[1] * groups
        if bias is not None and bias.shape != (rows,):
            raise BadInput(f"its bias has shape {bias.shape}; with its weights it is {(rows,)}")
        window.check_convolution()
        if window.kernel != weights.shape[2:]:
            raise BadInput(
                f"its kernel is {list(window.kernel)} but its weights have shape {weights.shape}"
            )
        if groups < 1 or rows % groups:
            raise BadInput(f"its {rows} output channels do not split into {groups} groups")
        if len(self.shape) != 3 or self.shape[0] != channels:
            raise BadInput(
                f"it takes {channels} channels but is given activations of shape {self.shape}"
            )
        geometry = _geometry(self.shape, window, groups)
        offset = np.zeros(rows) if bias is None else bias
        layer = Layer(name, weights.reshape(rows, -1), offset, False, geometry)
        self._append(layer, self._one().parts)

    def add(self) -> None:
        """The sum of all that the node takes."""
        values = self._given()
        if len({value.shape for value in values}) > 1:
            raise BadInput(
                f"it adds activations of shapes {_shapes(values)}; they must be the same"
            )
        if len(values) == 1:
            return self.keep()
        if len(values) > _MAX_PARTS:
            raise BadInput(f"it adds {len(values)} tensors; at most {_MAX_PARTS} can be")
        parts = [self._single(name) for name in self._inputs]
        return self._transform(self._identity(self._label, values[0].shape), parts, added=True)

    def concatenate(self, axis: int) -> None:
        """All that the node takes, one after the other along the first dimension of an input."""
        values = self._given()
        ranks, tails = ({len(v.shape) for v in values}, {v.shape[1:] for v in values})
        if len(tails) > 1:
            raise BadInput(
                f"it concatenates activations of shapes {_shapes(values)}; they must be the same "
                "but for the first dimension"
            )
        if axis not in (1, -min(ranks)):
            raise BadInput(f"its axis is {axis}; it must be 1, the first after the batch")
        if (count := sum(len(value.parts) for value in values)) > _MAX_PARTS:
            raise BadInput(f"it concatenates {count} tensors; at most {_MAX_PARTS} can be")
        parts = tuple(part for value in values for part in value.parts)
        shape = (sum(value.shape[0] for value in values), *values[0].shape[1:])
        self._give(parts, shape, all(value.sole for value in values))

    def scale(self, factor: NDArray[np.float64], offset: NDArray[np.float64]) -> None:
        """Every channel times `factor`, plus `offset`, both (channels,)."""

        def scaled(layer: Layer, rows: slice) -> Layer | None:
            return with_scale(layer, factor[rows], offset[rows])

        if not self._fuse(scaled, whole=True):
            shape = self.shape
            self._make(shape[0])
            self._transform(elementwise(self._label, shape, factor, offset), self._one().parts)

    def normalise(
        self,
        factor: NDArray[np.float64],
        offset: NDArray[np.float64],
        mean: NDArray[np.float64],
        variance: NDArray[np.float64],
    ) -> None:
        """Batch normalisation: `factor` (x - `mean`) / sqrt(`variance`) + `offset`, each (rows,).

        Ioffe and Szegedy (2015), algorithm 2; epsilon is in the variance.
        """
        rows = self.shape[0]
        for values in (factor, offset, mean, variance):
            if values.shape != (rows,):
                raise BadInput(
                    f"it has constants of shape {values.shape}; it is given {rows} channels"
                )
        if (least := variance.min()) <= 0:
            raise BadInput(f"a variance and epsilon are {least} in sum; they must be above 0")
        factor = factor / np.sqrt(variance)
        self.scale(factor, offset - factor * mean)

    def relu(self) -> None:
        """ReLU."""
        value = self._one()
        if all(part and self._layers[part - 1].relu for part in value.parts):
            return self.keep()
        if self._fuse(lambda layer, _: with_relu(layer), whole=False):
            return None
        layer = dataclasses.replace(self._identity(self._label, value.shape), relu=True)
        return self._transform(layer, value.parts)

    def max_pool(self, window: Window, ceil: bool = False) -> None:
        """Max pooling; `ceil` is whether windows that are not full count."""
        window.check_max_pooling()
        channels, height, width = self._plane()
        side, stride = window.kernel[0], window.strides[0]
        geometry = Convolution(
            channels, height, width, 1, 1, groups=channels, pool=side, overlap=side - stride
        )
        check_geometry(geometry)
        _check_full((height, width), window, ceil)
        if side == 1:
            return self.keep()
        if side == height == width:
            stride = side
        if self._fuse(lambda layer, _: with_pool(layer, side, stride, False), whole=True):
            return None
        layer = with_pool(self._identity(self._label, self.shape), side, stride, False)
        assert layer is not None
        return self._append(layer, self._one().parts)

    def average_pool(self, window: Window, ceil: bool = False) -> None:
        """Average pooling; `ceil` is whether windows that are not full count."""
        window.check_average_pooling()
        channels, height, width = self._plane()
        side, stride = window.kernel[0], window.strides[0]
        geometry = _geometry(self.shape, window, channels)
        _check_full((height, width), window, ceil)
        if window.kernel == (height, width):
            stride = side
            geometry = dataclasses.replace(geometry, stride=1)
        if window.kernel == (1, 1) and stride == 1:
            return self.keep()
        square = window.kernel == (side, side) and not side & (side - 1) and stride <= side
        if square and self._fuse(lambda layer, _: with_pool(layer, side, stride, True), whole=True):
            return None
        self._make(channels * geometry.columns)
        return self._append(mean(self._label, geometry), self._one().parts)

    def global_average(self, keep: bool = True) -> None:
        """The mean of every plane; `keep` is whether planes of 1 × 1 are left."""
        channels, height, width = self._plane()
        self.average_pool(Window((height, width), (1, 1)))
        if not keep:
            value = self._values[self._output]
            self._values[self._output] = dataclasses.replace(value, shape=(channels,))

    def reshape(self, target: Sequence[int | None]) -> None:
        """Another view of the same activations, which leaves the inputs of a batch apart.

        Parameters
        ----------
        target : sequence of int or None
            With the batch dimension; None is the size of the batch, one -1 what is left.
        """
        size = math.prod(self.shape)
        shape = [-1 if length is None else length for length in target[1:]]
        batch = target[0] if target else 0
        if shape.count(-1) == 1 and batch != -1:
            known = -math.prod(shape)
            shape[shape.index(-1)] = size // known if known else 0
        kept = batch in (None, -1) or (batch is not None and batch == self.batch)
        if not kept or None in target[1:] or min(shape, default=0) < 1 or math.prod(shape) != size:
            given = ["batch", *self.shape] if self.batch is None else [self.batch, *self.shape]
            raise BadInput(
                f"it reshapes {given} to {['batch' if n is None else n for n in target]}; the "
                "batch dimension must stay as it is"
            )
        self._give(self._one().parts, tuple(shape), self._one().sole)

    def flatten(self) -> None:
        """All activations of an input in one dimension."""
        self._give(self._one().parts, (math.prod(self.shape),), self._one().sole)

    def keep(self) -> None:
        """What changes nothing."""
        self._give(self._one().parts, self.shape, self._one().sole)

    def softmax(self, axis: int) -> None:
        """Softmax or its logarithm, at the very end, where it does not change the order."""
        if len(self.shape) != 1 or axis not in (1, -1):
            raise BadInput(
                f"its axis is {axis} of activations of shape {self.shape}; a softmax must be over "
                "all outputs of an input"
            )
        self.keep()
        self._values[self._output] = dataclasses.replace(self._values[self._output], ended=True)

    def _plane(self) -> tuple[int, int, int]:
        """Channels, height and width of what the node is given."""
        if len(self.shape) != 3:
            raise BadInput(
                f"it pools activations of shape {self.shape}; they must be (channels, height, "
                "width)"
            )
        channels, height, width = self.shape
        return channels, height, width


def _shapes(values: Sequence[Value]) -> str:
    """The shapes that there are among values."""
    return " and ".join(str(shape) for shape in dict.fromkeys(value.shape for value in values))


def _geometry(shape: Sequence[int], window: Window, groups: int) -> Convolution:
    """A convolution of (channels, height, width) by a window that was checked."""
    channels, height, width = shape
    kernel_height, kernel_width = window.kernel
    geometry = Convolution(
        channels,
        height,
        width,
        kernel_height,
        kernel_width,
        window.strides[0],
        window.pads[0],
        groups=groups,
    )
    check_geometry(geometry)
    return geometry


def _check_full(plane: Sequence[int], window: Window, ceil: bool) -> None:
    """Refuse windows that are not full where they count."""
    rests = [
        (length - side) % window.strides[0]
        for length, side in zip(plane, window.kernel, strict=True)
    ]
    if ceil and any(rests):
        raise BadInput(
            f"it pools {list(plane)} by {window.kernel[0]} and counts windows that are not full "
            "(ceil_mode); only full windows are supported"
        )
