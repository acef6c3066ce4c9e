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
    average,
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
        ([node("Gemm", "w", "w", transB=1)], r"shape \(3, 4\) meets .* \(3,\)"),
        ([node("Gemm", "missing")], "takes 'missing', which no node before it gives"),
        ([node("MatMul", "w", None)], "its input 1 must be a constant, and only"),
        ([node("MatMul", "b")], r"weights have shape \(3,\); they must be a matrix"),
        ([node("Relu")], "the model has no convolution and no fully connected layer"),
        ([dense(), node("Add", "two")], r"shape \(2,\) meets .* one value for each of 3 rows"),
        ([dense(), node("Mul", "two")], r"shape \(2,\) meets .* one value for each of 3 rows"),
        ([dense(), node("Softmax"), node("Relu")], "softmax, which is supported at the very"),
        ([dense(), node("Softmax", axis=0)], "its axis is 0 of activations"),
        ([dense(), node("Flatten", axis=0)], "its axis is 0; it must be 1"),
        ([dense(), pool()], r"it pools activations of shape \(3,\); they must be"),
        ([dense(), node("ReduceMean", keepdims=1)], r"its axes are \[\] of 2 dimensions"),
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
        ([conv(pads=[4, 4, 4, 4])], "padding of 4 is more than the kernel"),
        ([conv(pads=[1, 1])], r"pads is \[1, 1\]; two dimensions have 4"),
        ([conv(auto_pad="SAME_UPPER", strides=[2, 2])], r"pads are \[1, 0, 1, 1\]; all four"),
        ([conv(auto_pad="VALID", pads=[1] * 4)], "auto_pad is VALID and pads are"),
        ([conv(auto_pad="ELSE")], "auto_pad is 'ELSE'"),
        ([conv(kernel_shape=[2, 3])], r"kernel is \[2, 3\] but its weights"),
        ([node("Conv", "k.weight", group=2)], "its 3 output channels do not split into 2 groups"),
        ([node("Conv", "grouped", group=0)], "its 4 output channels do not split into 0 groups"),
        ([node("Conv", "grouped", group=4)], r"takes 4 channels but is given .* \(2, 7, 6\)"),
        ([node("Conv", "grouped")], "takes 1 channels but is given activations of shape"),
        ([node("Conv", "line")], r"kernel is \[3\]; two dimensions have 2"),
        ([node("Conv", "large")], "kernel of 8 × 3 is larger than the input of 7 × 6"),
        ([node("Conv", "k.weight", "short")], r"its bias has shape \(2,\)"),
        ([conv(), pool(kernel_shape=[2, 3])], r"kernel is \[2, 3\] with strides \[2, 2\]"),
        ([conv(), pool(strides=[3, 3])], r"kernel is \[2, 2\] with strides \[3, 3\]"),
        ([conv(), pool(strides=[0, 0])], r"with strides \[0, 0\]"),
        ([conv(), pool(strides=[1, 2])], r"with strides \[1, 2\]"),
        ([conv(), pool(pads=[1, 1, 1, 1])], r"pads \[1, 1, 1, 1\]"),
        ([conv(), pool(dilations=[2, 2])], r"dilations \[2, 2\]"),
        ([conv(), pool(ceil_mode=1)], r"pools \[5, 4\] by 2 and counts windows that are not"),
        ([conv(), pool(kernel_shape=[9, 9], strides=[9, 9])], "window of 9 is larger than 5"),
        ([conv(), norm(training_mode=1)], "it is in training mode"),
        ([conv(), norm(epsilon=-9.0)], "variance and epsilon are -.* in sum"),
        (
            [conv(), node("BatchNormalization", "short", "o", "m", "v")],
            r"shape \(2,\); it is given 3 channels",
        ),
        ([conv(), node("Gemm", "w", transB=1)], "must be flattened first"),
        ([conv(), node("Softmax")], "a softmax must be over all outputs"),
        ([conv(), node("Add", "plane")], "one value for each of 3 rows"),
        ([conv(), average(strides=[1, 2])], r"average pooling must have equal strides"),
        ([conv(), average(pads=[1, 1, 1, 1])], r"pads \[1, 1, 1, 1\] .* no padding"),
        ([conv(), average(auto_pad="SAME_UPPER")], r"pads \[0, 0, 1, 1\] .* no padding"),
        ([conv(), average(dilations=[2, 2])], r"dilations \[2, 2\]; average pooling"),
        (
            [conv(), average(kernel_shape=[6, 2])],
            "kernel of 6 × 2 is larger than",
        ),
        ([conv(), average(strides=[2, 2], ceil_mode=1)], r"pools \[5, 4\] by 2 and counts windows"),
        ([conv(), average(strides=[0, 0])], "stride is 0; it must be 1 or more"),
        ([conv(), node("Flatten"), node("GlobalAveragePool")], r"shape \(60,\); they must be"),
        ([conv(), node("ReduceMean", "last")], r"axes are \[3\] of 4 dimensions; they must be"),
    ],
)
def test_convolutions(tmp_path, nodes, message):
    constants = {
        "grouped": values(4, 1, 3, 3),
        "line": values(3, 2, 3),
        "large": values(3, 2, 8, 3),
        "short": values(2),
        "plane": values(5, 4),
        "last": np.array([3]),
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


class TestBranches:
    SQUARE = DENSE | {"s": values(4, 4), "k.weight": values(4, 4, 1, 1), "c": values(1, 4)}
    FIRST = helper.make_node("Gemm", ["x", "s"], ["a"], transB=1)

    @pytest.mark.parametrize(
        ("kind", "inputs", "message", "attributes"),
        [
            ("Add", ["t", "a"], r"adds activations of shapes \(3,\) and \(4,\); they must", {}),
            ("Sum", ["a", "x", "c"], "its input 'c' is a constant; it can only take", {}),
            ("Sum", ["a"] * 256, "it adds 256 tensors; at most 255 can be", {}),
            ("Mul", ["a", "x"], "it multiplies activations; one of the two must be a const", {}),
            ("Concat", ["a", "c"], "its input 'c' is a constant; it can only take", {"axis": 1}),
            ("Concat", ["a", "x"], "its axis is 0; it must be 1", {"axis": 0}),
            ("Concat", ["a", "x"], "its axis is -2; it must be 1", {"axis": -2}),
            ("Concat", ["a"] * 256, "it concatenates 256 tensors; at most 255", {"axis": 1}),
            ("Gemm", ["a", "x"], "it takes 2 values that are not constants; one is", {}),
            ("Add", ["c", "c"], "it takes 0 values that are not constants", {}),
            ("Add", ["a", "later"], "takes 'later', which no node before it gives", {}),
        ],
    )
    def test_joins(self, tmp_path, kind, inputs, message, attributes):
        third = helper.make_node("Gemm", ["a", "w"], ["t"], transB=1)
        join = helper.make_node(kind, inputs, ["y"], name="join", **attributes)
        later = helper.make_node("Relu", ["y"], ["later"])
        nodes = [self.FIRST, third, join, later]
        refuse(tmp_path, assemble(nodes, self.SQUARE), rf"'join' \({kind}\): .*({message})")

    def test_planes_of_other_sizes(self, tmp_path):
        nodes = [
            helper.make_node("Conv", ["x", "k.weight"], ["a"]),
            helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Concat", ["a", "p"], ["y"], axis=1),
        ]
        message = r"shapes \(4, 6, 6\) and \(4, 3, 3\); they must be the same but for the first"
        refuse(tmp_path, assemble(nodes, self.SQUARE, ("n", 4, 6, 6)), message)

    @pytest.mark.parametrize(
        ("nodes", "message"),
        [
            ([], "no node gives the output 'y'"),
            ([("a", "x")], "no node gives the output 'y'"),
            ([("a", "x"), ("x", "y")], "gives 'x', which is given before|gives the output 'y'"),
            ([("a", "x"), ("x", "x"), ("x", "y")], "gives 'x', which is given before"),
            ([("a", "s"), ("s", "y")], "gives 's', which is a constant"),
        ],
    )
    def test_names(self, tmp_path, nodes, message):
        made = [helper.make_node("Relu", [taken], [given]) for taken, given in nodes]
        refuse(tmp_path, assemble([self.FIRST, *made], self.SQUARE), message)

    def test_weights_that_no_file_holds(self, tmp_path):
        nodes = [node("AveragePool", kernel_shape=[4096, 4096]), node("Flatten"), dense()]
        path = save(tmp_path, model(nodes, DENSE, ("n", 2, 4098, 4097)))
        tracemalloc.start()
        with pytest.raises(BadInput, match=r"bring the model to 33554432 weights .* at most 16777"):
            read_network(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    def test_concatenations_of_concatenations(self, tmp_path):
        nodes = [
            helper.make_node("Concat", [f"a{place}"] * 4, [f"a{place + 1}"], axis=1)
            for place in range(40)
        ]
        first = helper.make_node("Gemm", ["x", "s"], ["a0"], transB=1)
        nodes.append(helper.make_node("Relu", ["a40"], ["y"]))
        refuse(tmp_path, assemble([first, *nodes], self.SQUARE), "concatenates 256 tensors")


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
