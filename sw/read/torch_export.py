"""Networks from PyTorch modules: the .pt2 archives of ``torch.export.save``.

``torch.export.load`` is not used. It is not safe: it unpickles weights with
``weights_only=False``, custom and opaque constants without any limits, and evaluates the text of
symbolic shapes (``torch/export/pt2_archive/_package.py`` and ``torch/_export/serde/serialize.py``
of PyTorch 2.13). In here the archive is what it is: a zip file with the graph in JSON and the
weights as bytes. Nothing in it is unpickled or evaluated, and PyTorch need not be installed.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw.errors import BadInput
from sw.network import Network

from .chain import Chain, fixed_shape, naming
from .pt2_archive import FLOATS, Archive
from .window import Window, same_pads

__all__ = ["OPERATORS", "read"]

_TARGET = "torch.ops.aten."


def read(path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """Network of a .pt2 archive of ``torch.export.save(torch.export.export(module, ...), path)``.

    The graph must be one chain of the operators that `OPERATORS` names. The module must be in
    evaluation mode (``module.eval()``): batch normalisation is folded into the layer before it,
    dropout and a softmax at the end are left out.

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


class _Name(str):
    """A tensor in the arguments of a node."""


@dataclasses.dataclass(frozen=True)
class _Node:
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


def _network(archive: Archive, given: tuple[int, ...] | None) -> Network:
    constants, inputs = _inputs(archive.signature["input_specs"])
    outputs = [next(iter(spec.items())) for spec in archive.signature["output_specs"]]
    if len(inputs) != 1 or len(outputs) != 1 or outputs[0][0] != "user_output":
        raise BadInput(
            f"the module has {len(inputs)} inputs and gives {[kind for kind, _ in outputs]}; it "
            "must have one input and give one output (call eval() before the export)"
        )
    chain = _start(inputs[0], archive.graph["tensor_values"][inputs[0]], given)
    batches: set[str] = set()  # names of the batch size
    for node in archive.graph["nodes"]:
        operator = node["target"].removeprefix(_TARGET)
        kind, output = next(iter(node["outputs"][0].items()))
        name = output["as_name"] if kind == "as_sym_int" else output.get("name", "")
        with naming(f"node {name!r} ({operator})"):
            arguments = {
                item["name"]: _value(next(iter(item["arg"].items())), batches)
                for item in node["inputs"]
            }
            if operator == "sym_size.int" and arguments["dim"] == 0:
                if arguments["self"] in constants:
                    raise BadInput("it is the size of a constant, not that of the batch")
                batches.add(name)
                continue
            tensors = [value for value in arguments.values() if isinstance(value, _Name)]
            taken = [tensor for tensor in tensors if tensor not in constants]
            if tensors and not taken:
                raise BadInput(
                    "it changes a buffer, as batch normalisation in training mode does; call "
                    "eval() before the export"
                )
            if operator not in OPERATORS or kind != "as_tensor" or len(node["outputs"]) != 1:
                raise BadInput(f"this operator is not supported; {', '.join(OPERATORS)} are")
            chain.enter(taken, name)
            OPERATORS[operator](chain, _Node(name, arguments, archive, constants))
    return chain.network(outputs[0][1]["arg"]["as_tensor"]["name"])


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


def _start(name: str, meta: Mapping[str, Any], given: tuple[int, ...] | None) -> Chain:
    with naming(f"input {name!r}"):
        if meta["dtype"] not in FLOATS:
            raise BadInput(f"it is of type {meta['dtype']}, which is no 16, 32 or 64-bit float")
        sizes = [size.get("as_int") for size in meta["sizes"]]
        batch, shape = fixed_shape(sizes, given)
        return Chain(name, shape, batch)


def _value(argument: tuple[str, Any], batches: set[str]) -> Any:
    """Value of an argument: `_Name`, numbers, text, lists, None; the batch size is `_BATCH`."""
    kind, value = argument
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return _Name(value["name"])
    if kind == "as_sym_int":
        if "as_int" in value:
            return value["as_int"]
        if value["as_name"] not in batches:
            raise BadInput(f"it takes the number {value['as_name']!r}, which is not the batch size")
        return _BATCH
    if kind == "as_sym_ints":
        return [_value(("as_sym_int", item), batches) for item in value]
    return value


def _linear(chain: Chain, node: _Node) -> None:
    chain.dense(node.layer, node.weight(), node.floats("bias"))


def _conv2d(chain: Chain, node: _Node, padding: Sequence[int] | None = None) -> None:
    weights = node.weight()
    pads = node.pair("padding", (0, 0)) * 2 if padding is None else tuple(padding)
    window = Window(
        weights.shape[2:], node.pair("stride", (1, 1)), pads, node.pair("dilation", (1, 1))
    )
    chain.convolution(node.layer, weights, node.floats("bias"), window, node.get("groups", 1))


def _conv2d_padding(chain: Chain, node: _Node) -> None:
    padding = node.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise BadInput(f"its padding is {padding!r}; it must be valid or same")
    kernel = node.weight().shape[2:]
    same = padding == "same" and len(chain.shape) == 3 and len(kernel) == 2
    # PyTorch has it with strides of 1 only.
    _conv2d(chain, node, same_pads(chain.shape[1:], kernel, (1, 1)) if same else (0, 0, 0, 0))


def _batch_norm(chain: Chain, node: _Node) -> None:
    mean, variance = node.floats("running_mean"), node.floats("running_var")
    if node.get("training", False) or mean is None or variance is None:
        raise BadInput("it is in training mode; call eval() before the export")
    scale, bias = node.floats("weight"), node.floats("bias")
    chain.normalise(
        np.ones_like(mean) if scale is None else scale,
        np.zeros_like(mean) if bias is None else bias,
        mean,
        variance + node.get("eps", 1e-5),
    )


def _max_pool2d(chain: Chain, node: _Node) -> None:
    kernel = node.pair("kernel_size", ())
    window = Window(
        kernel,
        node.pair("stride", kernel),
        node.pair("padding", (0, 0)) * 2,
        node.pair("dilation", (1, 1)),
    )
    chain.pool(window, ceil=node.get("ceil_mode", False))


def _flatten(chain: Chain, node: _Node) -> None:
    rank = len(chain.shape) + 1
    first, last = (
        place + rank if place < 0 else place
        for place in (node.get("start_dim", 0), node.get("end_dim", -1))
    )
    if first != 1 or last != rank - 1:
        raise BadInput(
            f"it flattens dimensions {first} to {last} of {rank}; it must be all but the batch"
        )
    chain.flatten()


def _view(chain: Chain, node: _Node) -> None:
    target = node.get("size", node.get("shape", []))
    chain.reshape([None if length is _BATCH else length for length in target])


def _dropout(chain: Chain, node: _Node) -> None:
    if node.get("train", False):
        raise BadInput("it is in training mode; call eval() before the export")


def _softmax(chain: Chain, node: _Node) -> None:
    chain.softmax(node.get("dim", 0))


def _relu(chain: Chain, node: _Node) -> None:
    chain.relu()


def _pass(chain: Chain, node: _Node) -> None:
    """What changes nothing."""


_BATCH = object()
OPERATORS: dict[str, Callable[[Chain, _Node], None]] = {
    "linear.default": _linear,
    "conv2d.default": _conv2d,
    "conv2d.padding": _conv2d_padding,
    "batch_norm.default": _batch_norm,
    "relu.default": _relu,
    "relu_.default": _relu,
    "max_pool2d.default": _max_pool2d,
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
