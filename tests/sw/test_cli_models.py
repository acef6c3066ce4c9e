"""`thresher fit` and `thresher sim` on files and settings, good and bad."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hw import boards
from hw.config import MEMORY_DEPTHS, PRESETS
from sim import golden
from sim.random_network import Recipe, random_network
from sw import format as thr
from sw import networks
from sw.cli import main

SMALL = random_network(Recipe(sizes=[30, 20, 5]), 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.thr"
    thr.write(path, SMALL)
    return path


@pytest.fixture(scope="module")
def too_large(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "large.thr"
    thr.write(path, random_network(Recipe(sizes=[784, 600, 10], density=0.5), 3))
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(4, 30)))
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments) -> str:
    """The sentence with which a verb refuses its input."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


class TestFit:
    @pytest.mark.parametrize("name", networks.NAMES)
    @pytest.mark.parametrize("board", ["arty", "ulx3s"])
    def test_shipped_networks_fit(self, name, board):
        result = run("fit", networks.path(name), "--board", board, "--json")
        assert result.exit_code == 0
        record = json.loads(result.stdout)
        assert record["fits"]
        assert record["short"] is None
        knobs = PRESETS[boards.find(board).preset]
        for memory in record["memories"]:
            assert 0 < memory["used"] <= memory["available"] == getattr(knobs, memory["knob"])
            assert memory["memories"] >= 1
            assert memory["bits_each"] >= memory["available"]
        assert {memory["knob"] for memory in record["memories"]} == set(MEMORY_DEPTHS)

    def test_layers_that_take_most_of_lenet5(self):
        result = run("fit", networks.path("lenet5-deep-compression"), "--json")
        memories = json.loads(result.stdout)["memories"]
        assert {memory["knob"]: memory["layer"] for memory in memories} == {
            "entry_depth": "ip1",
            "column_depth": "ip1",
            "segment_depth": "conv1",
            "accumulator_depth": "ip1",
            "bias_depth": "ip1",
            "codebook_depth": "conv1",
            "activation_depth": "conv1",
            "layer_depth": "conv1",
        }
        table = run("fit", networks.path("lenet5-deep-compression")).stdout
        assert "segments of patches of a group" in table
        assert "lenet5-deep-compression.thr on arty: fits" in table

    def test_what_does_not_fit_is_exit_status_1_and_says_what_is_short(self, too_large):
        result = run("fit", too_large, "--board", "arty", "--json")
        assert result.exit_code == 1
        record = json.loads(result.stdout)
        assert not record["fits"]
        assert "entry_depth = " in record["short"]
        assert "too few" in record["short"]
        assert "[red]" not in run("fit", too_large).stdout

    def test_unknown_board(self, model):
        assert "nonsense" in refused("fit", model, "--board", "nonsense")


class TestSim:
    @pytest.mark.parametrize("target", ["golden", "image"])
    def test_outputs(self, model, inputs, target, tmp_path):
        out = tmp_path / "y.npy"
        result = run(
            *("sim", model, "--lanes", 3, "--groups", 2, "--target", target, "--inputs", inputs),
            *("--outputs", out, "--json"),
        )
        assert result.exit_code == 0, result.output
        record = json.loads(result.stdout)
        assert record["target"] == target
        assert record["vectors"] == 4
        assert record["agrees_with_golden"] is True
        assert record["accuracy"] is None
        x = golden.quantise(SMALL, np.load(inputs))
        expected = golden.dequantise(SMALL, golden.run(SMALL, x)[-1])
        np.testing.assert_array_equal(np.load(out), expected)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--lanes", 0], "lanes is 0"),
            (["--lanes", 4, "--groups", 0], "groups is 0"),
            (["--groups", 2], "--groups needs --lanes"),
            (["--board", "nonsense"], "nonsense"),
            (["--board", "arty", "--lanes", 4], "not both"),
        ],
    )
    def test_settings_that_no_engine_has(self, model, inputs, options, message):
        assert message in refused("sim", model, "--inputs", inputs, *options)

    def test_too_large_a_network_names_file_layer_and_numbers(self, too_large, tmp_path):
        out = tmp_path / "y.npy"
        said = refused("sim", too_large, "--dataset", "mnist", "--count", 1, "--outputs", out)
        assert str(too_large) in said
        assert "layer layer0" in said
        assert "too few" in said
        assert not out.exists()

    def test_the_golden_model_runs_what_no_board_holds(self, too_large):
        options = ("--dataset", "mnist", "--count", 1, "--target", "golden", "--json")
        assert run("sim", too_large, *options).exit_code == 0

    def test_convolutions_run_on_the_golden_model_the_image_and_the_engine(self):
        accuracies = set()
        for target, count in (("golden", 100), ("image", 2), ("verilator", 100)):
            options = ("--dataset", "mnist", "--count", count, "--target", target, "--json")
            result = run("sim", networks.LENET5, *options)
            assert result.exit_code == 0, result.stderr
            record = json.loads(result.stdout)
            assert record["vectors"] == count
            assert record["agrees_with_golden"] is True
            accuracies.add(record["accuracy"])
        assert accuracies == {1.0}
        assert record["cycles_per_vector"]["mean"] >= record["limit_cycles"]

    def test_inputs_are_not_overwritten(self, model, inputs):
        before = model.read_bytes()
        assert "overwritten" in refused("sim", model, "--inputs", inputs, "--outputs", model)
        assert "overwritten" in refused("sim", model, "--inputs", inputs, "--outputs", inputs)
        assert model.read_bytes() == before

    def test_a_folder_that_is_not_there(self, model, inputs, tmp_path):
        out = tmp_path / "nowhere" / "y.npy"
        assert "no folder" in refused("sim", model, "--inputs", inputs, "--outputs", out)

    @pytest.mark.parametrize("verb", ["sim", "run"])
    def test_outputs_of_another_kind(self, model, inputs, tmp_path, verb):
        out = tmp_path / "y.txt"
        said = refused(verb, model, "--inputs", inputs, "--outputs", out)
        assert said.splitlines()[-1] == (
            f"thresher {verb}: {out} is not a name for outputs: they are an array, so end it in "
            ".npy"
        )
        assert not out.exists()

    def test_clamped_inputs_are_counted(self, model, tmp_path):
        path = tmp_path / "x.npy"
        np.save(path, np.full((1, 30), 1e9))
        result = run("sim", model, "--lanes", 4, "--inputs", path, "--target", "golden")
        assert "30 of 30 inputs lie outside" in " ".join(result.stderr.split())

    def test_one_vector(self, model, inputs, tmp_path):
        one, out = tmp_path / "one.npy", tmp_path / "y.npy"
        np.save(one, np.load(inputs)[0])
        arguments = ["--target", "golden", "--outputs", out, "--json"]
        assert run("sim", model, "--inputs", inputs, *arguments).exit_code == 0
        expected = np.load(out)[:1]
        assert run("sim", model, "--inputs", one, *arguments).exit_code == 0
        np.testing.assert_array_equal(np.load(out), expected)

    def test_files_of_no_input(self, model, tmp_path):
        empty, archive = tmp_path / "empty.npy", tmp_path / "x.npz"
        np.save(empty, np.zeros((0, 30)))
        np.savez(archive, x=np.zeros((1, 30)))
        assert f"{empty} has shape (0, 30): it holds no input" in refused(
            "sim", model, "--inputs", empty
        )
        assert f"{archive} is an archive of arrays (.npz); inputs are one array" in refused(
            "sim", model, "--inputs", archive
        )

    def test_inputs_of_another_width(self, model):
        said = refused("sim", model, "--dataset", "mnist", "--count", 1)
        assert "30 inputs" in said
        assert "784" in said


@pytest.mark.parametrize("verb", ["fit", "sim"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "missing"])
def test_damaged_model(verb, damage, model, inputs, tmp_path):
    data = bytearray(model.read_bytes())
    path = tmp_path / "damaged.thr"
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "foreign":
        path.write_bytes(inputs.read_bytes())
    options = ["--inputs", inputs] if verb == "sim" else []
    assert str(path) in refused(verb, path, *options)


@pytest.mark.models
def test_lenet5_with_4_bit_codes_and_8_bit_ones_in_its_convolutions(
    shared_models, mnist_folder, tmp_path
):
    """Without training; 1.0 % error at most on all test images, in integers. Floats have 0.91 %."""
    out, net = tmp_path / "lenet5.thr", shared_models / "lenet5_pruned.npz"
    widths = ("--code-bits", 4, "--code-bits", "@convolution=8")
    options = ("--arch", "lenet5-caffe", "--data", mnist_folder, "-o", out)
    assert run("compress", net, *options, *widths).exit_code == 0
    network = thr.read(out)
    assert [layer.code_bits for layer in network.layers] == [7, 8, 4, 4]  # conv1 has 72 weights
    images = ("--dataset", "mnist", "--data", mnist_folder, "--target", "golden", "--json")
    record = json.loads(run("sim", out, *images).stdout)
    assert record["vectors"] == 10_000
    assert record["accuracy"] >= 0.99
