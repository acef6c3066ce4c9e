"""`thresher inspect`: the tables, the JSON, the report, and input that is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from sw import architectures
from sw import format as thr
from sw.cli import main
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.report import sizes


def run(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["inspect", *map(str, arguments)])


def refused(*arguments) -> str:
    """The sentence with which the verb refuses its input."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def small() -> CompressedNetwork:
    rng = np.random.default_rng(1)
    layers = []
    for name, rows, columns in (("ip1", 12, 20), ("a_name_longer_than_any_column", 4, 12)):
        codes = rng.integers(0, 4, (rows, columns)).astype(np.uint8)
        values, bias = np.array([0, -5, 7, 90]), rng.integers(-9, 9, rows)
        layers.append(CompressedLayer(name, codes, values, 8, bias, 4, True))
    return CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, tuple(layers))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.thr"
    thr.write(path, small())
    return path


@pytest.fixture
def dense(tmp_path):
    """The network that `model` could have been made of."""
    return write_dense(tmp_path / "dense.npz", small())


def write_dense(path, of, **change):
    rng = np.random.default_rng(2)
    arrays = {}
    for layer in of.layers:
        arrays[f"{layer.name}_w"] = rng.normal(size=layer.codes.shape)
        arrays[f"{layer.name}_b"] = rng.normal(size=layer.rows)
    np.savez(path, **arrays | change)
    return path


def of_the_paper() -> CompressedNetwork:
    """LeNet-5 by its shapes, with few weights."""
    layers = []
    for layer in architectures.template("lenet5").layers:
        codes = np.zeros(layer.weights.shape, np.uint8)
        codes[::5, ::7] = 1
        bias = np.zeros(len(codes), np.int64)
        values = np.array([0, 3])
        layers.append(
            CompressedLayer(layer.name, codes, values, 8, bias, 8, layer.relu, layer.convolution)
        )
    return CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, tuple(layers))


def test_json_is_one_object_with_everything(model):
    result = run(model, "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["model"] == str(model)
    assert made["html"] is None
    assert made["bytes"] == model.stat().st_size
    assert made["parameters"] == 12 * 20 + 12 + 4 * 12 + 4
    assert made["ratio"] == 4 * made["parameters"] / made["bytes"]
    assert made["container_bytes"] + sum(one["bytes"] for one in made["layers"]) == made["bytes"]
    for layer in made["layers"]:
        assert sum(layer["bits"].values()) == 8 * layer["bytes"]
    assert made["sizes"]["plain"]["float32"] == made["float32_bytes"]
    assert set(made["sizes"]["best"]) == {"zlib", "zstd", "lzw"}
    assert made["published"] is None


def test_a_convolutional_network_of_the_paper(tmp_path):
    path = tmp_path / "lenet5.thr"
    thr.write(path, of_the_paper())
    result = run(path)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert f"{path.stat().st_size:,} bytes" in " ".join(text.split())
    assert "Deep Compression's LeNet-5: 39 times" in text
    assert text.count("  the paper") == 2 * 4
    assert "67.45%" in text  # P+Q+H of conv1, as printed there


def test_json_of_a_network_of_the_paper(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "BEST_WEIGHTS_MAX", 1000)
    path = tmp_path / "lenet5.thr"
    thr.write(path, of_the_paper())
    made = json.loads(run(path, "--json").stdout)
    assert made["published"]["name"] == "LeNet-5"
    assert [one["kind"] for one in made["layers"]] == ["convolution"] * 2 + ["dense"] * 2
    assert made["layers"][0]["published"]["rate_pqh"] == 0.6745
    assert made["layers"][2]["nonzeros"] == 100 * 115
    assert made["sizes"]["best"] == {}  # the search would take too long


def test_the_report(model, dense, tmp_path):
    output = tmp_path / "report.html"
    result = run(model, "--html", output, "--before", dense, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["html"] == str(output)
    page = output.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("Weights before</h3>") == 2
    assert f"{model.stat().st_size:,} bytes on disk" in page


def test_what_cannot_be_read(model, dense, tmp_path):
    assert "nowhere.thr" in refused(tmp_path / "nowhere.thr")
    assert "not a .thr file" in refused(dense)
    damaged = tmp_path / "damaged.thr"
    damaged.write_bytes(model.read_bytes()[:-1])
    assert str(damaged) in refused(damaged)


def test_options_that_need_another(model, dense):
    assert "--html" in refused(model, "--before", dense)
    assert "--before" in refused(model, "--arch", "lenet5")


def test_inputs_are_not_overwritten(model, dense, tmp_path):
    contents = model.read_bytes(), dense.read_bytes()
    assert "would be overwritten" in refused(model, "--html", model)
    assert "would be overwritten" in refused(model, "--html", dense, "--before", dense)
    assert "no folder" in refused(model, "--html", tmp_path / "no" / "report.html")
    assert (model.read_bytes(), dense.read_bytes()) == contents


def test_another_network_before(model, tmp_path):
    of = small()
    other = tmp_path / "other.npz"
    output = tmp_path / "report.html"
    output.write_text("as it was")

    def sentence() -> str:
        return refused(model, "--html", output, "--before", other)

    write_dense(other, of, ip1_w=np.ones((12, 21)))
    assert "'ip1' has 12 × 21 weights where" in sentence()
    assert "12 × 20" in sentence()
    np.savez(other, ip1_w=np.ones((12, 20)), ip1_b=np.ones(12))
    assert "has 1 layer and" in sentence()
    np.savez(
        other, ip1_w=np.ones((12, 20)), ip1_b=np.ones(12), b_w=np.ones((4, 12)), b_b=np.ones(4)
    )
    assert "layer 'b' where" in sentence()
    assert "a_name_longer_than_any_column" in sentence()
    assert "unknown" in refused(model, "--html", output, "--before", other, "--arch", "no-such")
    assert output.read_text() == "as it was"


def graph() -> CompressedNetwork:
    """A convolution with a skip around it, and a dense layer."""
    codes = np.random.default_rng(1).integers(0, 4, (3, 27)).astype(np.uint8)
    values, bias = np.array([0, -5, 7, 90]), np.zeros(3, np.int64)
    kernel = Convolution(3, 4, 4, 3, 3, padding=1)
    layers = (
        CompressedLayer("block/conv", codes, values, 8, bias, 8, True, kernel),
        CompressedLayer(
            "block/add",
            np.ones((3, 1), np.uint8),
            np.array([0, 256]),
            8,
            bias,
            8,
            True,
            Convolution(3, 4, 4, 1, 1, groups=3, pool=3, overlap=1),
            sources=(1, 2),
            added=True,
        ),
        CompressedLayer("fc", codes[:, :3], values, 8, bias, 8, False),
    )
    return CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, layers)


def test_a_graph(tmp_path):
    path, page = tmp_path / "graph.thr", tmp_path / "graph.html"
    thr.write(path, graph())
    result = run(path, "--html", page)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    (add,) = (line.split() for line in lines if "addition " in line)
    assert " ".join(add) == "2 block/add addition max 3 × 3, 3 × 1 × 1 1 + input"
    assert "additions, means and identities have no parameters" in result.stdout
    assert "Addition of block/conv + input" in page.read_text("utf-8")
    made = json.loads(run(path, "--json").stdout)
    assert made["parameters"] == 81 + 3 + 9 + 3
    assert made["layers"][1]["sources"] == [1, 0]
    assert made["layers"][1]["structure"] is True


def test_structure_is_shown_where_there_is_any(model, tmp_path):
    assert "Structure" not in run(model).stdout
    path = tmp_path / "lenet5.thr"
    thr.write(path, of_the_paper())
    shown = run(path).stdout
    assert "Structure" in shown
    assert "takes" not in shown


def test_compress_and_inspect_count_the_same_parameters(tmp_path):
    """A skip around a layer of 6: what adds it up has 6 weights that are no parameters."""
    rng = np.random.default_rng(1)
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=(6, rows)).astype(np.float32), name)
        for name, rows in (("w1", 6), ("w2", 4))
    ]
    nodes = [
        onnx.helper.make_node("Gemm", ["x", "w1"], ["a"], "ip1"),
        onnx.helper.make_node("Add", ["a", "x"], ["b"], "add"),
        onnx.helper.make_node("Gemm", ["b", "w2"], ["y"], "ip2"),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 6), ("y", 4))
    ]
    graph = onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights)
    path, model = tmp_path / "net.onnx", tmp_path / "net.thr"
    onnx.save(onnx.helper.make_model(graph), path)
    arguments = ["compress", str(path), "-o", str(model)]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "addition" in shown.stdout
    made = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    inspected = json.loads(run(model, "--json").stdout)
    for key in ("parameters", "float32_bytes", "ratio", "density"):
        assert made[key] == inspected[key]
    assert made["parameters"] == 6 * 6 + 6 + 6 * 4 + 4
    assert [layer["kind"] for layer in made["layers"]] == ["dense", "addition", "dense"]
