"""Networks from PyTorch modules: the .pt2 archives of ``torch.export.save``.

``torch.export.load`` is not used. It is not safe: it unpickles weights with
``weights_only=False``, custom and opaque constants without any limits, and evaluates the text of
symbolic shapes (``torch/export/pt2_archive/_package.py`` and ``torch/_export/serde/serialize.py``
of PyTorch 2.13). In here the archive is what it is: a zip file with the graph in JSON and the
weights as bytes. Nothing in it is unpickled or evaluated, and PyTorch need not be installed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sw.errors import BadInput
from sw.network import Network

from .graph_builder import Builder, count_uses
from .pt2_archive import FLOATS, Archive
from .shapes import fixed_shape, naming
from .torch_nodes import BATCH, OPERATORS, SEVERAL, VIEWS, Node

__all__ = ["read"]

_TARGET = "torch.ops.aten."


def read(path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """Network of a .pt2 archive of ``torch.export.save(torch.export.export(module, ...), path)``.

    The graph must be of the operators that `OPERATORS` names; branches may be joined by sums and
    concatenations. `Builder` says what becomes of each. The module must be in evaluation mode
    (``module.eval()``): dropout and a softmax at the end are left out.

    Parameters
    ----------
    path : Path
    input_shape : tuple of int, optional
        Shape of one input, without the batch, where the archive leaves it open.

    Raises
    ------
    BadInput
        If the file is not a sound archive, or holds what is not supported; names the node.
    """
    try:
        with (
            naming(str(path)),
            zipfile.ZipFile(path) as file,
            np.errstate(all="ignore"),
        ):
            return _network(Archive(file), input_shape)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zipfile, json and a graph of another form have no common one
        raise BadInput(
            f"{path} is damaged or not a .pt2 archive of torch.export.save: {error}"
        ) from error


def _network(archive: Archive, given: tuple[int, ...] | None) -> Network:
    constants, inputs = _inputs(archive.signature["input_specs"])
    outputs = [next(iter(spec.items())) for spec in archive.signature["output_specs"]]
    if len(inputs) != 1 or len(outputs) != 1 or outputs[0][0] != "user_output":
        raise BadInput(
            f"the module has {len(inputs)} inputs and gives {[kind for kind, _ in outputs]}; it "
            "must have one input and give one output (call eval() before the export)"
        )
    output = outputs[0][1]["arg"]["as_tensor"]["name"]
    nodes = archive.graph["nodes"]
    uses = count_uses([_wires(node) for node in nodes if not _is_size(node)], output)
    builder = _start(inputs[0], archive.graph["tensor_values"][inputs[0]], given, uses)
    batches: set[str] = set()  # names of the batch size
    memory = _Memory()
    for node in nodes:
        taken, names = _wires(node)
        with naming(f"node {names[0] if names else ''!r} ({_operator(node)})"):
            if not _is_size(node) and not any(name in uses for name in names):
                memory.leave(_operator(node), taken, constants)
                continue
            arguments = {
                item["name"]: _value(next(iter(item["arg"].items())), batches)
                for item in node["inputs"]
            }
            if _is_size(node):
                _add_size(arguments, constants, names[0], batches)
                continue
            _check(node, taken, constants)
            memory.enter(_operator(node), taken, names[0])
            builder.enter([name for name in taken if name not in constants], names[0])
            item = Node(names[0], arguments, archive, constants)
            OPERATORS[_operator(node)](builder, item)
    return builder.network(output)


def _operator(node: Mapping[str, Any]) -> str:
    return str(node["target"]).removeprefix(_TARGET)


def _is_size(node: Mapping[str, Any]) -> bool:
    """Whether it gives a number, such as the size of the batch."""
    return _operator(node) == "sym_size.int"


def _wires(node: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the tensors that a node takes, constants and all, and of what it gives."""
    taken: list[str] = []
    for item in node["inputs"]:
        kind, value = next(iter(item["arg"].items()))
        taken += _tensors(kind, value)
    names: list[str] = []
    for item in node["outputs"]:
        kind, value = next(iter(item.items()))
        names += [value["as_name"]] if kind == "as_sym_int" else _tensors(kind, value)
    return taken, names


def _tensors(kind: str, value: Any) -> list[str]:
    if kind not in ("as_tensor", "as_tensors"):
        return []
    return [tensor["name"] for tensor in (value if kind == "as_tensors" else [value])]


def _add_size(
    arguments: Mapping[str, Any], constants: Mapping[str, str], name: str, batches: set[str]
) -> None:
    if arguments["dim"] != 0:
        raise BadInput("this operator is not supported; it gives the size of the batch only")
    if arguments["self"] in constants:
        raise BadInput("it is the size of a constant, not that of the batch")
    batches.add(name)


def _check(node: Mapping[str, Any], taken: Sequence[str], constants: Mapping[str, str]) -> None:
    """Refuse what is not supported."""
    _check_buffers(taken, constants)
    kinds = [next(iter(item)) for item in node["outputs"]]
    if (operator := _operator(node)) not in OPERATORS or kinds != ["as_tensor"]:
        raise BadInput(f"this operator is not supported; {', '.join(OPERATORS)} are")
    activations = [name for name in taken if name not in constants]
    if len(activations) != 1 and operator not in SEVERAL:
        raise BadInput(
            f"it takes {len(activations)} values that are not constants; one is supported"
        )


def _check_buffers(taken: Sequence[str], constants: Mapping[str, str]) -> None:
    if taken and all(name in constants for name in taken):
        raise BadInput(
            "it changes a buffer, as batch normalisation in training mode does; call eval() before "
            "the export"
        )


class _Memory:
    """Which tensors a node that works in place has changed behind their names."""

    def __init__(self) -> None:
        self._views: dict[str, set[str]] = {}  # names of the same memory
        self._stale: set[str] = set()

    def enter(self, operator: str, taken: Sequence[str], name: str) -> None:
        """A node; raises BadInput if it takes what is not any more what it was."""
        for tensor in taken:
            if tensor in self._stale:
                raise BadInput(
                    f"it takes {tensor!r}, whose memory a node before it changes in place; export "
                    "the module without that (such as inplace=True)"
                )
        if _in_place(operator) or operator in VIEWS:
            views = self._views.setdefault(taken[0], {taken[0]})
            if _in_place(operator):
                self._stale |= views
            views.add(name)
            self._views[name] = views

    def leave(self, operator: str, taken: Sequence[str], constants: Mapping[str, str]) -> None:
        """A node whose output is not needed; raises BadInput if what it changes may be."""
        if _in_place(operator):
            _check_buffers(taken, constants)
            raise BadInput("it changes in place what it takes, and what it gives is not used")


def _in_place(operator: str) -> bool:
    return operator.split(".")[0].endswith("_")


def _inputs(specs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """Names of tensors by their names in the graph, and names of the inputs."""
    constants, inputs = {}, []
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind == "user_input":
            if "as_tensor" not in content["arg"]:
                raise BadInput(f"an input is {next(iter(content['arg']))}; it must be a tensor")
            inputs.append(content["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            constants[content["arg"]["name"]] = content[f"{kind}_name"]
        else:
            raise BadInput(f"the module takes a {kind}, which is not supported")
    return constants, inputs


def _start(
    name: str, meta: Mapping[str, Any], given: tuple[int, ...] | None, uses: Mapping[str, int]
) -> Builder:
    with naming(f"input {name!r}"):
        if meta["dtype"] not in FLOATS:
            raise BadInput(f"it is of type {meta['dtype']}, which is no 16, 32 or 64-bit float")
        sizes = [size.get("as_int") for size in meta["sizes"]]
        batch, shape = fixed_shape(sizes, given)
        return Builder(name, shape, batch, uses)


def _value(argument: tuple[str, Any], batches: set[str]) -> Any:
    """Value of an argument: a number, a list, None; a tensor's name; `BATCH`, the batch size."""
    kind, value = argument
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return value["name"]
    if kind == "as_sym_int":
        if "as_int" in value:
            return value["as_int"]
        if value["as_name"] not in batches:
            raise BadInput(f"it takes the number {value['as_name']!r}, which is not the batch size")
        return BATCH
    if kind == "as_sym_ints":
        return [_value(("as_sym_int", item), batches) for item in value]
    return value
