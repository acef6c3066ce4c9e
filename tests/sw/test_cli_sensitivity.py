"""`thresher sensitivity`: figures, plot, and what it refuses."""

from __future__ import annotations

import json
import struct

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from sw import datasets
from sw.cli import main
from sw.compress.sensitivity import scan
from sw.read import read_network


def write_idx(path, array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images whose label can be read off them."""
    path = tmp_path_factory.mktemp("data") / "mnist"
    path.mkdir()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 2 * datasets.HELD_OUT).astype(np.uint8)
    images = rng.integers(0, 40, (len(labels), 28, 28)).astype(np.uint8)
    images[np.arange(len(labels)), 2 * labels, 5] = 255
    write_idx(path / "train-images-idx3-ubyte", images)
    write_idx(path / "train-labels-idx1-ubyte", labels)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    rng = np.random.default_rng(1)
    hidden = 0.01 * rng.normal(size=(16, 784))
    hidden[np.arange(10), 2 * 28 * np.arange(10) + 5] = 3
    path = tmp_path_factory.mktemp("network") / "small.npz"
    output = np.eye(10, 16) + 0.05 * rng.normal(size=(10, 16))
    np.savez(path, a_w=hidden, a_b=np.zeros(16), b_w=output, b_b=np.zeros(10))
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["sensitivity", *map(str, arguments)])


def refused(*arguments) -> str:
    """The sentence with which the verb refuses its input."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_figures_and_plot(network, folder, tmp_path):
    plot = tmp_path / "layers.png"
    options = ("--densities", "0.001,1, 0.1", "--count", 300, "--plot", plot, "--json")
    result = run(network, "--data", folder.parent, *options)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["densities"] == [1, 0.1, 0.001]
    assert record["images"] == 300
    assert [(layer["name"], layer["weights"]) for layer in record["layers"]] == [
        ("a", 784 * 16),
        ("b", 160),
    ]
    held = datasets.load_training(folder)
    expected = scan(
        read_network(network), held.held_x[:300], held.held_labels[:300], [1, 0.1, 1e-3]
    )
    assert {layer["name"]: layer["errors"] for layer in record["layers"]} == expected
    assert all(layer["density"] == 1 for layer in record["layers"])
    assert record["error"] < 0.5 < record["layers"][1]["errors"][-1]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_table_names_layers_and_densities(network, folder):
    result = run(network, "--data", folder, "--densities", "0.5,0.007", "--count", 100)
    assert result.exit_code == 0, result.output
    for text in ("12,544", "160", "50%", "0.7%", "100 held-out images"):
        assert text in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--densities", "0.5,zero"], "'zero'"),
        (["--densities", "0.5,"], "''"),
        (["--densities", "0.5,0"], "has 0; each must be above 0 and at most 1"),
        (["--densities", "nan"], "has nan"),
        (["--densities", "1.01"], "has 1.01"),
        (["--count", "0"], "--count is 0; it must be from 1 to 5000"),
        (["--count", "5001"], "--count is 5001"),
        (["--plot", "layers.pdf"], "layers.pdf is not a name for a plot"),
        (["--plot", "nowhere/layers.png"], "no folder nowhere"),
        (["--arch", "lenet5"], "small.npz"),
    ],
)
def test_settings_that_cannot_be(network, folder, options, message):
    assert message in refused(network, "--data", folder, *options)


def test_inputs_of_another_width_name_file_and_layer(folder, tmp_path):
    path = tmp_path / "narrow.npz"
    np.savez(path, a_w=np.ones((3, 20)), a_b=np.zeros(3))
    said = refused(path, "--data", folder)
    for text in (str(path), "layer 'a' takes 20 inputs", "784 pixels"):
        assert text in said


def test_folder_without_images(network, tmp_path):
    assert str(tmp_path) in refused(network, "--data", tmp_path)


def test_a_graph_of_many_layers(folder, tmp_path):
    """Ten layers of 10, the first added to each that follows: two tables, and no fixed layer."""
    rng = np.random.default_rng(1)
    first = np.zeros((784, 10), np.float32)
    first[2 * 28 * np.arange(10) + 5, np.arange(10)] = 1
    constants, nodes, last = {"w0": first}, [], "y0"
    nodes.append(onnx.helper.make_node("Gemm", ["x", "w0"], ["y0"], "ip0"))
    for number in range(1, 10):
        constants[f"w{number}"] = 0.01 * rng.normal(size=(10, 10)).astype(np.float32)
        names = [f"y{number}", f"sum{number}"]
        nodes.append(onnx.helper.make_node("Gemm", [last, f"w{number}"], names[:1], f"ip{number}"))
        nodes.append(onnx.helper.make_node("Add", [names[0], "y0"], names[1:], f"add{number}"))
        last = names[1]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 784), (last, 10))
    ]
    held = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], held)
    path, plot = tmp_path / "graph.onnx", tmp_path / "layers.png"
    onnx.save(onnx.helper.make_model(graph), path)
    options = ("--data", folder.parent, "--densities", "1,0.1", "--count", 200)
    result = run(path, *options, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("density ┃") == 2
    record = json.loads(run(path, *options, "--json").stdout)
    assert [layer["weights"] for layer in record["layers"]] == [7840] + [100] * 9
    assert plot.read_bytes().startswith(b"\x89PNG")
