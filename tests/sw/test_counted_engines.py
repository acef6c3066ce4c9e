"""The table that `thresher explore` predicts from: what is taken into it, and when it is stale."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from click.testing import CliRunner

from hw.boards import find
from hw.config import PRESETS
from hw.project import Design, write_sources
from sw.cli import counted_engines

ARTY, ULX3S = find("arty"), find("ulx3s")
CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=1, groups=1)


def summary(**changes):
    used = {"lut": 2000, "ff": 3000, "bram36": 2, "dsp": 1}
    plain = {
        "board": ARTY.name,
        "part": ARTY.part,
        "config": dataclasses.asdict(CONFIG),
        "toolchain": "yosys",
        "clock_mhz": 50,
        "fmax_mhz": None,
        "resources": {name: {"used": number} for name, number in used.items()},
    }
    return json.dumps(plain | changes)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_sources(Design(ARTY, CONFIG), folder)
    return folder


@pytest.fixture
def build(sources, tmp_path):
    """What a build leaves that is looked at; the numbers are made up."""
    folder = tmp_path / "build"
    folder.mkdir()
    shutil.copy(sources / "top.v", folder)
    (folder / "summary.json").write_text(summary())
    return folder


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "counted_engines.json"
    path.write_text("as before")
    monkeypatch.setattr(counted_engines, "_FILE", path)
    return path


def run(*folders):
    return CliRunner().invoke(counted_engines.main, [*map(str, folders)])


def test_builds_are_taken_and_stamped(build, file):
    result = run(build)
    assert result.exit_code == 0, result.output
    written = json.loads(file.read_text())
    assert written["logic"] == {ARTY.preset: counted_engines.stamp(ARTY.preset)}
    (row,) = written["engines"]
    assert row["config"] == dataclasses.asdict(CONFIG)
    assert row["used"] == {"lut": 2000, "ff": 3000, "bram36": 2, "dsp": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"board": "icebreaker"}, "which nothing is predicted for"),
        ({"toolchain": "vivado"}, "was counted by vivado: build --toolchain yosys"),
        ({"config": {"lanes": 1, "wheels": 4}}, "is a build of another release"),
        ({"board": "none"}, "unknown board 'none'"),
    ],
)
def test_builds_that_cannot_be_taken(build, file, changes, message):
    (build / "summary.json").write_text(summary(**changes))
    result = run(build)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert file.read_text() == "as before"


def test_builds_of_other_logic_are_refused(build, file):
    text = (build / "top.v").read_text()
    (build / "top.v").write_text(text.replace("1'h1", "1'h0", 1))
    result = run(build)
    assert result.exit_code == 2
    assert "is of other logic than today's" in " ".join(result.output.split())
    (build / "top.v").unlink()
    assert "has no top.v: build it anew" in " ".join(run(build).output.split())
    assert file.read_text() == "as before"


def test_no_builds(file):
    assert run().exit_code == 2
    assert file.read_text() == "as before"


@pytest.mark.parametrize(
    ("family", "changed", "stale"),
    [
        ("xc7", {ARTY.preset: False}, False),
        ("xc7", {ARTY.preset: False, ULX3S.preset: True}, False),
        ("ecp5", {ARTY.preset: False, ULX3S.preset: True}, True),
        ("ecp5", {ARTY.preset: False}, True),  # it does not say
    ],
)
def test_what_is_stale(monkeypatch, family, changed, stale):
    today = counted_engines.stamp
    logic = {name: "of another day" if it else today(name) for name, it in changed.items()}
    monkeypatch.setattr(counted_engines, "counted_logic", lambda: logic)
    assert counted_engines.is_stale(family) == stale
