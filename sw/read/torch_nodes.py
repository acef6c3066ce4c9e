"""What each operator of an exported PyTorch module means: https://docs.pytorch.org/docs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput

from .graph_builder import Builder
from .pt2_archive import Archive
from .shapes import per_row
from .window import Window, same_pads

__all__ = ["BATCH", "OPERATORS", "SEVERAL", "VIEWS", "Node"]

BATCH = object()
"""The size of the batch, among numbers."""


@dataclasses.dataclass(frozen=True)
class Node:
    name: str
    arguments: Mapping[str, Any]
    archive: Archive
    constants: Mapping[str, str]

    def get(self, argument: str, default: Any) -> Any:
        """Argument, or what it is when it is not given."""
        value = self.arguments.get(argument)
        return default if value is None else value

    def floats(self, argument: str) -> NDArray[np.float64] | None:
        """Constant given as that argument, None if none is."""
        name = self.arguments.get(argument)
        if name is None:
            return None
        if name not in self.constants:
            raise BadInput(f"its {argument} must be a parameter or buffer")
        return self.archive.floats(self.constants[name])

    def weight(self) -> NDArray[np.float64]:
        """The constant that must be given as weight."""
        if (array := self.floats("weight")) is None:
            raise BadInput("it has no weight")
        return array

    def operand(self) -> NDArray[np.float64] | None:
        """The constant among the two operands of a sum or product, None if there is none."""
        for argument in ("self", "other"):
            value = self.arguments[argument]
            if isinstance(value, int | float):
                return np.array(float(value))
            if value is BATCH:
                raise BadInput(f"its {argument} is the size of the batch; it must be fixed")
            if value in self.constants:
                return self.floats(argument)
        return None

    @property
    def layer(self) -> str:
        """Name of the layer that it becomes: that of the module whose weight it has."""
        weight = self.constants[self.arguments["weight"]]
        return weight.removesuffix(".weight") if weight.endswith(".weight") else self.name

    def pair(self, argument: str, default: Sequence[int]) -> tuple[int, ...]:
        """Height and width; one number stands for both."""
        value = self.get(argument, None)
        values = value if isinstance(value, list) else [value]
        values = list(default) if value in (None, []) else values
        if not all(isinstance(number, int) for number in values):
            raise BadInput(f"its {argument} is {value}; it must be fixed")
        return tuple(values * 2 if len(values) == 1 else values)


def _linear(builder: Builder, node: Node) -> None:
    builder.dense(node.layer, node.weight(), node.floats("bias"))


def _conv2d(builder: Builder, node: Node, padding: Sequence[int] | None = None) -> None:
    weights = node.weight()
    pads = node.pair("padding", (0, 0)) * 2 if padding is None else tuple(padding)
    window = Window(
        weights.shape[2:], node.pair("stride", (1, 1)), pads, node.pair("dilation", (1, 1))
    )
    builder.convolution(node.layer, weights, node.floats("bias"), window, node.get("groups", 1))


def _conv2d_padding(builder: Builder, node: Node) -> None:
    padding = node.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise BadInput(f"its padding is {padding!r}; it must be valid or same")
    kernel = node.weight().shape[2:]
    same = padding == "same" and len(builder.shape) == 3 and len(kernel) == 2
    # PyTorch has it with strides of 1 only.
    _conv2d(builder, node, same_pads(builder.shape[1:], kernel, (1, 1)) if same else (0, 0, 0, 0))


def _batch_norm(builder: Builder, node: Node) -> None:
    mean, variance = node.floats("running_mean"), node.floats("running_var")
    if node.get("training", False) or mean is None or variance is None:
        raise BadInput("it is in training mode; call eval() before the export")
    scale, bias = node.floats("weight"), node.floats("bias")
    builder.normalise(
        np.ones_like(mean) if scale is None else scale,
        np.zeros_like(mean) if bias is None else bias,
        mean,
        variance + node.get("eps", 1e-5),
    )


def _window(node: Node) -> Window:
    kernel = node.pair("kernel_size", ())
    return Window(
        kernel,
        node.pair("stride", kernel),
        node.pair("padding", (0, 0)) * 2,
        node.pair("dilation", (1, 1)),
    )


def _max_pool2d(builder: Builder, node: Node) -> None:
    builder.max_pool(_window(node), ceil=node.get("ceil_mode", False))


def _avg_pool2d(builder: Builder, node: Node) -> None:
    if (divisor := node.get("divisor_override", None)) is not None:
        raise BadInput(f"its divisor_override is {divisor}; it must be the size of the window")
    builder.average_pool(_window(node), ceil=node.get("ceil_mode", False))


def _adaptive_avg_pool2d(builder: Builder, node: Node) -> None:
    plane, wanted = builder.shape[1:], node.pair("output_size", ())
    whole = len(plane) == 2 and len(wanted) == 2 and min(wanted) > 0
    if not whole or any(length % size for length, size in zip(plane, wanted, strict=True)):
        raise BadInput(
            f"it averages activations of shape {builder.shape} to planes of {list(wanted)}, which "
            "are not made of equal windows"
        )
    sides = tuple(length // size for length, size in zip(plane, wanted, strict=True))
    builder.average_pool(Window(sides, (1, 1) if wanted == (1, 1) else sides))


def _mean(builder: Builder, node: Node) -> None:
    axes, rank = node.get("dim", []), len(builder.shape) + 1
    if rank != 4 or sorted(axis % rank for axis in axes) != [2, 3]:
        raise BadInput(
            f"its dimensions are {list(axes)} of {rank}; they must be the last two of four"
        )
    builder.global_average(node.get("keepdim", False))


def _add(builder: Builder, node: Node) -> None:
    if (alpha := node.get("alpha", 1)) != 1:
        raise BadInput(f"its alpha is {alpha}; it must be 1")
    if (offset := node.operand()) is None:
        return builder.add()
    offset = per_row(offset, builder.shape)
    return builder.scale(np.ones_like(offset), offset)


def _mul(builder: Builder, node: Node) -> None:
    if (factor := node.operand()) is None:
        raise BadInput("it multiplies activations; one of the two must be a constant")
    factor = per_row(factor, builder.shape)
    builder.scale(factor, np.zeros_like(factor))


def _cat(builder: Builder, node: Node) -> None:
    if any(tensor["name"] in node.constants for tensor in node.arguments["tensors"]):
        raise BadInput("it takes a constant; only activations can be concatenated")
    builder.concatenate(node.get("dim", 0))


def _flatten(builder: Builder, node: Node) -> None:
    rank = len(builder.shape) + 1
    first, last = (
        place + rank if place < 0 else place
        for place in (node.get("start_dim", 0), node.get("end_dim", -1))
    )
    if first != 1 or last != rank - 1:
        raise BadInput(
            f"it flattens dimensions {first} to {last} of {rank}; it must be all but the batch"
        )
    builder.flatten()


def _view(builder: Builder, node: Node) -> None:
    target = node.get("size", node.get("shape", []))
    builder.reshape([None if length is BATCH else length for length in target])


def _dropout(builder: Builder, node: Node) -> None:
    if node.get("train", False):
        raise BadInput("it is in training mode; call eval() before the export")
    builder.keep()


def _softmax(builder: Builder, node: Node) -> None:
    builder.softmax(node.get("dim", 0))


def _relu(builder: Builder, node: Node) -> None:
    builder.relu()


def _pass(builder: Builder, node: Node) -> None:
    builder.keep()


OPERATORS: dict[str, Callable[[Builder, Node], None]] = {
    "linear.default": _linear,
    "conv2d.default": _conv2d,
    "conv2d.padding": _conv2d_padding,
    "batch_norm.default": _batch_norm,
    "relu.default": _relu,
    "relu_.default": _relu,
    "add.Tensor": _add,
    "add_.Tensor": _add,
    "mul.Tensor": _mul,
    "mul_.Tensor": _mul,
    "cat.default": _cat,
    "concat.default": _cat,
    "max_pool2d.default": _max_pool2d,
    "avg_pool2d.default": _avg_pool2d,
    "adaptive_avg_pool2d.default": _adaptive_avg_pool2d,
    "mean.dim": _mean,
    "flatten.using_ints": _flatten,
    "view.default": _view,
    "reshape.default": _view,
    "dropout.default": _dropout,
    "dropout_.default": _dropout,
    "feature_dropout.default": _dropout,
    "softmax.int": _softmax,
    "log_softmax.int": _softmax,
    "alias.default": _pass,
    "clone.default": _pass,
    "contiguous.default": _pass,
    "detach.default": _pass,
}
SEVERAL = (
    "add.Tensor",
    "add_.Tensor",
    "mul.Tensor",
    "mul_.Tensor",
    "cat.default",
    "concat.default",
)
"""Those that may take more activations than one."""

VIEWS = (
    "flatten.using_ints",
    "view.default",
    "reshape.default",
    "dropout.default",
    "feature_dropout.default",
    "alias.default",
    "contiguous.default",
    "detach.default",
)
"""Those that may give the memory that they take, under another name."""
