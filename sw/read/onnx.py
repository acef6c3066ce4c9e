"""Networks from ONNX models: https://onnx.ai/onnx/operators/ says what each node means."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.network import Network

from .arrays import MAX_VALUES
from .chain import Chain, fixed_shape, naming, per_row
from .onnx_tensors import Constants
from .window import Window, same_pads

__all__ = ["read"]

_MAX_BYTES = 8 * MAX_VALUES
_FORMAT_MIN = 3  # the first with versions of operators
_OPSET_MIN = 7  # older ones say training, broadcasting and Reshape in other words
_ADVICE = {
    # What exporters make of x.view(x.size(0), -1).
    "Shape": ". If it is for a Reshape: use nn.Flatten, or export with a fixed batch"
}
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


@dataclasses.dataclass(frozen=True)
class _Node:
    """A node with its attributes looked up.

    `outputs` is how many it gives, and `x` the place of the activations in its inputs.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]
    constants: Constants
    outputs: int = 1
    x: int = 0

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

    def bias(self) -> NDArray[np.float64] | None:
        """Constant in place 2, if there is one."""
        return self.floats(2) if self.has(2) else None

    @property
    def layer(self) -> str:
        """Name of the layer that it becomes: that of its weights' module, else its own."""
        weights = self.inputs[1 - self.x]
        for suffix in (".weight", "_w", "_weight"):
            if weights.endswith(suffix) and weights != suffix:
                return weights.removesuffix(suffix)
        return self.name or self.output


def read(path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """Network of an ONNX model.

    The graph must be one chain of the nodes that `NODES` names. Batch normalisation and sums with
    constants are folded into the layer before them; dropout and a softmax at the end are left out.
    Initialisers that no node takes are ignored.

    Parameters
    ----------
    path : Path
        Of an .onnx file. Data that it keeps in other files is read if they are in its folder.
    input_shape : tuple of int, optional
        Shape of one input, without the batch, where the model leaves it open.

    Raises
    ------
    BadInput
        If the file is not a sound model, or holds what is not supported; names the node.
    """
    try:
        with naming(str(path)), np.errstate(all="ignore"):
            return _network(_parse(path), path.parent, input_shape)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is a damaged ONNX model: a name is not UTF-8 text") from error


def _parse(path: Path) -> onnx.ModelProto:
    try:
        if (size := os.path.getsize(path)) > _MAX_BYTES:
            raise BadInput(f"the file has {size} bytes; at most {_MAX_BYTES} are read")
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise BadInput("this is not an ONNX model, or it is damaged or cut off") from error
    if not model.HasField("graph"):
        raise BadInput("this is not an ONNX model: it has no graph")
    if not _FORMAT_MIN <= model.ir_version <= onnx.IR_VERSION:
        raise BadInput(
            f"this is not an ONNX model, or its format version {model.ir_version} is not from "
            f"{_FORMAT_MIN} to {onnx.IR_VERSION}"
        )
    return model


def _network(model: onnx.ModelProto, folder: Path, input_shape: tuple[int, ...] | None) -> Network:
    opset = _opset(model)
    graph = model.graph
    if graph.sparse_initializer or model.functions:
        raise BadInput("sparse initialisers and functions are not supported")
    constants = Constants(folder, graph.initializer)
    # Before version 4 of the format, initialisers had to be among the inputs.
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise BadInput(
            f"the model has {len(inputs)} inputs and {len(graph.output)} outputs; it must have "
            "one of each"
        )
    with naming(f"input {inputs[0].name!r}"):
        batch, shape = _input(inputs[0], input_shape)
        chain = Chain(inputs[0].name, shape, batch)
    for node in graph.node:
        kind, name = node.op_type, node.name or next(iter(node.output), "")
        with naming(f"node {name!r} ({kind})"):
            _check_node(node, opset, model.ir_version)
            _run(chain, constants, node)
    return chain.network(graph.output[0].name)


def _opset(model: onnx.ModelProto) -> int:
    """Version of the operators."""
    versions = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version, newest = int(versions.get("ai.onnx", 0)), onnx.defs.onnx_opset_version()
    if not _OPSET_MIN <= version <= newest:
        raise BadInput(
            f"the model has operator set {version}; {_OPSET_MIN} to {newest} are supported"
        )
    return version


def _input(
    value: onnx.ValueInfoProto, given: tuple[int, ...] | None
) -> tuple[int | None, tuple[int, ...]]:
    """Batch size, None if it is open, and the shape of one input."""
    kind = value.type.tensor_type
    if kind.elem_type not in _FLOATS:
        raise BadInput(f"it is of type {kind.elem_type}, which is not FLOAT, FLOAT16 or DOUBLE")
    sizes: list[int | str | None] = [
        size.dim_value if size.HasField("dim_value") else size.dim_param or None
        for size in kind.shape.dim
    ]
    if not kind.HasField("shape") and given is not None:
        sizes = [None] * (len(given) + 1)
    return fixed_shape(sizes, given)


def _check_node(node: onnx.NodeProto, opset: int, ir_version: int) -> None:
    """Refuse what is not supported, or not as the operator's definition says."""
    if node.op_type not in NODES or node.domain not in ("", "ai.onnx"):
        domain = f"of domain {node.domain!r} " if node.domain else ""
        advice = _ADVICE.get(node.op_type, "")
        raise BadInput(f"this type {domain}is not supported; {', '.join(NODES)} are{advice}")
    context = onnx.checker.C.CheckerContext()
    context.ir_version = ir_version
    context.opset_imports = {"": opset}
    try:
        # Tensors, in attributes of Constant only, are checked when they are read.
        if node.op_type != "Constant":
            onnx.checker.check_node(node, context)
    except Exception as error:  # the checker's and the schema's have no common one
        raise BadInput(f"it is not sound: {str(error).strip().splitlines()[0]}") from error


def _run(chain: Chain, constants: Constants, proto: onnx.NodeProto) -> None:
    """Add one node to the chain, or to the constants if it takes nothing else."""
    if not proto.output:
        raise BadInput("it has no output")
    attributes = {entry.name: _attribute(entry) for entry in proto.attribute}
    node = _Node(
        proto.op_type,
        proto.name,
        tuple(proto.input),
        proto.output[0],
        attributes,
        constants,
        sum(map(bool, proto.output)),
    )
    taken = [place for place, name in enumerate(node.inputs) if name and name not in constants]
    if not taken and node.kind in _OF_CONSTANTS:
        constants.add(node.output, _OF_CONSTANTS[node.kind](node))
        return
    chain.enter([node.inputs[place] for place in taken], node.output)
    if node.output in constants:
        raise BadInput(f"it gives {node.output!r}, which is a constant")
    if taken[0] and node.kind != "Add":
        raise BadInput(f"its input {taken[0]} must be a constant, and only input 0 not")
    NODES[node.kind](chain, dataclasses.replace(node, x=taken[0]))


def _attribute(entry: onnx.AttributeProto) -> Any:
    try:
        value = onnx.helper.get_attribute_value(entry)
    except ValueError as error:
        raise BadInput(f"attribute {entry.name!r} has no value that can be read") from error
    return value.decode() if isinstance(value, bytes) else value


def _gemm(chain: Chain, node: _Node) -> None:
    attributes = node.attributes
    if attributes.get("transA", 0):
        raise BadInput("transA is 1; activations can not be transposed")
    weights = node.floats(1)
    weights = weights if attributes.get("transB", 0) else weights.T
    bias = node.bias()
    if bias is not None:
        bias = bias * attributes.get("beta", 1.0)
    chain.dense(node.layer, weights * attributes.get("alpha", 1.0), bias)


def _matmul(chain: Chain, node: _Node) -> None:
    chain.dense(node.layer, np.ascontiguousarray(node.floats(1).T))


def _add(chain: Chain, node: _Node) -> None:
    chain.scale(1.0, per_row(node.floats(1 - node.x), chain.shape))


def _conv(chain: Chain, node: _Node) -> None:
    weights = node.floats(1)
    window = _window(chain, node, tuple(node.attributes.get("kernel_shape", weights.shape[2:])))
    group = node.attributes.get("group", 1)
    chain.convolution(node.layer, weights, node.bias(), window, group)


def _max_pool(chain: Chain, node: _Node) -> None:
    window = _window(chain, node, tuple(node.attributes["kernel_shape"]))
    chain.pool(window, ceil=bool(node.attributes.get("ceil_mode", 0)))


def _window(chain: Chain, node: _Node, kernel: tuple[int, ...]) -> Window:
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
    if auto.startswith("SAME") and len(chain.shape) == 3:
        pads = tuple(same_pads(chain.shape[1:], kernel, strides))
    return dataclasses.replace(window, pads=pads)


def _batch_normalization(chain: Chain, node: _Node) -> None:
    # Before version 14, more outputs than one meant training.
    if node.attributes.get("training_mode", 0) or node.outputs > 1:
        raise BadInput("it is in training mode; the model must be exported for inference")
    if not node.attributes.get("spatial", 1):
        raise BadInput("spatial is 0; it must be 1: one mean and variance a channel")
    scale, bias, mean, variance = (node.floats(place) for place in range(1, 5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    chain.normalise(scale, bias, mean, variance + epsilon)


def _reshape(chain: Chain, node: _Node) -> None:
    target: list[int | None] = [*node.constants.integers(node.constant(1))]
    if not node.attributes.get("allowzero", 0):
        given = [None, *chain.shape]
        target = [
            given[place] if length == 0 and place < len(given) else length
            for place, length in enumerate(target)
        ]
    chain.reshape(target)


def _flatten(chain: Chain, node: _Node) -> None:
    axis = node.attributes.get("axis", 1)
    if axis not in (1, -len(chain.shape)):
        raise BadInput(f"its axis is {axis}; it must be 1, the first after the batch")
    chain.flatten()


def _dropout(chain: Chain, node: _Node) -> None:
    if node.has(2) and any(node.constants.integers(node.constant(2))):
        raise BadInput("it is in training mode; the model must be exported for inference")


def _softmax(chain: Chain, node: _Node) -> None:
    # The default was 1 before version 13. Of two dimensions it is the last either way.
    chain.softmax(node.attributes.get("axis", -1))


def _pass(chain: Chain, node: _Node) -> None:
    """What changes nothing."""


def _constant_only(chain: Chain, node: _Node) -> None:
    raise BadInput("only constants can be given to it")


def _constant(node: _Node) -> onnx.TensorProto | NDArray[Any]:
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


def _transposed(node: _Node) -> NDArray[Any]:
    axes: Sequence[int] | None = node.attributes.get("perm")
    return node.constants.transpose(node.constant(0), None if axes is None else list(axes))


def _identity(node: _Node) -> onnx.TensorProto | NDArray[Any]:
    return node.constants.alias(node.constant(0))


_OF_CONSTANTS: dict[str, Callable[[_Node], onnx.TensorProto | NDArray[Any]]] = {
    "Constant": _constant,
    "Identity": _identity,
    "Transpose": _transposed,
}
NODES: dict[str, Callable[[Chain, _Node], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Conv": _conv,
    "BatchNormalization": _batch_normalization,
    "Relu": lambda chain, node: chain.relu(),
    "MaxPool": _max_pool,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Identity": _pass,
    "Dropout": _dropout,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Constant": _constant_only,
    "Transpose": _constant_only,
}
