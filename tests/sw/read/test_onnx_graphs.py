"""ONNX models that branch, read as ONNX's reference executes them."""

from __future__ import annotations

import graphs
import numpy as np
import pytest
from graphs import SHAPE, Graph, assemble, fire, kinds, save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from sw.architectures import template
from sw.convolution import Convolution
from sw.graph import wiring_fault
from sw.read import read_network


def agree(folder, proto, shape=SHAPE):
    """The network read, after comparing it with ONNX's reference on random inputs."""
    network = read_network(save(folder, proto))
    assert wiring_fault(network.layers, int(np.prod(shape))) is None
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    expected = graphs.run(proto, x)
    scale = max(1.0, float(np.abs(expected).max()))
    y = network.predict(x.reshape(len(x), -1).astype(np.float64))
    np.testing.assert_allclose(y / scale, expected / scale, rtol=1e-5, atol=1e-5)
    return network


class TestConcatenation:
    def test_fire_modules(self, tmp_path):
        graph = Graph()
        first = fire(graph, "x", 4, 2, 3)
        pooled = graph.add("MaxPool", first, kernel_shape=[3, 3], strides=[2, 2])
        last = fire(graph, pooled, 6, 2, 3)
        network = agree(tmp_path, graph.model(graph.conv(last, 2, 6)))
        assert kinds(network) == ["r", "rp", "rp", "r", "r", "r", ""]
        assert [layer.sources for layer in network.layers] == [
            *((1,), (1,), (2,)),
            *((2, 1), (1,), (2,)),
            (2, 1),
        ]
        assert network.layers[1].convolution == Convolution(2, 8, 8, 1, 1, pool=3, overlap=1)

    def test_what_others_take_too_is_not_pooled(self, tmp_path):
        graph = Graph()
        joined = fire(graph, "x", 4, 2, 2)
        pooled = graph.add("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
        strided = graph.conv(joined, 4, 4, side=3, strides=[2, 2])
        network = agree(tmp_path, graph.model(graph.add("Add", pooled, strided)))
        assert kinds(network) == ["r", "r", "r", "fp", "", "f+"]
        assert network.layers[3].sources == (2, 1)

    def test_nested_ones_of_three_to_a_fully_connected_layer(self, tmp_path):
        graph = Graph()
        a, b, c = (graph.conv("x", rows, 4) for rows in (1, 2, 3))
        inner = graph.add("Concat", a, b, axis=1)
        outer = graph.add("Concat", inner, c, axis=-3)
        flat = graph.add("Flatten", outer)
        network = agree(tmp_path, graph.model(graph.gemm(flat, 5, 6 * 64)))
        assert [layer.sources for layer in network.layers] == [(1,), (2,), (3,), (3, 2, 1)]
        assert network.layers[-1].convolution is None

    def test_the_same_twice_and_the_input(self, tmp_path):
        graph = Graph()
        a = graph.conv("x", 2, 4)
        joined = graph.add("Concat", a, "x", a, axis=1)
        network = agree(tmp_path, graph.model(graph.conv(graph.relu(joined), 3, 8)))
        assert kinds(network) == ["", "fr", ""]
        assert network.layers[1].sources == (1, 2, 1)

    def test_vectors(self, tmp_path):
        graph = Graph()
        flat = graph.add("Flatten", "x")
        parts = [graph.relu(graph.gemm(flat, rows, 256)) for rows in (2, 3)]
        joined = graph.norm(graph.add("Concat", *parts, axis=-1), 5)
        network = agree(tmp_path, graph.model(graph.gemm(joined, 2, 5)))
        assert kinds(network) == ["r", "r", "f", ""]

    def test_relu_and_normalisation_go_into_each_part(self, tmp_path):
        graph = Graph()
        joined = graph.add("Concat", graph.conv("x", 2, 4), graph.conv("x", 3, 4), axis=1)
        network = agree(tmp_path, graph.model(graph.relu(graph.norm(joined, 5))))
        assert kinds(network) == ["r", "r", "f"]  # the last makes one tensor of the output

    def test_one_that_is_the_output_and_in_a_sum(self, tmp_path):
        graph = Graph()
        joined = graph.add("Concat", graph.conv("x", 2, 4), graph.conv("x", 2, 4), axis=1)
        total = graph.add("Add", joined, "x")
        network = agree(tmp_path, graph.model(graph.add("Concat", total, joined, axis=1)))
        assert kinds(network) == ["", "", "f", "f+", "f"]
        assert [layer.sources for layer in network.layers[2:]] == [(2, 1), (1, 4), (1, 2)]


class TestSums:
    def test_residual_block(self, tmp_path):
        graph = Graph()
        inner = graph.relu(graph.norm(graph.conv("x", 4, 4, side=3), 4))
        total = graph.add("Add", graph.norm(graph.conv(inner, 4, 4, side=3), 4), "x")
        pooled = graph.add("AveragePool", graph.relu(total), kernel_shape=[8, 8])
        network = agree(tmp_path, graph.model(graph.add("Flatten", pooled)))
        assert kinds(network) == ["r", "", "f+rp"]
        last = network.layers[-1]
        assert last.sources == (1, 3)
        assert last.convolution == Convolution(4, 8, 8, 1, 1, groups=4, pool=8, average=True)
        np.testing.assert_array_equal(last.weights, np.ones((4, 1)))

    def test_pre_activation(self, tmp_path):
        graph = Graph()
        x = graph.conv("x", 4, 4, side=3)
        for _ in range(2):
            inner = graph.relu(graph.norm(x, 4))
            inner = graph.relu(graph.norm(graph.conv(inner, 4, 4, side=3), 4))
            x = graph.add("Add", x, graph.conv(inner, 4, 4, side=3))
        last = graph.relu(graph.norm(x, 4))
        network = agree(tmp_path, graph.model(graph.add("GlobalAveragePool", last)))
        assert kinds(network) == ["", "fr", "r", "", "f+", "fr", "r", "", "f+rp"]

    def test_a_constant_goes_into_a_sum_that_nothing_else_takes(self, tmp_path):
        graph = Graph()
        total = graph.add("Sum", "x", graph.conv("x", 4, 4), "x")
        total = graph.add("Mul", graph.add("Add", total, graph.maker.add(4, 1, 1)), "half")
        graph.maker.constants["half"] = np.array(0.5, np.float32)
        network = agree(tmp_path, graph.model(total))
        assert kinds(network) == ["", "f+"]
        assert network.layers[-1].sources == (2, 1, 2)

    def test_of_vectors_and_with_itself(self, tmp_path):
        graph = Graph()
        a = graph.gemm(graph.add("Flatten", "x"), 5, 256)
        b = graph.relu(a)
        total = graph.add("Add", graph.gemm(b, 5, 5), a)
        network = agree(tmp_path, graph.model(graph.relu(graph.add("Add", total, total))))
        assert kinds(network) == ["", "fr", "", "f+", "f+r"]
        assert network.layers[-1].sources == (1, 1)

    def test_more_factors_than_a_codebook_holds_are_no_fixed_layer(self, tmp_path):
        for channels, fixed in ((255, True), (256, False)):
            graph = Graph()
            a = graph.relu(graph.conv("x", channels, 4))
            network = agree(tmp_path, graph.model(graph.norm(a, channels)))
            assert [layer.fixed for layer in network.layers] == [False, fixed]


class TestGroups:
    def test_depthwise_separable_block(self, tmp_path):
        graph = Graph()
        deep = graph.relu(graph.norm(graph.conv("x", 4, 4, side=3, groups=4), 4))
        network = agree(tmp_path, graph.model(graph.relu(graph.norm(graph.conv(deep, 6, 4), 6))))
        assert kinds(network) == ["r", "r"]
        assert network.layers[0].convolution == Convolution(4, 8, 8, 3, 3, padding=1, groups=4)

    @pytest.mark.parametrize(("rows", "groups"), [(6, 2), (8, 4), (2, 2)])
    def test_groups(self, tmp_path, rows, groups):
        graph = Graph()
        out = graph.conv("x", rows, 4, side=3, groups=groups, strides=[2, 2])
        network = agree(tmp_path, graph.model(graph.norm(out, rows)))
        assert kinds(network) == [""]
        assert network.layers[0].weights.shape == (rows, 4 // groups * 9)


class TestPooling:
    def pool(self, folder, kind, *before, after=(), **attributes):
        """The network of a convolution, nodes, a pooling, and nodes."""
        graph = Graph()
        x = graph.conv("x", 3, 4)
        for node in before:
            x = graph.add(node, x)
        x = graph.add(kind, x, **attributes)
        for node in after:
            x = graph.add(node, x)
        return agree(folder, graph.model(graph.conv(x, 2, 3)))

    @pytest.mark.parametrize(("side", "stride"), [(3, 2), (2, 1), (3, 1), (3, 3), (8, 1), (8, 3)])
    def test_maxima(self, tmp_path, side, stride):
        attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2}
        network = self.pool(tmp_path, "MaxPool", after=["Relu"], **attributes)
        assert kinds(network) == ["rp", ""]
        overlap = 0 if side == 8 else side - stride
        assert network.layers[0].convolution.overlap == overlap

    def test_of_the_input_and_of_what_is_pooled(self, tmp_path):
        graph = Graph()
        x = "x"
        for _ in range(3):
            x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        network = agree(tmp_path, graph.model(graph.gemm(graph.add("Flatten", x), 2, 4)))
        assert kinds(network) == ["fp", "fp", "fp", ""]

    def test_after_a_reshape(self, tmp_path):
        graph = Graph()
        graph.maker.constants["to"] = np.array([0, 4, 4, 4])
        x = graph.add("Reshape", graph.conv("x", 1, 4), "to")
        x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = graph.norm(graph.relu(graph.add("Flatten", x)), 16)
        network = agree(tmp_path, graph.model(x))
        assert kinds(network) == ["", "frp", "f"]

    @pytest.mark.parametrize(("side", "stride"), [(2, 2), (4, 4), (2, 1), (4, 3), (8, 1)])
    def test_means_over_powers_of_two(self, tmp_path, side, stride):
        attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2}
        network = self.pool(tmp_path, "AveragePool", "Relu", **attributes)
        assert kinds(network) == ["rp", ""]
        assert network.layers[0].convolution.average
        overlap = 0 if side == 8 else side - stride
        assert network.layers[0].convolution.overlap == overlap

    @pytest.mark.parametrize(
        ("kernel", "stride"),
        [([3, 3], 2), ([2, 3], 1), ([3, 3], 4), ([2, 2], 3), ([1, 1], 2), ([7, 7], 2), ([2, 2], 7)],
    )
    def test_other_means(self, tmp_path, kernel, stride):
        attributes = {"kernel_shape": kernel, "strides": [stride] * 2}
        network = self.pool(tmp_path, "AveragePool", **attributes)
        assert kinds(network) == ["", "f", ""]
        convolution = network.layers[1].convolution
        assert convolution == Convolution(3, 8, 8, *kernel, stride=stride, groups=3)

    def test_a_relu_after_a_mean_is_a_layer(self, tmp_path):
        attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "after": ["Relu"]}
        assert kinds(self.pool(tmp_path, "AveragePool", **attributes)) == ["p", "fr", ""]
        # But not where the mean is of what a ReLU gave.
        network = self.pool(tmp_path, "AveragePool", "Relu", **attributes)
        assert kinds(network) == ["rp", ""]

    def test_a_maximum_after_a_mean_is_a_layer(self, tmp_path):
        attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
        graph = Graph()
        x = graph.add("AveragePool", graph.conv("x", 3, 4), **attributes)
        x = graph.norm(x, 3)
        network = agree(tmp_path, graph.model(graph.add("MaxPool", x, **attributes)))
        assert kinds(network) == ["p", "fp"]

    @pytest.mark.parametrize("plane", [(8, 8), (7, 7), (8, 4), (1, 1)])
    @pytest.mark.parametrize("kind", ["GlobalAveragePool", "ReduceMean", "ReduceMean flat"])
    def test_means_of_planes(self, tmp_path, kind, plane):
        graph = Graph()
        x = graph.conv("x", 3, 4)
        if kind == "GlobalAveragePool":
            x = graph.add(kind, x)
        else:
            graph.maker.constants["axes"] = np.array([-1, 2])
            x = graph.add("ReduceMean", x, "axes", keepdims=int(kind == "ReduceMean"))
        x = x if kind.endswith("flat") else graph.add("Flatten", x)
        shape = (4, *plane)
        network = agree(tmp_path, graph.model(graph.gemm(x, 2, 3), shape), shape)
        assert kinds(network) == {8: ["p", ""], 1: ["", ""]}.get(plane[1], ["", "f", ""])


def test_relus_of_what_others_take(tmp_path):
    graph = Graph()
    x = graph.conv(graph.relu("x"), 4, 4)
    y = graph.relu(x)
    total = graph.add("Add", graph.conv(x, 4, 4), graph.conv(y, 4, 4))
    network = agree(tmp_path, graph.model(total))
    assert kinds(network) == ["fr", "", "fr", "", "", "f+"]


def test_a_relu_of_a_relu_is_none(tmp_path):
    graph = Graph()
    x = graph.relu(graph.conv("x", 4, 4))
    network = agree(tmp_path, graph.model(graph.add("Add", x, graph.relu(x))))
    assert kinds(network) == ["r", "f+"]


def test_normalisation_of_what_others_take(tmp_path):
    graph = Graph()
    x = graph.norm("x", 4)
    y = graph.conv(x, 4, 4)
    network = agree(tmp_path, graph.model(graph.add("Concat", graph.norm(y, 4), y, axis=1)))
    assert kinds(network) == ["f", "", "f", "f"]


def test_what_the_output_does_not_need_is_dropped(tmp_path):
    graph = Graph()
    x = graph.conv("x", 4, 4)
    graph.add("Sigmoid", graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[3, 3]))
    y = graph.relu(x)
    proto = graph.model(y)
    graph.add("Elu", y)
    graph.conv(y, 4, 4)
    network = agree(tmp_path, assemble(graph.nodes, graph.maker.constants, ("n", *SHAPE)))
    assert kinds(network) == kinds(agree(tmp_path, proto)) == ["r"]


def test_names(tmp_path):
    graph = Graph()
    a = graph.relu(graph.add("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]))
    b = graph.conv(a, 4, 4)
    network = agree(tmp_path, graph.model(graph.add("Add", a, b)))
    assert [layer.name for layer in network.layers] == ["maxpool0", "conv2", "add3"]


def resnet_8():
    graph = Graph()
    x = graph.relu(graph.norm(graph.conv("x", 16, 3, side=3), 16))
    channels = 16
    for rows, strides in ((16, [1, 1]), (32, [2, 2]), (64, [2, 2])):
        inner = graph.conv(x, rows, channels, side=3, strides=strides)
        inner = graph.relu(graph.norm(inner, rows))
        inner = graph.norm(graph.conv(inner, rows, rows, side=3), rows)
        if strides != [1, 1]:
            x = graph.conv(x, rows, channels, strides=strides)
        x, channels = graph.relu(graph.add("Add", inner, x)), rows
    flat = graph.add("Flatten", graph.add("AveragePool", x, kernel_shape=[8, 8]))
    scores = helper.make_node("Softmax", [graph.gemm(flat, 10, 64)], ["y"])
    return assemble([*graph.nodes, scores], graph.maker.constants, ("n", 3, 32, 32))


def test_resnet_8_is_the_architecture(tmp_path):
    proto = resnet_8()
    network = read_network(save(tmp_path, proto))
    wanted = template("resnet8")
    for layer, other in zip(network.layers, wanted.layers, strict=True):
        assert (layer.weights.shape, layer.relu, layer.fixed) == (
            other.weights.shape,
            other.relu,
            other.fixed,
        )
        assert (layer.convolution, layer.sources, layer.added) == (
            other.convolution,
            other.sources,
            other.added,
        )
    x = np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)
    expected = graphs.run(proto, x)
    logits = network.predict(x.reshape(2, -1).astype(np.float64))
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


@st.composite
def branching(draw):
    """A random model with branches; what nothing takes is left in."""
    graph = Graph(draw(st.integers(0, 2**32 - 1)))
    values = [("x", SHAPE)]
    for _ in range(draw(st.integers(2, 9))):
        # Mostly what is new, so that most values are taken once.
        place = draw(st.sampled_from([-1, -1, -1, -2, 0]))
        x, (channels, *plane) = values[max(place, -len(values))]
        kind = draw(st.sampled_from(["conv", "relu", "norm", "max", "mean", "add", "concat"]))
        if kind == "conv":
            rows = draw(st.sampled_from([2, 4, channels]))
            groups = draw(st.sampled_from([1, 2])) if channels % 2 == rows % 2 == 0 else 1
            y = graph.conv(x, rows, channels, draw(st.sampled_from([1, 3])), groups)
            channels = rows
        elif kind == "relu":
            y = graph.relu(x)
        elif kind == "norm":
            y = graph.norm(x, channels)
        elif kind in ("max", "mean"):
            side = draw(st.integers(1, min(3, *plane)))
            stride = draw(st.integers(1, side))
            name = "MaxPool" if kind == "max" else "AveragePool"
            y = graph.add(name, x, kernel_shape=[side] * 2, strides=[stride] * 2)
            plane = [(length - side) // stride + 1 for length in plane]
        else:
            alike = [v for v in values if v[1][1:] == tuple(plane)]
            if kind == "add":
                alike = [v for v in alike if v[1][0] == channels]
            others = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=2))
            names = [x, *(name for name, _ in others)]
            if kind == "add":
                y = graph.add("Sum", *names)
            else:
                y = graph.add("Concat", *names, axis=1)
                channels += sum(shape[0] for _, shape in others)
        values.append((y, (channels, *plane)))
    y, (channels, *plane) = values[-1]
    last = graph.conv(y, 2, channels)
    if draw(st.booleans()):
        last = graph.gemm(graph.add("Flatten", y), 3, channels * plane[0] * plane[1])
    return graph.model(last)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(branching())
def test_random_graphs(tmp_path, proto):
    agree(tmp_path, proto)
