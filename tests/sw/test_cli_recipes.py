"""`thresher recipes`, and `thresher compress` with a recipe that trains."""

from __future__ import annotations

import json
import os
import signal
import struct

import numpy as np
import pytest
from click.testing import CliRunner

from sw import datasets
from sw import format as thr
from sw.cli import main
from sw.cli.training import integer_error
from sw.compress.recipe import NAMES, load, read_text
from sw.train import stages

# 19 steps an epoch.
RECIPE = """
description = "A little of everything."
[prune]
density = 0.2
schedule = "gradual"
training = {epochs = 2, rate = 1e-2, dropout = 0.1, distillation = 0.1, distortion = 0.1}
[share]
values = 7
schedule = "gradual"
training = {epochs = 1}
[code]
coder = "huffman"
weight_bits = 8
bias_bits = 7
fold_dead = true
[[layer]]
match = "@last"
density = 0.5
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments) -> str:
    """The sentence with which a verb refuses its input."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


class TestRecipes:
    def test_all_are_listed(self):
        result = run("recipes")
        assert result.exit_code == 0
        assert result.stderr == ""
        for name in NAMES:
            assert f" {name} " in result.stdout
        words = " ".join(result.stdout.replace("│", " ").split())
        assert "The steps of the paper" in words

    def test_all_are_listed_as_json(self):
        listed = json.loads(run("recipes", "--json").stdout)
        assert listed == {name: load(name).description for name in NAMES}

    @pytest.mark.parametrize("name", NAMES)
    def test_one_is_explained_setting_by_setting(self, name):
        shown = run("recipes", name).stdout
        assert load(name).description in " ".join(shown.split())
        lines = {
            cells[0]: cells[1:]
            for cells in (
                [cell.strip() for cell in line.strip("│").split("│")]
                for line in shown.splitlines()
                if line.startswith("│")
            )
        }
        assert lines["prune.density"][0] == str(load(name).prune.density)
        assert lines["share.method"][0] == load(name).share.method
        assert lines["share.training.epochs"][0] == str(load(name).share.training.epochs)
        assert all(meaning for _, meaning in lines.values())

    def test_rules_are_explained(self):
        shown = run("recipes", "deep-compression").stdout
        assert "layers @convolution" in shown
        assert "density 0.12, code_bits 6" in shown

    @pytest.mark.parametrize("name", NAMES)
    def test_its_file_is_printed_as_it_is(self, name):
        assert run("recipes", name, "--toml").stdout == read_text(name)

    def test_one_as_json(self):
        record = json.loads(run("recipes", "best", "--json").stdout)
        assert record == json.loads(load("best").model_dump_json())

    def test_a_file_of_ones_own(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text(RECIPE)
        record = json.loads(run("recipes", path, "--json").stdout)
        assert record["share"]["values"] == 7
        assert record["layer"][0]["match"] == "@last"
        assert "mine.toml: A little of" in run("recipes", path).stdout

    def test_what_is_none(self, tmp_path):
        assert refused("recipes", "worst") == (
            "thresher recipes: recipe 'worst' is neither a .toml file nor one of "
            "best, deep-compression, no-training\n"
        )
        path = tmp_path / "mine.toml"
        path.write_text(RECIPE + "densities = 3")
        sentence = refused("recipes", path)
        assert sentence.startswith(f"thresher recipes: recipe {path}: there is no setting layer.0.")

    def test_the_file_of_none(self):
        assert "--toml prints the file of one recipe: name it" in refused("recipes", "--toml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of just enough training images that can be told apart."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, 10_000, dtype=np.uint8)
    pictures = np.kron(rng.random((10, 7, 7)) < 0.3, np.ones((4, 4))).astype(np.uint8)
    images = pictures[labels] * 180 + rng.integers(0, 60, (10_000, 28, 28), dtype=np.uint8)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"train-{name}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a network and a recipe, on one core."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    rng = np.random.default_rng(1)
    np.savez(
        "net.npz",
        ip1_w=rng.normal(size=(16, 784)) / 20,
        ip1_b=np.zeros(16),
        ip2_w=rng.normal(size=(10, 16)) / 4,
        ip2_b=np.zeros(10),
    )
    (tmp_path / "my.toml").write_text(RECIPE)
    return tmp_path


def compress(data, *arguments, output="out.thr"):
    own = ("--recipe", "my.toml", "--data", data)
    return run("compress", "net.npz", "-o", output, *own, *arguments)


def stopped(monkeypatch, data, stage: str, at: int):
    """A run with Ctrl-C in that step of the stage of that name."""

    class Interrupting(stages.Progress):
        def advance(self, task_id, advance=1):
            super().advance(task_id, advance)
            task = self.tasks[-1]
            if task.description == stage and task.completed == at:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "Progress", Interrupting)
        return compress(data)


def test_compress_with_a_recipe(data, place):
    result = compress(data, "--json")
    assert result.exit_code == 0, result.output
    assert "note: no --calibrate" not in result.stderr
    record = json.loads(result.stdout)
    compressed = thr.read("out.thr")
    held = datasets.load_training(data)
    assert record["recipe"] == "my.toml"
    assert record["calibrated"] is True
    assert record["bytes"] == (place / "out.thr").stat().st_size
    assert record["held_out"]["images"] == 5000
    assert record["held_out"]["error_before"] > 50
    after = record["held_out"]["error_after"]
    assert after == integer_error(compressed, held.held_x, held.held_labels)
    assert after < 5
    assert compressed.weight_bits == 8
    assert [len(layer.codebook) for layer in compressed.layers] == [8, 8]
    # Folding may leave fewer.
    kept = [int(np.count_nonzero(layer.codes)) for layer in compressed.layers]
    assert 0.5 * 2509 < kept[0] <= 2509
    assert 0.5 * 80 < kept[1] <= 80
    assert sorted(path.name for path in place.iterdir()) == ["my.toml", "net.npz", "out.thr"]


def test_the_same_seed_writes_the_same_file_and_another_seed_another(data, place):
    for name, seed in (("a.thr", 5), ("b.thr", 5), ("c.thr", 6)):
        assert compress(data, "--seed", seed, output=name).exit_code == 0
    first, same, other = ((place / name).read_bytes() for name in ("a.thr", "b.thr", "c.thr"))
    assert first == same
    assert first != other


@pytest.mark.parametrize(("stage", "at"), [("prune", 25), ("share", 11)])
def test_a_run_that_is_stopped_goes_on(monkeypatch, data, place, stage, at):
    checkpoint = place / "out.thr.checkpoint"
    result = stopped(monkeypatch, data, stage, at)
    assert result.exit_code == 130
    assert "stopped; --resume goes on with what out.thr.checkpoint holds" in result.stderr
    assert not (place / "out.thr").exists()
    kept = checkpoint.read_bytes()
    sentence = refused(
        "compress", "net.npz", "-o", "out.thr", "--recipe", "my.toml", "--data", data
    )
    assert "out.thr.checkpoint holds a run that was stopped: go on with it (--resume)" in sentence
    # What trains nothing has no part in it.
    assert run("compress", "net.npz", "-o", "out.thr").exit_code == 0
    assert checkpoint.read_bytes() == kept
    assert compress(data, "--resume").exit_code == 0
    assert not checkpoint.exists()
    assert compress(data, output="whole.thr").exit_code == 0
    assert (place / "out.thr").read_bytes() == (place / "whole.thr").read_bytes()


def test_what_cannot_be_resumed(monkeypatch, data, place):
    arguments = ("compress", "net.npz", "-o", "out.thr", "--recipe", "my.toml", "--data", data)
    nothing = "out.thr.checkpoint: there is no stopped run to resume"
    assert nothing in refused(*arguments, "--resume")
    stopped(monkeypatch, data, "prune", 3)
    other = refused(*arguments, "--resume", "--seed", 2)
    assert "out.thr.checkpoint belongs to a run of another network, recipe, seed or data" in other
    (place / "out.thr.checkpoint").write_bytes(b"hello")
    assert "out.thr.checkpoint is damaged" in refused(*arguments, "--resume")
    assert sorted(path.name for path in place.iterdir()) == [
        "my.toml",
        "net.npz",
        "out.thr.checkpoint",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipe", "my.toml"], "this recipe trains: name the folder of the training images"),
        (["--recipe", "best"], "(--data DIR)"),
        (
            ["--recipe", "my.toml", "--data", "none"],
            "none: there is no such folder of training images",
        ),
        (["--resume"], "--resume: this recipe trains nothing, so there is nothing to go on with"),
        (["--recipe", "worst"], "recipe 'worst' is neither a .toml file nor one of best, "),
        (["--recipe", "bad.toml"], "recipe bad.toml: prune.density is 2: Input should be less "),
        (["--recipe", "my.toml", "--density", "2"], "density is 2; it must be above 0 and at mo"),
    ],
)
def test_refusals(place, arguments, sentence):
    (place / "bad.toml").write_text('description = ""\n[prune]\ndensity = 2')
    assert sentence in refused("compress", "net.npz", "-o", "out.thr", *arguments)
    assert not (place / "out.thr").exists()


def test_a_network_for_other_images(data):
    np.savez("other.npz", ip1_w=np.ones((10, 20)), ip1_b=np.ones(10))
    sentence = refused(
        "compress", "other.npz", "-o", "out.thr", "--recipe", "my.toml", "--data", data
    )
    assert "training inputs have shape (2000, 784); this network takes (n, 20)" in sentence


@pytest.mark.parametrize("seed", ["-1", "x"])
def test_seeds_that_are_none(data, seed):
    result = compress(data, "--seed", seed)
    assert result.exit_code == 2
    assert "Invalid value for '--seed'" in result.stderr
