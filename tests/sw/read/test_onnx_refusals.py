"""ONNX models that are not supported, each with the sentence that says why."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from graphs import (
    CONV,
    DENSE,
    IMAGE,
    NORM,
    W,
    assemble,
    conv,
    dense,
    model,
    node,
    norm,
    pool,
    refuse,
    save,
    values,
)
from onnx import TensorProto, helper, numpy_helper

from sw.errors import BadInput
from sw.read import read_network


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [dense(), node("Sigmoid")],
            r"'node1' \(Sigmoid\): this type is not supported; Gemm, ",
        ),
        ([dense(), node("Relu", name="r", domain="my.own")], r"\(Relu\): .* 'my.own' is not"),
        ([dense(transA=1)], r"'node0' \(Gemm\): transA is 1"),
        ([dense(transB=0)], "takes 3 activations but is given those of shape"),
        ([dense(nonsense=1)], r"\(Gemm\): it is not sound: .*nonsense"),
        ([dense(), dense()], r"takes 4 activations but is given those of shape \(3,\)"),
        ([node("Gemm", "w", "w", transB=1)], r"shape \(3, 4\) is added to .* \(3,\)"),
        ([node("Gemm", "missing")], "takes 'missing', which no node before it gives"),
        ([node("MatMul", "w", None)], "its input 1 must be a constant, and only"),
        ([node("MatMul", "b")], r"weights have shape \(3,\); they must be a matrix"),
        ([node("Relu"), dense()], r"\(Relu\): no convolution or fully connected layer"),
        ([dense(), node("Relu"), node("Add", "b")], "not over a ReLU or pooling"),
        ([dense(), node("Add", "two")], r"shape \(2,\) is added .* one value for each of 3 rows"),
        ([dense(), node("Softmax"), node("Relu")], "softmax, which is supported at the very"),
        ([dense(), node("Softmax", axis=0)], "its axis is 0 of activations"),
        ([dense(), node("Flatten", axis=0)], "its axis is 0; it must be 1"),
        ([dense(), pool()], "max pooling is supported once, after a convolution"),
        ([node("Identity")], "no convolution and no fully connected layer"),
        ([dense(), node("Transpose")], "only constants can be given to it"),
        ([dense(), node("Dropout", "", "true")], "it is in training mode"),
        ([dense(alpha=1e300)], "overflows"),
        ([dense(alpha=float("inf"))], "overflows"),
        ([dense(), node("Reshape", "b")], "'b' holds float32 values; they must be integers"),
        ([dense(), node("Reshape", "three")], r"\['batch', 3\] to \[3, -1\]; the batch"),
        ([dense(), node("Reshape", "four")], r"reshapes \['batch', 3\] to \['batch', 4\]"),
        ([dense(), node("Reshape", "whole")], r"reshapes \['batch', 3\] to \[-1\]"),
        ([node("Gemm", "whole")], "'whole' holds int64 values; they must be floats"),
        ([node("Gemm", "eight")], "'eight' holds UINT8 values; FLOAT, FLOAT16"),
        ([node("Gemm", "nan")], r"'nan' holds nan at \[1\]; every value must be finite"),
        ([node("Gemm", "infinite")], r"'infinite' holds -inf at \[0, 2\]"),
    ],
)
def test_chains(tmp_path, nodes, message):
    constants = DENSE | {
        "true": np.array(True),
        "two": values(2),
        "three": np.array([3, -1]),
        "four": np.array([0, 4]),
        "whole": np.array([-1]),
        "eight": np.zeros((4, 3), np.uint8),
        "nan": np.array([0, np.nan, 0], np.float32),
        "infinite": np.array([[0, 0, -np.inf, 0]] * 4, np.float32),
    }
    refuse(tmp_path, model(nodes, constants), message)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [conv(strides=[1, 2])],
            r"'node0' \(Conv\): its strides are \[1, 2\]; they must be eq",
        ),
        ([conv(strides=[0, 0])], "stride is 0; it must be 1 or more"),
        ([conv(dilations=[2, 2])], r"dilations are \[2, 2\]; only \[1, 1\]"),
        ([conv(pads=[0, 0, 1, 1])], r"pads are \[0, 0, 1, 1\]; all four must be equal"),
        ([conv(pads=[3, 3, 3, 3])], "padding of 3 is not less than the kernel"),
        ([conv(pads=[1, 1])], r"pads is \[1, 1\]; two dimensions have 4"),
        ([conv(auto_pad="SAME_UPPER", strides=[2, 2])], r"pads are \[1, 0, 1, 1\]; all four"),
        ([conv(auto_pad="VALID", pads=[1] * 4)], "auto_pad is VALID and pads are"),
        ([conv(auto_pad="ELSE")], "auto_pad is 'ELSE'"),
        ([conv(kernel_shape=[2, 3])], r"kernel is \[2, 3\] but its weights"),
        ([node("Conv", "grouped", group=2)], "convolution in 2 groups; only 1"),
        ([node("Conv", "grouped")], "takes 1 channels but is given activations of shape"),
        ([node("Conv", "line")], r"kernel is \[3\]; two dimensions have 2"),
        ([node("Conv", "large")], "kernel of 8 × 3 is larger than the input of 7 × 6"),
        ([node("Conv", "k.weight", "short")], r"its bias has shape \(2,\)"),
        ([conv(), pool(kernel_shape=[2, 3])], r"kernel is \[2, 3\] with strides \[2, 2\]"),
        ([conv(), pool(strides=[1, 1])], r"kernel is \[2, 2\] with strides \[1, 1\]"),
        ([conv(), node("MaxPool", kernel_shape=[2, 2])], r"with strides \[1, 1\]"),
        ([conv(), pool(pads=[1, 1, 1, 1])], r"pads \[1, 1, 1, 1\]"),
        ([conv(), pool(dilations=[2, 2])], r"dilations \[2, 2\]"),
        ([conv(), pool(ceil_mode=1)], r"pools \[5, 4\] by 2 and counts windows that are not"),
        ([conv(), pool(kernel_shape=[9, 9], strides=[9, 9])], "window of 9 is larger than 5"),
        ([conv(), pool(), pool()], "max pooling is supported once"),
        ([conv(), pool(), norm()], "not over a ReLU or pooling"),
        ([conv(), node("Relu"), norm()], "not over a ReLU or pooling"),
        ([conv(), node("Flatten"), norm()], r"\(3, 5, 4\) are reshaped to \(60,\) before"),
        ([norm(), conv()], "no convolution or fully connected layer stands before it"),
        ([conv(), norm(training_mode=1)], "it is in training mode"),
        ([conv(), norm(epsilon=-9.0)], "variance and epsilon are -.* in sum"),
        (
            [conv(), node("BatchNormalization", "short", "o", "m", "v")],
            r"shape \(2,\); the layer before it has 3 rows",
        ),
        ([conv(), node("Gemm", "w", transB=1)], "must be flattened first"),
        ([conv(), node("Softmax")], "a softmax must be over all outputs"),
        ([conv(), node("Add", "plane")], "one value for each of 3 rows"),
        ([conv(), node("AveragePool", kernel_shape=[2, 2])], r"\(AveragePool\): this type"),
    ],
)
def test_convolutions(tmp_path, nodes, message):
    constants = {
        "grouped": values(4, 1, 3, 3),
        "line": values(3, 2, 3),
        "large": values(3, 2, 8, 3),
        "short": values(2),
        "plane": values(5, 4),
    }
    refuse(tmp_path, model(nodes, CONV | NORM | DENSE | constants, IMAGE), message)


@pytest.mark.parametrize("opset", [9, 14])
def test_batch_normalisation_in_training(tmp_path, opset):
    proto = model([conv(), norm()], CONV | NORM, IMAGE, opset)
    proto.graph.node[1].output.extend(["mean", "variance"])
    refuse(tmp_path, proto, "it is in training mode|it is not sound")


def test_batch_normalisation_of_each_place(tmp_path):
    proto = model([conv(), norm(spatial=0)], CONV | NORM, IMAGE, opset=7)
    refuse(tmp_path, proto, "spatial is 0; it must be 1")


def test_what_a_terminal_would_obey_is_not_printed(tmp_path):
    path = save(tmp_path, model([dense(), node("Re\x1b[31m\nlu")], DENSE))
    with pytest.raises(BadInput, match=r"\(Re\?\[31m\?lu\): this type is not supported"):
        read_network(path)


def test_branches(tmp_path):
    add = helper.make_node("Add", ["a", "x"], ["y"], name="sum")
    first = helper.make_node("Gemm", ["x", "w"], ["a"], transB=1)
    square = {"w": values(4, 4)}
    refuse(tmp_path, assemble([first, add], square), "'sum'.*another node takes too; graphs that")
    add = helper.make_node("Add", ["a", "a"], ["y"], name="sum")
    refuse(tmp_path, assemble([first, add], square), "'sum'.*takes 2 values that are not const")
    dead = helper.make_node("Relu", ["x"], ["b"], name="dead")
    last = helper.make_node("Relu", ["a"], ["y"])
    refuse(tmp_path, assemble([first, dead, last], square), "'dead'.*graphs that branch")
    after = helper.make_node("Relu", ["y"], ["z"])
    refuse(tmp_path, assemble([first, last, after], square), "nodes stand after the output 'y'")
    refuse(tmp_path, assemble([first], square), "no node gives the output 'y'")
    again = helper.make_node("Relu", ["a"], ["x"])
    refuse(tmp_path, assemble([first, again], square), "gives 'x', which is given before")
    again = helper.make_node("Relu", ["a"], ["w"])
    refuse(tmp_path, assemble([first, again], square), "gives 'w', which is a constant")


def test_inputs_and_outputs(tmp_path):
    proto = model([dense()], DENSE)
    proto.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, (1, 4)))
    refuse(tmp_path, proto, "the model has 2 inputs and 1 outputs")
    proto = model([dense()], DENSE)
    proto.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4)))
    refuse(tmp_path, proto, "the model has 1 inputs and 2 outputs")
    refuse(tmp_path, model([dense()], DENSE, kind=TensorProto.INT64), "input 'x': .* of type 7")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("n", "m"), r"input 'x': dimension 1 of its shape \['n', 'm'\] is dynamic; only the"),
        ((None, 1, None, 28), "dimension 2 of its shape .* is dynamic"),
        ((1, 0), "dimension 1 of its shape .* is 0"),
        ((4,), r"it has shape \[4\]; it must be \(batch, ...\)"),
        (None, r"it has shape \[\]"),
        (("n", 1 << 40), "are more than 134217728"),
    ],
)
def test_shapes(tmp_path, shape, message):
    refuse(tmp_path, model([dense()], DENSE, shape), message)


def test_open_shapes_can_be_given(tmp_path):
    for shape in (("n", "m"), None):
        path = save(tmp_path, model([dense()], DENSE, shape))
        assert read_network(path, input_shape=(4,)).inputs == 4
        with pytest.raises(BadInput, match=r"takes 4 activations but is given"):
            read_network(path, input_shape=(5,))
    with pytest.raises(BadInput, match=r"takes 4 inputs; the given shape \(5,\) has 5"):
        read_network(save(tmp_path, model([dense()], DENSE)), input_shape=(5,))


def test_versions(tmp_path):
    for opset in (6, 1000):
        refuse(tmp_path, model([dense()], DENSE, opset=opset), f"operator set {opset}; 7 to ")
    proto = model([dense()], DENSE)
    proto.ir_version = 99
    refuse(tmp_path, proto, "its format version 99 is not from 3 to ")
    proto = model([dense()], DENSE)
    proto.functions.add().name = "f"
    refuse(tmp_path, proto, "functions are not supported")


def test_an_architecture_is_for_arrays(tmp_path):
    path = save(tmp_path, model([dense()], DENSE))
    with pytest.raises(BadInput, match="says itself how its layers are connected"):
        read_network(path, "lenet5")


def test_two_constants_of_one_name(tmp_path):
    proto = model([dense()], DENSE)
    proto.graph.initializer.append(numpy_helper.from_array(W, "w"))
    refuse(tmp_path, proto, "two constants of the name 'w'")


@pytest.mark.parametrize(
    ("dims", "data", "message"),
    [
        ((1 << 20, 1 << 20), b"", "values; at most"),
        ((1 << 62, 1 << 62, 1 << 62), b"", "values; at most"),
        ((-3, -4), bytes(48), "impossible shape"),
        ((3, 4), bytes(47), r"has 47 bytes of data; shape \(3, 4\) needs 48"),
        ((3, 4), None, "has 0 values; .* needs 12"),
    ],
)
def test_tensors_that_lie_about_their_size(tmp_path, dims, data, message):
    proto = model([dense()], DENSE)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("dims")
    tensor.dims.extend(dims)
    tensor.ClearField("raw_data")
    if data is not None:
        tensor.raw_data = data
    path = save(tmp_path, proto)
    tracemalloc.start()
    with pytest.raises(BadInput, match=message):
        read_network(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
