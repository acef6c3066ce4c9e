"""`thresher sim` with --waves, --heatmap and --html: the files, and what is refused."""

import json

import numpy as np
import pytest
import pywellen
from click.testing import CliRunner
from PIL import Image

from sim.late_reset import INNER
from sim.random_network import Recipe, random_network
from sw import format as thr
from sw.cli import main

SMALL = random_network(Recipe(sizes=[30, 20, 5], density=0.4), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observed")
    thr.write(folder / "small.thr", SMALL)
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(3, 30)))
    return folder


def run(folder, *options):
    arguments = ("sim", folder / "small.thr", "--lanes", 1, "--inputs", folder / "x.npy", *options)
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def result(folder):
    files = [("--waves", "w.fst"), ("--heatmap", "h.png"), ("--html", "h.html")]
    options = [part for option, name in files for part in (option, folder / name)]
    return run(folder, *options, "--json")


def test_every_file_is_written_and_named(result, folder):
    assert result.exit_code == 0, result.output
    written = [folder / name for name in ("w.fst", "w.gtkw", "h.png", "h.html")]
    assert json.loads(result.stdout)["written"] == [str(path) for path in written]
    there = {path.name for path in folder.iterdir()}
    assert there == {"small.thr", "x.npy", *(path.name for path in written)}
    assert f"{(folder / 'w.fst').stat().st_size:,} bytes" in result.stderr
    with Image.open(folder / "h.png") as picture:
        assert picture.width > 1_000
    assert "mean of 3;" in (folder / "h.html").read_text()


def test_the_waves_hold_the_runs_and_the_save_file_opens_at_them(result, folder):
    signals = {var.full_name: var for var in pywellen.Waveform(str(folder / "w.fst")).all_vars()}
    busy = signals[f"TOP.engine.{INNER}.sequencer.busy"].signal
    started = [time for time, level in busy if level]
    assert len(started) == 3
    text = (folder / "w.gtkw").read_text()
    assert '[dumpfile] "w.fst"' in text
    (line,) = [line for line in text.splitlines() if line.startswith("[timestart]")]
    assert int(line.split()[1]) - started[0] == 5  # the middle of the first cycle


def test_nothing_is_seen_unless_asked_for(folder):
    plain = run(folder, "--target", "image", "--json")
    assert plain.exit_code == 0
    assert json.loads(plain.stdout)["written"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--waves", "w.vcd"), "w.vcd is not a name for waves: they are FST, so end it in .fst"),
        (("--heatmap", "h.jpg"), "plots are PNG"),
        (("--waves", "w.fst", "--target", "image"), "w.fst shows the engine, which --target image"),
        (("--html", "h", "--heatmap", "h"), "plots are PNG"),
        (("--html", "h.png", "--heatmap", "h.png"), "h.png would be written twice"),
        (("--html", "no/h.html"), "there is no folder no"),
        (("--html", "y.npy", "--outputs", "y.npy"), "y.npy"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    folder, monkeypatch, tmp_path, options, message
):
    monkeypatch.chdir(tmp_path)
    refused = run(folder, *options)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert list(tmp_path.iterdir()) == []
