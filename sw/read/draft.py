"""The values and layers of a network in the making, and what may still be changed in them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sw.errors import BadInput
from sw.network import Layer, Network

from .arrays import MAX_VALUES
from .fusing import elementwise

__all__ = ["Draft", "Value", "count_uses"]

_MAX_MADE = 1 << 24  # weights of layers that no file holds


def count_uses(
    nodes: Sequence[tuple[Sequence[str], Sequence[str]]], output: str
) -> Mapping[str, int]:
    """How often each value is taken on the way to the output, which is taken once more itself.

    Parameters
    ----------
    nodes : sequence of (inputs, outputs)
        In the order in which they are executed; names, "" for what is left out.
    output : str
        Of the graph. Nodes that it does not depend on are dead: what they take does not count, and
        what they give is not in the result.
    """
    uses = Counter([output])
    for inputs, outputs in reversed(nodes):
        if any(name in uses for name in outputs):
            uses.update(filter(None, inputs))
    return uses


@dataclasses.dataclass(frozen=True)
class Value:
    """What a name stands for.

    Attributes
    ----------
    parts : tuple of int
        Tensors that follow each other in it: 0 is the network's input, i the output of layer i - 1.
    shape : tuple of int
        Without the batch dimension.
    sole : bool
        Nothing takes any of the parts but by this name, and once: they may still be changed.
    ended : bool
        Whether it is that of a softmax which is left out.
    """

    parts: tuple[int, ...]
    shape: tuple[int, ...]
    sole: bool
    ended: bool = False


class Draft:
    """Values by name, and the layers whose outputs they are.

    Parameters
    ----------
    name : str
        Of the graph's input.
    shape : tuple of int
        Of one input, without the batch dimension.
    batch : int, optional
        Size of the batch dimension, if the graph fixes it.
    uses : mapping
        As `count_uses` gives it; nodes that it shows to be dead are not to be added.
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], batch: int | None, uses: Mapping[str, int]
    ) -> None:
        _check_size(shape)
        self.batch = batch
        self._uses = uses
        self._layers: list[Layer] = []
        self._names: Counter[str] = Counter()
        self._made = 0
        self._values = {name: Value((0,), shape, sole=False)}
        self._inputs: tuple[str, ...] = ()
        self._output = self._label = name

    def enter(self, inputs: Sequence[str], output: str, label: str = "") -> None:
        """Begin a node; its method comes next.

        Parameters
        ----------
        inputs : sequence of str
            What it takes, constants left out.
        output : str
            What it gives.
        label : str
            Name of a layer that it becomes if it has no weights; `output` if not given.

        Raises
        ------
        BadInput
            If no node before it gives what it takes, or one gives what it gives.
        """
        for name in inputs:
            if name not in self._values:
                raise BadInput(
                    f"it takes {name!r}, which no node before it gives and which is no constant"
                )
            if self._values[name].ended:
                raise BadInput("it stands after a softmax, which is supported at the very end only")
        if output in self._values:
            raise BadInput(f"it gives {output!r}, which is given before")
        self._inputs, self._output, self._label = tuple(inputs), output, label or output

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the activations that the node is given, without the batch dimension."""
        return self._one().shape

    def network(self, output: str) -> Network:
        """The finished network.

        Parameters
        ----------
        output : str
            Name of the graph's output.

        Raises
        ------
        BadInput
            If no node gives it, it comes of no weights, or a number is not finite.
        """
        if output not in self._values:
            raise BadInput(f"no node gives the output {output!r}")
        if self._values[output].parts != (len(self._layers),):
            self._label = output
            self._single(output)
        if all(layer.fixed for layer in self._layers):
            raise BadInput("the model has no convolution and no fully connected layer")
        for layer in self._layers:
            if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
                raise BadInput(
                    f"layer {layer.name!r} overflows: what is folded into it is too large"
                )
        return Network(tuple(self._layers))

    def _given(self) -> list[Value]:
        """All that the node takes."""
        return [self._values[name] for name in self._inputs]

    def _one(self) -> Value:
        """The one value that the node takes."""
        if len(self._inputs) != 1:
            raise BadInput(
                f"it takes {len(self._inputs)} values that are not constants; one is supported"
            )
        return self._values[self._inputs[0]]

    def _give(self, parts: tuple[int, ...], shape: tuple[int, ...], sole: bool) -> None:
        """What the node gives; `sole` is whether what it takes is sole."""
        _check_size(shape)
        only = self._uses.get(self._output, 0) == 1
        self._values[self._output] = Value(parts, shape, sole and only)

    def _append(self, layer: Layer, parts: Sequence[int], added: bool = False) -> None:
        """A new layer, whose outputs are what the node gives."""
        self._give((self._wire(layer, parts, added),), _planes([layer]), sole=True)

    def _transform(self, layer: Layer, parts: Sequence[int], added: bool = False) -> None:
        """The same for a layer that leaves the shape as it is, whatever its own."""
        self._give((self._wire(layer, parts, added),), self._given()[0].shape, sole=True)

    def _wire(self, layer: Layer, parts: Sequence[int], added: bool = False) -> int:
        """A new layer that takes tensors; the one that it gives."""
        place = len(self._layers)
        sources = tuple(place + 1 - part for part in parts)
        name = self._unique(layer.name)
        layer = dataclasses.replace(layer, name=name, sources=sources, added=added)
        self._layers.append(layer)
        return place + 1

    def _unique(self, name: str) -> str:
        self._names[name] += 1
        while (count := self._names[name]) > 1:
            if (numbered := f"{name}_{count}") not in self._names:
                self._names[numbered] += 1
                return numbered
            self._names[name] += 1
        return name

    def _identity(self, name: str, shape: tuple[int, ...]) -> Layer:
        """A layer that gives what it takes."""
        self._make(shape[0])
        return elementwise(name, shape, np.ones(shape[0]), np.zeros(shape[0]))

    def _make(self, weights: int) -> None:
        """Account for weights that are about to be made."""
        self._made += weights
        if self._made > _MAX_MADE:
            raise BadInput(
                f"layers for sums, means and the like bring the model to {self._made} weights that "
                f"are not in its file; at most {_MAX_MADE} are supported"
            )

    def _single(self, name: str) -> int:
        """The one tensor that a value is, concatenated by a layer of its own where it is several.

        The layer changes nothing.
        """
        value = self._values[name]
        if len(value.parts) > 1:
            tensor = self._wire(self._identity(name, value.shape), value.parts)
            self._values[name] = dataclasses.replace(value, parts=(tensor,), sole=False)
        return self._values[name].parts[0]

    def _fuse(self, change: Callable[[Layer, slice], Layer | None], whole: bool) -> bool:
        """Make the node a part of the layers whose outputs it takes; whether that can be.

        Parameters
        ----------
        change : callable
            From a layer, and the channels that are its own, to the layer with the node in it, or
            None if it cannot take it in.
        whole : bool
            Whether the layers' outputs must not have been given another shape.
        """
        value = self._one()
        if not value.sole or 0 in value.parts:
            return False
        layers = [self._layers[part - 1] for part in value.parts]
        if whole and _planes(layers) != value.shape:
            return False
        changed, row = [], 0
        for layer in layers:
            rows = slice(row, row + len(layer.bias))
            if (new := change(layer, rows)) is None:
                return False
            changed.append(new)
            row = rows.stop
        for part, layer in zip(value.parts, changed, strict=True):
            self._layers[part - 1] = layer
        self._give(value.parts, _planes(changed) if whole else value.shape, value.sole)
        return True


def _planes(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Shape of the outputs of layers one after the other; () if their planes differ."""
    planes = {() if each.convolution is None else each.convolution.plane for each in layers}
    if len(planes) > 1:
        return ()
    return (sum(len(layer.bias) for layer in layers), *planes.pop())


def _check_size(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_VALUES:
        raise BadInput(f"activations of shape {shape} are more than {MAX_VALUES}")
