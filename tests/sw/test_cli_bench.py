"""`thresher bench compression`: from random weights to the table, on images soon learned."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sim import golden
from sw import datasets
from sw import format as thr
from sw.cli import main

RECIPE = """
description = "a quick one"
[prune]
schedule = "gradual"
density = 0.2
[prune.training]
epochs = 1
[share.training]
epochs = 1
[code]
coder = "huffman"
"""


def write_idx(path, array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 2 * datasets.HELD_OUT), ("t10k", 500)):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 40, (count, 28, 28)).astype(np.uint8)
        images[np.arange(count), 2 * labels, 5:20] = 255
        write_idx(path / f"{part}-images-idx3-ubyte", images)
        write_idx(path / f"{part}-labels-idx1-ubyte", labels)
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_from_random_weights_to_the_table(folder, tmp_path):
    torch.set_num_threads(1)
    recipe = tmp_path / "quick.toml"
    recipe.write_text(RECIPE)
    output = tmp_path / "out"
    arguments = ["--data", folder, "--net", "lenet300100", "--recipe", recipe, "-o", output]
    result = run("bench", "compression", *arguments, "--dense-epochs", 2, "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["networks"]
    path = Path(row["file"])
    network = thr.read(path)
    x, labels = datasets.load("mnist", folder=folder)
    outputs = golden.run(network, golden.quantise(network, x))[-1]
    assert row["error_compressed"] == 100 * np.mean(outputs.argmax(axis=1) != labels) < 20
    assert row["bytes"] == path.stat().st_size
    assert row["ratio"] == pytest.approx(4 * 266610 / row["bytes"])
    assert row["ratio_runtime"] < row["ratio"]
    assert row["zstd_bytes"] > 0
    assert [layer["nonzeros"] for layer in row["layers"]] == [47040, 6000, 200]
    made = {file.name for file in output.iterdir()}
    assert made == {path.name, path.stem + ".json", "lenet300100-mnist-1-2-dense.npz"}
    # What is finished is not made again.
    again = run("bench", "compression", *arguments, "--dense-epochs", 2, "--json")
    assert json.loads(again.stdout)["networks"] == [row]
    assert "was made and measured before" in " ".join(again.stderr.split())


def test_several_data_sets_need_a_folder_each(folder, tmp_path):
    sets = ["--dataset", "mnist", "--dataset", "fashion-mnist"]
    result = run("bench", "compression", "--data", folder, *sets, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "has no folder mnist; with several data sets each has its own" in result.stderr


def test_a_recipe_that_is_none_is_refused_before_anything_is_trained(folder, tmp_path):
    output = tmp_path / "out"
    result = run("bench", "compression", "--data", folder, "--recipe", "none", "-o", output)
    assert result.exit_code == 2
    assert "recipe 'none' is neither a .toml file nor one of" in result.stderr
    assert not output.exists()


def test_data_that_is_not_there_is_refused(tmp_path):
    result = run("bench", "compression", "--data", tmp_path / "none", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "none: there is no such folder of training images" in result.stderr
