"""ONNX models, read as ONNX's reference executes them."""

from __future__ import annotations

import graphs
import numpy as np
import pytest
from graphs import CONV, IMAGE, NORM, B, W, assemble, conv, model, node, norm, save, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sw.convolution import Convolution
from sw.read import read_network

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def agree(folder, proto, shape):
    """The network read, after comparing it with ONNX's reference on random inputs."""
    network = read_network(save(folder, proto))
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = graphs.run(proto, x)
    y = network.predict(x.reshape(len(x), -1).astype(np.float64))
    np.testing.assert_allclose(y, expected, **TOLERANCE)
    return network


class TestDense:
    @pytest.mark.parametrize("attributes", [{}, {"alpha": 0.5, "beta": -2.0}])
    @pytest.mark.parametrize("bias", [B, B[None], B[:1], B[0], None])
    @pytest.mark.parametrize("trans", [0, 1])
    def test_gemm(self, tmp_path, attributes, bias, trans):
        constants = {"w": W if trans else np.ascontiguousarray(W.T)}
        inputs = ["w"]
        if bias is not None:
            constants["b"] = np.asarray(bias)
            inputs.append("b")
        proto = model([node("Gemm", *inputs, transB=trans, **attributes)], constants)
        network = agree(tmp_path, proto, (5, 4))
        assert not network.layers[0].relu
        assert network.layers[0].weights.dtype == np.float64

    @pytest.mark.parametrize("places", [(None, "b"), ("b", None)])
    def test_matmul_and_add(self, tmp_path, places):
        nodes = [node("MatMul", "w"), node("Add", *places), node("Relu")]
        network = agree(tmp_path, model(nodes, {"w": W.T.copy(), "b": B}), (5, 4))
        assert len(network.layers) == 1
        assert network.layers[0].relu

    def test_names_are_those_of_the_modules_or_the_nodes(self, tmp_path):
        nodes = [
            node("Gemm", "fc1.weight", transB=1),
            node("Gemm", "onnx::Gemm_7", transB=1, name="/fc2/Gemm"),
            node("Gemm", "fc1.weight", transB=1),
        ]
        square = values(4, 4)
        proto = model(nodes, {"fc1.weight": square, "onnx::Gemm_7": square})
        network = agree(tmp_path, proto, (2, 4))
        assert [layer.name for layer in network.layers] == ["fc1", "/fc2/Gemm", "fc1_2"]

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_other_floats(self, tmp_path, dtype):
        proto = model([node("Gemm", "w", transB=1)], {"w": W.astype(dtype)})
        weights = read_network(save(tmp_path, proto)).layers[0].weights
        np.testing.assert_array_equal(weights, W.astype(dtype).astype(np.float64))

    def test_numbers_that_are_not_stored_as_bytes(self, tmp_path):
        proto = model([node("Gemm", "w", transB=1)])
        proto.graph.initializer.append(
            helper.make_tensor("w", TensorProto.FLOAT, (3, 4), W.ravel())
        )
        agree(tmp_path, proto, (5, 4))
        half = helper.make_tensor("w", TensorProto.FLOAT16, (3, 4), W.ravel())
        proto.graph.initializer[0].CopyFrom(half)
        weights = read_network(save(tmp_path, proto)).layers[0].weights
        np.testing.assert_array_equal(weights, W.astype(np.float16).astype(np.float64))

    def test_constants_made_by_nodes(self, tmp_path):
        nodes = [
            helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)),
            helper.make_node("Identity", ["w"], ["w1"]),
            helper.make_node("Transpose", ["w1"], ["w2"]),
            helper.make_node("Transpose", ["w2"], ["w3"], perm=[0, 1]),
            helper.make_node("Constant", [], ["b"], value_floats=B.tolist()),
            helper.make_node("Identity", ["x"], ["x1"]),
            helper.make_node("MatMul", ["x1", "w3"], ["x2"]),
            helper.make_node("Add", ["x2", "b"], ["y"]),
        ]
        agree(tmp_path, assemble(nodes), (5, 4))

    @pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
    @pytest.mark.parametrize("opset", [7, 11, 13, 21])
    def test_softmax_at_the_end_and_dropout_are_left_out(self, tmp_path, kind, opset):
        dropout = {"ratio": 0.5} if opset < 12 else {}
        nodes = [node("Gemm", "w", "b", transB=1), node("Dropout", **dropout), node("Relu")]
        whole = model([*nodes, node(kind, axis=1)], {"w": W, "b": B}, opset=opset)
        network = read_network(save(tmp_path, whole))
        x = values(5, 4)
        expected = graphs.run(model(nodes[:1] + nodes[2:], {"w": W, "b": B}, opset=opset), x)
        np.testing.assert_allclose(network.predict(x.astype(np.float64)), expected, **TOLERANCE)

    def test_what_nothing_takes_is_ignored(self, tmp_path):
        nan = np.full(3, np.nan, np.float32)
        agree(tmp_path, model([node("Gemm", "w", transB=1)], {"w": W, "unused": nan}), (5, 4))

    def test_initialisers_that_are_inputs_too(self, tmp_path):
        proto = model([node("Gemm", "w", transB=1)], {"w": W})
        proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (3, 4)))
        assert read_network(save(tmp_path, proto)).inputs == 4


class TestConvolution:
    @pytest.mark.parametrize(
        ("attributes", "geometry"),
        [
            ({}, {}),
            ({"kernel_shape": [3, 3], "group": 1, "dilations": [1, 1]}, {}),
            ({"pads": [1, 1, 1, 1]}, {"padding": 1}),
            ({"pads": [2, 2, 2, 2], "strides": [2, 2]}, {"padding": 2, "stride": 2}),
            ({"auto_pad": "VALID"}, {}),
            ({"auto_pad": "SAME_UPPER"}, {"padding": 1}),
            ({"auto_pad": "SAME_LOWER"}, {"padding": 1}),
        ],
    )
    def test_geometry(self, tmp_path, attributes, geometry):
        proto = model([conv(**attributes)], CONV, IMAGE)
        network = agree(tmp_path, proto, (3, 2, 7, 6))
        assert network.layers[0].convolution == Convolution(2, 7, 6, 3, 3, **geometry)
        assert network.layers[0].name == "k"

    def test_same_padding_with_strides(self, tmp_path):
        proto = model([conv(auto_pad="SAME_UPPER", strides=[2, 2])], CONV, ("n", 2, 7, 9))
        network = agree(tmp_path, proto, (3, 2, 7, 9))
        assert network.layers[0].convolution == Convolution(2, 7, 9, 3, 3, 2, 1)

    @pytest.mark.parametrize("order", [["Relu", "MaxPool"], ["MaxPool", "Relu"]])
    @pytest.mark.parametrize("size", [(7, 6), (6, 7), (8, 8)])
    def test_relu_and_pooling_are_one_layer_either_way(self, tmp_path, order, size):
        pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
        nodes = [node(kind, **(pool if kind == "MaxPool" else {})) for kind in order]
        proto = model([conv(), *nodes], CONV, ("n", 2, *size))
        network = agree(tmp_path, proto, (3, 2, *size))
        assert len(network.layers) == 1
        assert network.layers[0].relu
        assert network.layers[0].convolution.pool == 2

    def test_ceil_mode_that_makes_no_difference(self, tmp_path):
        pool = node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        agree(tmp_path, model([conv(), pool], CONV, ("n", 2, 6, 8)), (3, 2, 6, 8))

    def test_pooling_of_one_is_none(self, tmp_path):
        agree(
            tmp_path,
            model([conv(), node("MaxPool", kernel_shape=[1, 1])], CONV, IMAGE),
            (3, 2, 7, 6),
        )

    @pytest.mark.parametrize("opset", [7, 9, 14])
    def test_batch_normalisation_is_folded(self, tmp_path, opset):
        nodes, constants = [conv(), norm(epsilon=0.01), node("Relu")], CONV | NORM
        network = agree(tmp_path, model(nodes, constants, IMAGE), (3, 2, 7, 6))
        # ONNX's reference trains before version 14, whatever the model says.
        old = read_network(save(tmp_path, model(nodes, constants, IMAGE, opset)))
        assert len(old.layers) == 1
        np.testing.assert_array_equal(old.layers[0].weights, network.layers[0].weights)
        np.testing.assert_array_equal(old.layers[0].bias, network.layers[0].bias)

    def test_batch_normalisation_of_a_dense_layer(self, tmp_path):
        constants = {"w": W.T.copy(), "b": B} | NORM
        nodes = [node("MatMul", "w"), norm(), node("Add", "b"), norm()]
        assert len(agree(tmp_path, model(nodes, constants), (5, 4)).layers) == 1

    @pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1), ()])
    def test_added_channels(self, tmp_path, shape):
        proto = model([conv(), node("Add", "b")], CONV | {"b": values(*shape)}, IMAGE)
        agree(tmp_path, proto, (3, 2, 7, 6))

    @pytest.mark.parametrize(
        "flat",
        [
            node("Flatten"),
            node("Flatten", axis=-3),
            node("Reshape", "target"),
        ],
    )
    @pytest.mark.parametrize("target", [[-1, 60], [0, -1], [0, 60], [0, 3, -1]])
    def test_flattening(self, tmp_path, flat, target):
        tail = [flat] if len(target) == 2 else [flat, node("Flatten")]
        constants = CONV | {"target": np.array(target), "w": values(4, 60)}
        proto = model([conv(), *tail, node("Gemm", "w", transB=1)], constants, IMAGE)
        agree(tmp_path, proto, (3, 2, 7, 6))

    def test_flattening_of_a_fixed_batch(self, tmp_path):
        constants = CONV | {"target": np.array([3, -1]), "w": values(4, 60)}
        nodes = [conv(), node("Reshape", "target"), node("Gemm", "w", transB=1)]
        agree(tmp_path, model(nodes, constants, (3, 2, 7, 6)), (3, 2, 7, 6))

    def test_planes_from_a_flat_input(self, tmp_path):
        constants = CONV | {"target": np.array([-1, 2, 7, 6])}
        agree(tmp_path, model([node("Reshape", "target"), conv()], constants, ("n", 84)), (3, 84))


@st.composite
def chains(draw):
    """A random model that is supported: convolutions, then fully connected layers."""
    maker = graphs.Maker(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    channels, *plane = draw(st.tuples(st.integers(1, 3), st.integers(5, 12), st.integers(5, 12)))
    shape = ("n", channels, *plane)
    nodes = []

    def finish(rows, pool):
        if draw(st.booleans()):
            names = [maker.add(rows, positive=place == 3) for place in range(4)]
            nodes.append(node("BatchNormalization", *names))
        after = [node("Relu")] * draw(st.integers(0, 1))
        if pool > 1:
            after.append(node("MaxPool", kernel_shape=[pool] * 2, strides=[pool] * 2))
        nodes.extend(draw(st.permutations(after)))

    for _ in range(draw(st.integers(0, 2))):
        side, rows = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, side - 1))
        pool = draw(st.integers(1, 2))
        positions = [(size + 2 * padding - side) // stride + 1 for size in plane]
        if min(positions) < pool:
            break
        bias = [maker.add(rows)] * draw(st.integers(0, 1))
        kernel = maker.add(rows, channels, side, side)
        nodes.append(node("Conv", kernel, *bias, strides=[stride] * 2, pads=[padding] * 4))
        finish(rows, pool)
        channels, plane = rows, [size // pool for size in positions]
    nodes.append(node("Flatten"))
    columns = channels * plane[0] * plane[1]
    for _ in range(draw(st.integers(1, 2))):
        rows = draw(st.integers(1, 5))
        if draw(st.booleans()):
            alpha = draw(st.sampled_from([1.0, 0.5]))
            bias = [maker.add(rows)] * draw(st.integers(0, 1))
            nodes.append(node("Gemm", maker.add(rows, columns), *bias, transB=1, alpha=alpha))
        else:
            nodes += [node("MatMul", maker.add(columns, rows)), node("Add", maker.add(rows))]
        finish(rows, pool=1)
        columns = rows
    return model(nodes, maker.constants, shape), shape[1:]


@settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chains())
def test_random_networks(tmp_path, chain):
    proto, shape = chain
    network = read_network(save(tmp_path, proto))
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    expected = graphs.run(proto, x)
    scale = max(1.0, float(np.abs(expected).max()))
    y = network.predict(x.reshape(3, -1).astype(np.float64))
    np.testing.assert_allclose(y / scale, expected / scale, **TOLERANCE)
