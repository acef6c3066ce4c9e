"""From the nodes of a model graph to a network: what the readers of graphs share.

Messages in here have no subject: the readers put the file and the node before them (`naming`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer, Network

from .arrays import MAX_VALUES
from .window import Window

__all__ = ["Chain", "fixed_shape", "naming", "per_row"]


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
    """A constant that is added to activations, as one value a row (rows,).

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
            f"a constant of shape {array.shape} is added to activations of shape {tuple(shape)}; "
            f"it must be one value for each of {shape[0]} rows"
        )
    return np.broadcast_to(array.reshape(-1), shape[0])


class Chain:
    """A network in the making: nodes are added in the order in which they are executed.

    Parameters
    ----------
    name : str
        Of the graph's input.
    shape : tuple of int
        Of one input, without the batch dimension.
    batch : int, optional
        Size of the batch dimension, if the graph fixes it.

    Attributes
    ----------
    shape : tuple of int
        Of the activations that the next node is given, without the batch dimension.
    layers : list of Layer
    """

    def __init__(self, name: str, shape: tuple[int, ...], batch: int | None) -> None:
        _check_size(shape)
        self.shape = shape
        self.batch = batch
        self.layers: list[Layer] = []
        self._value = name
        self._before: set[str] = set()
        self._ended = False

    def enter(self, inputs: Sequence[str], output: str) -> None:
        """Begin a node.

        Parameters
        ----------
        inputs : sequence of str
            What it takes, constants left out.
        output : str
            What it gives.

        Raises
        ------
        BadInput
            If it does not take what the node before gives, and only that.
        """
        for name in inputs:
            if name in self._before:
                raise BadInput(
                    f"it takes {name!r}, which another node takes too; graphs that branch are not "
                    "supported"
                )
            if name != self._value:
                raise BadInput(
                    f"it takes {name!r}, which no node before it gives and which is no constant"
                )
        if len(inputs) != 1:
            raise BadInput(
                f"it takes {len(inputs)} values that are not constants; one is supported"
            )
        if self._ended:
            raise BadInput("it stands after a softmax, which is supported at the very end only")
        if output in self._before or output == self._value:
            raise BadInput(f"it gives {output!r}, which is given before")
        self._before.add(self._value)
        self._value = output

    def network(self, output: str) -> Network:
        """The finished network.

        Parameters
        ----------
        output : str
            Name of the graph's output.

        Raises
        ------
        BadInput
            If that is not what the last node gives, there is no layer, or a number is not finite.
        """
        if output in self._before:
            raise BadInput(f"nodes stand after the output {output!r}")
        if output != self._value:
            raise BadInput(f"no node gives the output {output!r}; the last gives {self._value!r}")
        if not self.layers:
            raise BadInput("the model has no convolution and no fully connected layer")
        for layer in self.layers:
            if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
                raise BadInput(
                    f"layer {layer.name!r} overflows: what is folded into it is too large"
                )
        return Network(tuple(self.layers))

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
        self._append(Layer(name, weights, offset, relu=False))

    def convolution(
        self,
        name: str,
        weights: NDArray[np.float64],
        bias: NDArray[np.float64] | None,
        window: Window,
        group: int = 1,
    ) -> None:
        """A convolution; weights (rows, channels, height, width), bias (rows,)."""
        if weights.ndim != 4 or 0 in weights.shape:
            raise BadInput(
                f"its weights have shape {weights.shape}; they must be (outputs, channels, height, "
                "width)"
            )
        rows, channels = weights.shape[:2]
        if bias is not None and bias.shape != (rows,):
            raise BadInput(f"its bias has shape {bias.shape}; with its weights it is {(rows,)}")
        window.check_convolution(group)
        if window.kernel != weights.shape[2:]:
            raise BadInput(
                f"its kernel is {list(window.kernel)} but its weights have shape {weights.shape}"
            )
        if len(self.shape) != 3 or self.shape[0] != channels:
            raise BadInput(
                f"it takes {channels} channels but is given activations of shape {self.shape}"
            )
        _, height, width = self.shape
        kernel_height, kernel_width = window.kernel
        geometry = Convolution(
            channels, height, width, kernel_height, kernel_width, window.strides[0], window.pads[0]
        )
        _check_geometry(geometry)
        flat = weights.reshape(rows, -1)
        offset = np.zeros(rows) if bias is None else bias
        self._append(Layer(name, flat, offset, relu=False, convolution=geometry))

    def scale(
        self, factor: NDArray[np.float64] | float, offset: NDArray[np.float64] | float
    ) -> None:
        """Every row times `factor`, plus `offset`, both (rows,), folded into the layer before."""
        layer = self._last()
        if layer.relu or (layer.convolution is not None and layer.convolution.pool != 1):
            raise BadInput(
                "it can be folded into a convolution or fully connected layer right before it "
                "only, not over a ReLU or pooling"
            )
        self._replace(
            weights=layer.weights * np.reshape(factor, (-1, 1)), bias=layer.bias * factor + offset
        )

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
        rows = len(self._last().bias)
        for values in (factor, offset, mean, variance):
            if values.shape != (rows,):
                raise BadInput(
                    f"it has constants of shape {values.shape}; the layer before it has {rows} rows"
                )
        if (least := variance.min()) <= 0:
            raise BadInput(f"a variance and epsilon are {least} in sum; they must be above 0")
        factor = factor / np.sqrt(variance)
        self.scale(factor, offset - factor * mean)

    def relu(self) -> None:
        """ReLU, which is the same before and after max pooling."""
        self._last(whole=False)
        self._replace(relu=True)

    def pool(self, window: Window, ceil: bool = False) -> None:
        """Max pooling; `ceil` is whether windows that are not full count."""
        window.check_pooling()
        side = window.kernel[0]
        geometry = self._last().convolution
        if geometry is None or geometry.pool != 1:
            raise BadInput("max pooling is supported once, after a convolution")
        if side == 1:
            return
        pooled = dataclasses.replace(geometry, pool=side)
        _check_geometry(pooled)
        if ceil and any(length % side for length in geometry.positions):
            raise BadInput(
                f"it pools {list(geometry.positions)} by {side} and counts windows that are not "
                "full (ceil_mode); only full windows are supported"
            )
        self._replace(convolution=pooled)
        self.shape = (self.shape[0], *pooled.plane)

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
        self.shape = tuple(shape)

    def flatten(self) -> None:
        """All activations of an input in one dimension."""
        self.shape = (math.prod(self.shape),)

    def softmax(self, axis: int) -> None:
        """Softmax or its logarithm, at the very end, where it does not change the order."""
        if len(self.shape) != 1 or axis not in (1, -1):
            raise BadInput(
                f"its axis is {axis} of activations of shape {self.shape}; a softmax must be over "
                "all outputs of an input"
            )
        self._ended = True

    def _last(self, whole: bool = True) -> Layer:
        """The layer before; `whole`: its outputs must not have been given another shape."""
        if not self.layers:
            raise BadInput("no convolution or fully connected layer stands before it")
        layer = self.layers[-1]
        plane = () if layer.convolution is None else layer.convolution.plane
        shape = (len(layer.bias), *plane)
        if whole and self.shape != shape:
            raise BadInput(f"activations of shape {shape} are reshaped to {self.shape} before it")
        return layer

    def _append(self, layer: Layer) -> None:
        names = {other.name for other in self.layers}
        name, count = layer.name, 1
        while name in names:
            count += 1
            name = f"{layer.name}_{count}"
        plane = () if layer.convolution is None else layer.convolution.plane
        self.shape = (len(layer.bias), *plane)
        _check_size(self.shape)
        self.layers.append(dataclasses.replace(layer, name=name))

    def _replace(self, **change: Any) -> None:
        self.layers[-1] = dataclasses.replace(self.layers[-1], **change)


def _check_size(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_VALUES:
        raise BadInput(f"activations of shape {shape} are more than {MAX_VALUES}")


def _check_geometry(geometry: Convolution) -> None:
    if (fault := geometry.fault()) is not None:
        raise BadInput(fault)
