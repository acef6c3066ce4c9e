"""Small ONNX models, made node by node."""

from __future__ import annotations

import itertools
import re

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sw.errors import BadInput
from sw.read import read_network

RNG = np.random.default_rng(5)


def values(*shape) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def node(kind, *inputs, name=None, output=None, **attributes):
    """(type, further inputs, attributes); the first input and the output make a chain."""
    return {"kind": kind, "inputs": inputs, "name": name, "output": output} | {"more": attributes}


def model(nodes, constants=None, shape=("n", 4), opset=21, **more) -> onnx.ModelProto:
    """A chain of nodes from x to y; an input None is the place of the activations."""
    made, current = [], "x"
    for place, item in enumerate(nodes):
        last = place == len(nodes) - 1
        output = item["output"] or ("y" if last else f"a{place}")
        inputs = item["inputs"]
        if None not in inputs:
            inputs = (None, *inputs)
        inputs = [current if name is None else name for name in inputs]
        name = item["name"] or f"node{place}"
        made.append(helper.make_node(item["kind"], inputs, [output], name=name, **item["more"]))
        current = output
    return assemble(made, constants, shape, opset, **more)


def assemble(nodes, constants=None, shape=("n", 4), opset=21, kind=onnx.TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(folder, proto):
    path = folder / "network.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def run(proto, x) -> np.ndarray:
    """What ONNX's own reference says, flattened (n, outputs)."""
    (y,) = ReferenceEvaluator(proto).run(None, {"x": x})
    return y.reshape(len(y), -1)


class Maker:
    """Constants with names of their own."""

    def __init__(self, rng) -> None:
        self.rng = rng
        self.constants: dict[str, np.ndarray] = {}
        self._names = (f"c{place}" for place in itertools.count())

    def add(self, *shape, name=None, positive=False) -> str:
        name = name or next(self._names)
        array = self.rng.normal(size=shape).astype(np.float32)
        self.constants[name] = np.abs(array) + np.float32(0.1) if positive else array
        return name


def refuse(folder, proto, message):
    """Reading the model raises BadInput, in one line that begins with the file."""
    path = save(folder, proto)
    with pytest.raises(BadInput, match=f"^{re.escape(str(path))}: .*({message})") as raised:
        read_network(path)
    assert "\n" not in str(raised.value)


W, B = values(3, 4), values(3)
IMAGE = ("n", 2, 7, 6)
KERNEL, OFFSET = values(3, 2, 3, 3), values(3)
CONV = {"k.weight": KERNEL, "k.bias": OFFSET}
NORM = {"s": values(3), "o": values(3), "m": values(3), "v": np.abs(values(3)) + np.float32(0.1)}


def conv(**attributes):
    return node("Conv", "k.weight", "k.bias", **attributes)


def norm(**attributes):
    return node("BatchNormalization", "s", "o", "m", "v", **attributes)


def pool(**change):
    return node("MaxPool", **({"kernel_shape": [2, 2], "strides": [2, 2]} | change))


def average(**change):
    return node("AveragePool", **({"kernel_shape": [2, 2]} | change))


def dense(**attributes):
    return node("Gemm", "w", "b", **({"transB": 1} | attributes))


DENSE = {"w": W, "b": B}


SHAPE = (4, 8, 8)


class Graph:
    """A model under construction; each method gives the name of what a node gives."""

    def __init__(self, seed=0):
        self.maker = Maker(np.random.default_rng(seed))
        self.nodes = []

    def add(self, kind, *inputs, **attributes):
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def conv(self, x, rows, channels, side=1, groups=1, **attributes):
        """A convolution that keeps the plane, unless `pads` say otherwise."""
        weights = self.maker.add(rows, channels // groups, side, side)
        attributes = {"pads": [side // 2] * 4} | attributes
        return self.add("Conv", x, weights, self.maker.add(rows), group=groups, **attributes)

    def norm(self, x, channels):
        names = [self.maker.add(channels, positive=place == 3) for place in range(4)]
        return self.add("BatchNormalization", x, *names)

    def relu(self, x):
        return self.add("Relu", x)

    def gemm(self, x, rows, columns):
        weights = self.maker.add(rows, columns)
        return self.add("Gemm", x, weights, self.maker.add(rows), transB=1)

    def model(self, output, shape=SHAPE):
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        return assemble(self.nodes, self.maker.constants, ("n", *shape))


def kinds(network):
    """What each layer is: f for fixed ones, + for sums, r for a ReLU, p for a pooling."""
    found = []
    for layer in network.layers:
        pooled = layer.convolution is not None and layer.convolution.pool > 1
        marks = zip("f+rp", (layer.fixed, layer.added, layer.relu, pooled), strict=True)
        found.append("".join(mark for mark, there in marks if there))
    return found


def fire(graph, x, channels, squeezed, expanded):
    squeeze = graph.relu(graph.conv(x, squeezed, channels))
    one = graph.relu(graph.conv(squeeze, expanded, squeezed))
    three = graph.relu(graph.conv(squeeze, expanded, squeezed, side=3))
    return graph.add("Concat", one, three, axis=1)
