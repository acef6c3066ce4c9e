"""Networks from ONNX models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from sw.errors import BadInput
from sw.network import Network

from .arrays import MAX_VALUES
from .graph_builder import Builder, count_uses
from .onnx_nodes import NODES, OF_CONSTANTS, SEVERAL, Node
from .onnx_tensors import Constants
from .shapes import fixed_shape, naming

__all__ = ["read"]

_MAX_BYTES = 8 * MAX_VALUES
_FORMAT_MIN = 3  # the first with versions of operators
_OPSET_MIN = 7  # older ones say training, broadcasting and Reshape in other words
_ADVICE = {
    # What exporters make of x.view(x.size(0), -1).
    "Shape": ". If it is for a Reshape: use nn.Flatten, or export with a fixed batch"
}
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


def read(path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """Network of an ONNX model.

    The graph must be of the nodes that `NODES` names; branches may be joined by sums and
    concatenations. `Builder` says what becomes of each. Dropout and a softmax at the end are left
    out; initialisers and nodes that the output does not depend on are ignored.

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
        uses = count_uses([(node.input, node.output) for node in graph.node], graph.output[0].name)
        builder = Builder(inputs[0].name, shape, batch, uses)
    for node in graph.node:
        if not any(name in uses for name in node.output):
            continue
        kind, name = node.op_type, node.name or next(iter(node.output), "")
        with naming(f"node {name!r} ({kind})"):
            _check_node(node, opset, model.ir_version)
            _run(builder, constants, node)
    return builder.network(graph.output[0].name)


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


def _run(builder: Builder, constants: Constants, proto: onnx.NodeProto) -> None:
    """Add one node to the builder, or to the constants if it takes nothing else."""
    taken = [place for place, name in enumerate(proto.input) if name and name not in constants]
    node = Node(
        proto.op_type,
        proto.name,
        tuple(proto.input),
        proto.output[0],
        {entry.name: _attribute(entry) for entry in proto.attribute},
        constants,
        sum(map(bool, proto.output)),
        tuple(taken),
    )
    if not taken and node.kind in OF_CONSTANTS:
        constants.add(node.output, OF_CONSTANTS[node.kind](node))
        return
    builder.enter([node.inputs[place] for place in taken], node.output, node.name)
    if not taken or (len(taken) > 1 and node.kind not in SEVERAL):
        raise BadInput(f"it takes {len(taken)} values that are not constants; one is supported")
    if node.output in constants:
        raise BadInput(f"it gives {node.output!r}, which is a constant")
    if taken[0] and node.kind not in SEVERAL:
        raise BadInput(f"its input {taken[0]} must be a constant, and only input 0 not")
    NODES[node.kind](builder, node)


def _attribute(entry: onnx.AttributeProto) -> Any:
    try:
        value = onnx.helper.get_attribute_value(entry)
    except ValueError as error:
        raise BadInput(f"attribute {entry.name!r} has no value that can be read") from error
    return value.decode() if isinstance(value, bytes) else value
