"""Arrays by PyTorch's names, and arrays fitted into an architecture."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

from sw import datasets
from sw.architectures import template
from sw.errors import BadInput
from sw.read import read_network

RNG = np.random.default_rng(2)


def values(*shape) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


LENET5 = {
    "c1.weight": values(20, 1, 5, 5),
    "c1.bias": values(20),
    "c2.weight": values(50, 20, 5, 5),
    "c2.bias": values(50),
    "f1.weight": values(500, 800),
    "f1.bias": values(500),
    "f2.weight": values(10, 500),
    "f2.bias": values(10),
}


def save(folder, arrays):
    path = folder / "network.npz"
    np.savez(path, **arrays)
    return path


def refuse(path, message, architecture=None):
    with pytest.raises(BadInput, match=f"^{path}.*{message}"):
        read_network(path, architecture)


def fitted(network, arrays):
    """Whether the arrays stand in a LeNet-5 as they are named."""
    names = ("c1", "c2", "f1", "f2")
    for layer, wanted, name in zip(network.layers, template("lenet5").layers, names, strict=True):
        rows = len(layer.bias)
        expected = arrays[f"{name}.weight"].reshape(rows, -1)
        np.testing.assert_array_equal(layer.weights, expected.astype(np.float64), strict=True)
        np.testing.assert_array_equal(layer.bias, arrays[f"{name}.bias"].astype(np.float64))
        assert (layer.name, layer.relu) == (wanted.name, wanted.relu)
        assert layer.convolution == wanted.convolution
    return True


@pytest.mark.parametrize("order", [list(LENET5), list(reversed(LENET5)), sorted(LENET5)[3:]])
def test_architecture_in_any_order(tmp_path, order):
    order += [name for name in LENET5 if name not in order]
    network = read_network(save(tmp_path, {name: LENET5[name] for name in order}), "lenet5")
    assert fitted(network, LENET5)


def test_order_is_that_of_the_file(tmp_path):
    arrays = {"b": values(6, 6), "a": values(6, 6), "c": values(2, 6)}
    named = {f"{name}.weight": array for name, array in arrays.items()}
    network = read_network(save(tmp_path, named))
    assert [layer.name for layer in network.layers] == ["b", "a", "c"]
    assert not any(layer.bias.any() for layer in network.layers)
    assert [layer.relu for layer in network.layers] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "architecture", "message"),
    [
        (
            {"c2.weight": values(50, 20, 3, 3)},
            "lenet5",
            r"layer 'conv2' of architecture lenet5 takes weights of shape \(50, 20, 5, 5\); of "
            r"those in the file there are left: 'c2' \(50, 20, 3, 3\), 'f1' \(500, 800\), 'f2'",
        ),
        (
            {"f3.weight": values(10, 10)},
            "lenet5",
            r"layer 'f3' with weights of shape \(10, 10\) has no place in architecture lenet5",
        ),
        ({"c2.bias": values(20)}, "lenet5", r"'c2' has a bias of shape \(20,\); .* is \(50,\)"),
        ({"f1.weight": None, "f1.bias": None}, "lenet5", r"'ip1' .* left: 'f2' \(10, 500\)"),
        ({}, "lenet300100", r"layer 'ip1' of architecture lenet300100 takes .* \(300, 784\)"),
        ({}, None, r"\(20, 1, 5, 5\), a convolution's, .*: lenet300100, lenet5, lenet5-caffe"),
        ({"c1_w": values(20, 1, 5, 5)}, "lenet5", "holds both 'c1.weight' and 'c1_w'"),
        ({"c1.weight": None}, "lenet5", "has a bias but no array 'c1.weight'"),
        ({"c1.scale": values(3)}, "lenet5", "array 'c1.scale'; a network is made of arrays NAME."),
        ({".weight": values(3)}, "lenet5", "array '.weight'; a network is made of arrays NAME."),
        ({"n.running_var": values(3)}, "lenet5", "'n.running_var' of a batch normalisation"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, change, architecture, message):
    arrays = {name: array for name, array in (LENET5 | change).items() if array is not None}
    refuse(save(tmp_path, arrays), message, architecture)


def test_weights_of_three_dimensions(tmp_path):
    refuse(
        save(tmp_path, {"a.weight": values(3, 2, 2)}), r"shape \(3, 2, 2\); it must be \(outputs"
    )


def test_an_unknown_architecture(tmp_path):
    with pytest.raises(BadInput, match="architecture 'vgg' is unknown; there are lenet300100"):
        read_network(save(tmp_path, LENET5), "vgg")


def test_a_shape_that_the_network_does_not_take(tmp_path):
    path = save(tmp_path, LENET5)
    assert read_network(path, "lenet5", (1, 28, 28)).inputs == 784
    with pytest.raises(BadInput, match=r"takes 784 inputs; the given shape \(1, 27, 28\) has 756"):
        read_network(path, "lenet5", (1, 27, 28))


def test_numbers_in_names_count_in_sorted_files_only(tmp_path):
    """The library sorts by name; a file in another order means that order."""
    path = tmp_path / "network.safetensors"
    square = {f"{place}.weight": values(3, 3) for place in (0, 2, 10)}
    safetensors.numpy.save_file(square, path)
    assert [layer.name for layer in read_network(path).layers] == ["0", "2", "10"]
    mixed = {f"part{place}x{other}.weight": values(3, 3) for place in (9, 11) for other in (1, 12)}
    safetensors.numpy.save_file(mixed, path)
    names = [layer.name for layer in read_network(path).layers]
    assert names == ["part9x1", "part9x12", "part11x1", "part11x12"]


@pytest.mark.models
def test_real_lenet5_is_accurate(shared_models, mnist_folder):
    """0.91 % error in float on all test images; here at most 1.5 % on the first 1,000."""
    x, labels = datasets.load("mnist", 1000, folder=mnist_folder)
    network = read_network(shared_models / "lenet5_pruned.npz", "lenet5-caffe")
    assert network.parameters == 431080
    error = np.mean(network.predict(x).argmax(axis=1) != labels)
    assert error <= 0.015
