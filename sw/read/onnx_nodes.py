"""What each ONNX node means: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from sw.errors import BadInput

from .graph_builder import Builder
from .onnx_tensors import Constants
from .shapes import per_row
from .window import Window, same_pads

__all__ = ["NODES", "OF_CONSTANTS", "SEVERAL", "Node"]


@dataclasses.dataclass(frozen=True)
class Node:
    """A node with its attributes looked up.

    `outputs` is how many it gives, and `taken` are the places of activations in its inputs.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]
    constants: Constants
    outputs: int
    taken: tuple[int, ...]

    def has(self, place: int) -> bool:
        """Whether it has an input in that place."""
        return place < len(self.inputs) and bool(self.inputs[place])

    def constant(self, place: int) -> str:
        """Name of the constant in that place."""
        if not self.has(place):
            raise BadInput(f"it has no input {place}")
        return self.inputs[place]

    def floats(self, place: int) -> NDArray[np.float64]:
        """Constant in that place."""
        return self.constants.floats(self.constant(place))

    @property
    def alone(self) -> bool:
        """Whether it takes no constants."""
        return len(self.taken) == sum(map(bool, self.inputs))

    def per_row(self, shape: Sequence[int]) -> NDArray[np.float64]:
        """The constant of two operands, for activations of that shape."""
        return per_row(self.floats(1 - self.taken[0]), shape)

    def bias(self) -> NDArray[np.float64] | None:
        """Constant in place 2, if there is one."""
        return self.floats(2) if self.has(2) else None

    @property
    def layer(self) -> str:
        """Name of the layer that it becomes: that of its weights' module, else its own."""
        weights = self.inputs[1]
        for suffix in (".weight", "_w", "_weight"):
            if weights.endswith(suffix) and weights != suffix:
                return weights.removesuffix(suffix)
        return self.name or self.output


def _gemm(builder: Builder, node: Node) -> None:
    attributes = node.attributes
    if attributes.get("transA", 0):
        raise BadInput("transA is 1; activations can not be transposed")
    weights = node.floats(1)
    weights = weights if attributes.get("transB", 0) else weights.T
    bias = node.bias()
    if bias is not None:
        bias = bias * attributes.get("beta", 1.0)
    builder.dense(node.layer, weights * attributes.get("alpha", 1.0), bias)


def _matmul(builder: Builder, node: Node) -> None:
    builder.dense(node.layer, np.ascontiguousarray(node.floats(1).T))


def _add(builder: Builder, node: Node) -> None:
    if node.alone:
        return builder.add()
    offset = node.per_row(builder.shape)
    return builder.scale(np.ones_like(offset), offset)


def _mul(builder: Builder, node: Node) -> None:
    if node.alone:
        raise BadInput("it multiplies activations; one of the two must be a constant")
    factor = node.per_row(builder.shape)
    builder.scale(factor, np.zeros_like(factor))


def _sum(builder: Builder, node: Node) -> None:
    _check_alone(node)
    builder.add()


def _concat(builder: Builder, node: Node) -> None:
    _check_alone(node)
    builder.concatenate(node.attributes["axis"])


def _check_alone(node: Node) -> None:
    if not node.alone:
        names = [name for place, name in enumerate(node.inputs) if place not in node.taken]
        raise BadInput(f"its input {names[0]!r} is a constant; it can only take activations")


def _conv(builder: Builder, node: Node) -> None:
    weights = node.floats(1)
    window = _window(builder, node, tuple(node.attributes.get("kernel_shape", weights.shape[2:])))
    group = node.attributes.get("group", 1)
    builder.convolution(node.layer, weights, node.bias(), window, group)


def _max_pool(builder: Builder, node: Node) -> None:
    window = _window(builder, node, tuple(node.attributes["kernel_shape"]))
    builder.max_pool(window, ceil=bool(node.attributes.get("ceil_mode", 0)))


def _average_pool(builder: Builder, node: Node) -> None:
    window = _window(builder, node, tuple(node.attributes["kernel_shape"]))
    builder.average_pool(window, ceil=bool(node.attributes.get("ceil_mode", 0)))


def _reduce_mean(builder: Builder, node: Node) -> None:
    # Axes were an attribute before version 18.
    has = node.has(1)
    axes = node.constants.integers(node.inputs[1]) if has else node.attributes.get("axes", [])
    rank = len(builder.shape) + 1
    if rank != 4 or sorted(axis % rank for axis in axes) != [2, 3]:
        raise BadInput(
            f"its axes are {list(axes)} of {rank} dimensions; they must be the last two of four"
        )
    builder.global_average(bool(node.attributes.get("keepdims", 1)))


def _window(builder: Builder, node: Node, kernel: tuple[int, ...]) -> Window:
    attributes = node.attributes
    strides = tuple(attributes.get("strides", (1, 1)))
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    dilations = tuple(attributes.get("dilations", (1, 1)))
    window = Window(kernel, strides, pads, dilations)
    window.check()
    auto = attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise BadInput(f"auto_pad is {auto!r}, which is not known")
    if auto != "NOTSET" and any(pads):
        raise BadInput(f"auto_pad is {auto} and pads are {list(pads)}; it must be one of them")
    if auto.startswith("SAME") and len(builder.shape) == 3:
        pads = tuple(same_pads(builder.shape[1:], kernel, strides))
    return dataclasses.replace(window, pads=pads)


def _batch_normalization(builder: Builder, node: Node) -> None:
    # Before version 14, more outputs than one meant training.
    if node.attributes.get("training_mode", 0) or node.outputs > 1:
        raise BadInput("it is in training mode; the model must be exported for inference")
    if not node.attributes.get("spatial", 1):
        raise BadInput("spatial is 0; it must be 1: one mean and variance a channel")
    scale, bias, mean, variance = (node.floats(place) for place in range(1, 5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    builder.normalise(scale, bias, mean, variance + epsilon)


def _reshape(builder: Builder, node: Node) -> None:
    target: list[int | None] = [*node.constants.integers(node.constant(1))]
    if not node.attributes.get("allowzero", 0):
        given = [None, *builder.shape]
        target = [
            given[place] if length == 0 and place < len(given) else length
            for place, length in enumerate(target)
        ]
    builder.reshape(target)


def _flatten(builder: Builder, node: Node) -> None:
    axis = node.attributes.get("axis", 1)
    if axis not in (1, -len(builder.shape)):
        raise BadInput(f"its axis is {axis}; it must be 1, the first after the batch")
    builder.flatten()


def _dropout(builder: Builder, node: Node) -> None:
    if node.has(2) and any(node.constants.integers(node.constant(2))):
        raise BadInput("it is in training mode; the model must be exported for inference")
    builder.keep()


def _softmax(builder: Builder, node: Node) -> None:
    # The default was 1 before version 13. Of two dimensions it is the last either way.
    builder.softmax(node.attributes.get("axis", -1))


def _constant_only(builder: Builder, node: Node) -> None:
    raise BadInput("only constants can be given to it")


def _constant(node: Node) -> onnx.TensorProto | NDArray[Any]:
    if len(node.attributes) != 1:
        raise BadInput(f"it has attributes {list(node.attributes)}; it must have one")
    ((key, value),) = node.attributes.items()
    if key == "value" and isinstance(value, onnx.TensorProto):
        return value
    if key in ("value_float", "value_floats"):
        return np.asarray(value, np.float64)
    if key in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise BadInput(f"its value is in attribute {key!r}, which is not supported; value is")


def _transposed(node: Node) -> NDArray[Any]:
    axes: Sequence[int] | None = node.attributes.get("perm")
    return node.constants.transpose(node.constant(0), None if axes is None else list(axes))


def _identity(node: Node) -> onnx.TensorProto | NDArray[Any]:
    return node.constants.alias(node.constant(0))


OF_CONSTANTS: dict[str, Callable[[Node], onnx.TensorProto | NDArray[Any]]] = {
    "Constant": _constant,
    "Identity": _identity,
    "Transpose": _transposed,
}
NODES: dict[str, Callable[[Builder, Node], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sum": _sum,
    "Mul": _mul,
    "Concat": _concat,
    "Conv": _conv,
    "BatchNormalization": _batch_normalization,
    "Relu": lambda builder, node: builder.relu(),
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda builder, node: builder.global_average(),
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Identity": lambda builder, node: builder.keep(),
    "Dropout": _dropout,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Constant": _constant_only,
    "Transpose": _constant_only,
}
SEVERAL = ("Add", "Sum", "Mul", "Concat")
"""Nodes that may take other than one value and constants."""
