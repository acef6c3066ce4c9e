"""`thresher bench scaling`, on layers that are made small."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hw.config import AcceleratorConfig
from sim import scaling
from sim.eie import random_single
from sw.cli import bench_eie, bench_scaling, main
from sw.cli.scaling_plots import figures
from sw.pack import config_for, pack
from sw.plots import write_png
from sw.published import eie

SMALL = {
    layer.name: dataclasses.replace(layer, inputs=150, outputs=200)
    for layer in eie().layers
    if layer.name in ("VGG-6", "NT-We")
}


def run(*arguments):
    """In this process, if not asked for otherwise."""
    return CliRunner().invoke(main, ["bench", "scaling", "--jobs", "1", *map(str, arguments)])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench_eie, "_LAYERS", SMALL)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Of two small layers, with plots in a folder that is made."""
    folder = tmp_path_factory.mktemp("scaling") / "plots"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_eie, "_LAYERS", SMALL)
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
    assert "Other sizes are not compared" in record["model"]
    row = next(row for row in record["eie"] if row["layer"] == "NT-We")
    assert (row["elements"], row["queue_depth"]) == (64, 8)
    assert row["balance"] == pytest.approx(5.2 / 8.0)
    assert row["cycles"] == pytest.approx(6400)


def test_plots(record, tmp_path):
    names = [os.path.basename(path) for path in record["plots"]]
    assert names == ["speedup.png", "queues.png", "padding.png", "balance.png"]
    for path, figure in zip(record["plots"], figures(record).values(), strict=True):
        write_png(tmp_path / "drawn.png", figure)
        assert Path(path).read_bytes() == (tmp_path / "drawn.png").read_bytes()


def curve(axes, label):
    """The points of the line of that name, which is drawn through them."""
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    assert line.get_linestyle() != "None"
    return line.get_xydata().tolist()


def marks(axes):
    """The points that are but marks."""
    lines = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    assert all(line.get_markersize() > 0 for line in lines)
    return [point for line in lines for point in line.get_xydata().tolist()]


@pytest.mark.parametrize(
    ("plot", "rows", "across", "up", "published_across"),
    [
        ("speedup", "sizes", "elements", "speedup", "elements"),
        ("queues", "queues", "usable", "balance", "queue_depth"),
        ("padding", "sizes", "elements", "real_work", "elements"),
        ("balance", "sizes", "elements", "balance", "elements"),
    ],
)
def test_curves_and_published_marks(record, plot, rows, across, up, published_across):
    """A curve a layer through all that was measured, and a mark where EIE is."""
    axes = figures(record)[plot].axes[0]
    alone = {row["layer"]: row["cycles"] for row in record["sizes"] if row["elements"] == 1}
    expected = []
    for eie_row in record["eie"]:
        name = eie_row["layer"]
        own = [[row[across], row[up]] for row in record[rows] if row["layer"] == name]
        assert len(own) > 4
        assert curve(axes, name) == own
        value = alone[name] / eie_row["cycles"] if up == "speedup" else eie_row[up]
        expected.append([eie_row[published_across], value])
    assert marks(axes) == expected
    for point in expected + own:
        assert axes.viewLim.contains(*point)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(SMALL) <= set(legend)
    assert any(text.startswith("EIE, published, 64 elements, queues of 8") for text in legend)
    title = figures(record)[plot].get_suptitle()
    assert title.endswith(": random layers, cycle model")


def test_curves_to_compare_with(record):
    """Elements themselves beside the speed-up, EIE's storage of the same weights beside padding."""
    drawn = figures(record)
    sizes = [row["elements"] for row in record["sizes"] if row["layer"] == "NT-We"]
    axes, below = drawn["speedup"].axes
    assert curve(axes, "as many times as elements") == [[n, n] for n in sizes]
    own = [row for row in record["sizes"] if row["layer"] == "NT-We"]
    shares = [[row["elements"], row["speedup"] / row["elements"]] for row in own]
    assert curve(below, "NT-We") == shares
    (axes,) = drawn["padding"].axes
    dashed = [
        line.get_xydata().tolist()
        for line in axes.get_lines()
        if line.get_linestyle() == "--" and len(line.get_xdata())
    ]
    assert dashed == [
        [[row["elements"], row["eie_real_work"]] for row in record["sizes"] if row["layer"] == name]
        for name in SMALL
    ]


def test_two_workers_measure_the_same(record, monkeypatch, tmp_path):
    """All of it in other processes, which leave their numbers."""

    def measure(*arguments):
        (tmp_path / str(os.getpid())).touch()
        return scaling.measure(*arguments)

    monkeypatch.setattr(bench_scaling, "measure", measure)
    result = run("--layers", "VGG-6,NT-We", "--json", "--jobs", 2)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == record | {"plots": []}
    workers = {path.name for path in tmp_path.iterdir()}
    assert 1 <= len(workers) <= 2
    assert str(os.getpid()) not in workers


def test_tables():
    result = run("--layers", "NT-We")
    assert result.exit_code == 0, result.output
    assert "it equals the RTL cycle for cycle" in " ".join(result.stdout.split())
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
        (["--jobs", 0], "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (["--seed", -1], "Invalid value for '--seed': -1 is not in the range x>=0"),
        (["-o", __file__], "cannot be a folder of outputs: "),
        (
            ["-o", f"{__file__}/plots"],
            f"/plots cannot be a folder of outputs: {__file__} is none",
        ),
        (["-o", "/proc/plots"], "/proc/plots cannot be written: No such file or directory"),
    ],
)
def test_refuses(arguments, message):
    result = run("--layers", "NT-We", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_that_cannot_be_is_refused_before_measuring(monkeypatch):
    monkeypatch.delattr(bench_scaling, "measure")
    result = run("--layers", "NT-We", "-o", "/proc/plots")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
