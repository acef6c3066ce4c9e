"""`thresher bench scaling`, on layers that are made small."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from hw.config import AcceleratorConfig
from sim import scaling
from sim.eie import random_single
from sw.cli import bench_eie, main
from sw.pack import config_for, pack
from sw.published import eie

SMALL = {
    layer.name: dataclasses.replace(layer, inputs=150, outputs=200)
    for layer in eie().layers
    if layer.name in ("VGG-6", "NT-We")
}


def run(*arguments):
    return CliRunner().invoke(main, ["bench", "scaling", *map(str, arguments)])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench_eie, "_LAYERS", SMALL)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # no processes are started


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Of two small layers, with plots in a folder that is made."""
    folder = tmp_path_factory.mktemp("scaling") / "plots"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_eie, "_LAYERS", SMALL)
        patch.setattr(os, "cpu_count", lambda: 1)
        result = run("--layers", "VGG-6,NT-We", "--json", "-o", folder)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_sizes(record):
    assert len(record["sizes"]) == 10
    for row in record["sizes"]:
        assert row["lanes"] * row["groups"] == row["elements"]
        assert row["groups"] == max(1, row["elements"] // 64)
        alone = next(r for r in record["sizes"] if r["layer"] == row["layer"])
        assert alone["elements"] == 1
        assert row["speedup"] == alone["cycles"] / row["cycles"]
        assert row["cycles"] > row["limit_cycles"] == row["products"] / row["elements"]
        assert 0 < row["balance"] < 1
        assert row["weights"] == alone["weights"] <= row["entries"]
        assert row["real_work"] == row["weights"] / row["entries"]
        assert row["eie_real_work"] == row["weights"] / row["eie_entries"]
        # EIE's gaps have two bits less than these.
        assert row["entries"] <= row["eie_entries"]


def test_deeper_queues_are_no_slower(record):
    for name in SMALL:
        rows = [row for row in record["queues"] if row["layer"] == name]
        assert [row["usable"] for row in rows] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
        assert rows[0]["queue_depth"] == AcceleratorConfig.limits("queue_depth")[0]
        assert all(row["queue_depth"] - row["usable"] == record["queue_reserve"] for row in rows)
        assert (np.diff([row["cycles"] for row in rows]) <= 0).all()
        assert (np.diff([row["balance"] for row in rows]) >= 0).all()


def test_published_figures(record):
    assert "equals the RTL" in record["model"]
    row = next(row for row in record["eie"] if row["layer"] == "NT-We")
    assert (row["elements"], row["queue_depth"]) == (64, 8)
    assert row["balance"] == pytest.approx(5.2 / 8.0)
    assert row["cycles"] == pytest.approx(6400)


def test_plots(record):
    names = [os.path.basename(path) for path in record["plots"]]
    assert names == ["speedup.png", "queues.png", "padding.png", "balance.png"]
    for path in record["plots"]:
        assert imread(path).std() > 0.01


def test_tables():
    result = run("--layers", "NT-We")
    assert result.exit_code == 0, result.output
    assert "equals the RTL cycle for cycle" in result.stdout
    assert "usable places" in " ".join(result.stdout.split())
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("│ NT-We ") for line in lines) == 5
    assert sum(line.startswith("│ EIE ") for line in lines) == 1


def test_a_layer_in_parts_is_the_whole_layer(monkeypatch):
    """An element that holds few entries, by way of the limit."""
    figures = SMALL["NT-We"]
    whole = scaling.measure(figures, 1, 4, 10, [32])
    assert whole.parts == 1
    limits = AcceleratorConfig.limits
    few = {"entry_depth": (2, 256)}
    monkeypatch.setattr(
        AcceleratorConfig, "limits", staticmethod(lambda knob: few.get(knob) or limits(knob))
    )
    parts = scaling.measure(figures, 1, 4, 10, [32])
    assert parts.parts == 4
    assert (parts.products, parts.weights) == (whole.products, whole.weights)
    assert whole.cycles[32] < parts.cycles[32] < 1.5 * whole.cycles[32]


def test_what_memories_hold_does_not_depend_on_the_queues():
    layer = random_single(SMALL["VGG-6"], 1)
    config = config_for(layer.network, lanes=4, entry_bits=10)
    one, other = (
        pack(layer.network, dataclasses.replace(config, queue_depth=depth)) for depth in (6, 100)
    )
    for window, units in one.contents.items():
        for mine, theirs in zip(units, other.contents[window], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "none"], "--layers has 'none'; EIE's layers are VGG-6, NT-We"),
        (["--queue", 4], "queue_depth is 4; it must be from 6 to 1024"),
        (["--entry-bits", 17], "entry_bits is 17; it must be from 1 to 16"),
        (["--entry-bits", 3], "4-bit codes do not fit into the accelerator's"),
        (["--seed", -1], "Invalid value for '--seed': -1 is not in the range x>=0"),
        (["-o", __file__], "cannot be a folder of plots: it is a file"),
    ],
)
def test_refuses(arguments, message):
    result = run("--layers", "NT-We", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
