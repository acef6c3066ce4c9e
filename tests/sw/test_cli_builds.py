"""`--build`: a device whose engine no preset has, and which builds are refused."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from test_cli_device import record_of, refused, run
from two_networks import INPUTS, NETWORK, TINY, X

from hw.boards import BOARDS, find
from hw.config import PRESETS
from sim.engine import open_engine
from sw import format as thr
from sw.cli.builds import newest_engine
from sw.errors import BadInput

CONFIG = dataclasses.replace(TINY, queue_depth=7)
BOARD = "ulx3s_85f"


def build(folder, config, board=BOARD, *, age=0):
    """A folder as `thresher build` leaves it, as far as it matters here."""
    folder.mkdir(parents=True)
    file = folder / "summary.json"
    file.write_text(json.dumps({"board": board, "config": dataclasses.asdict(config)}))
    os.utime(file, (1e9 - age, 1e9 - age))
    return folder


@pytest.fixture(scope="module")
def engine():
    with open_engine(CONFIG) as transport:
        yield transport


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "network.thr"
    thr.write_file(path, thr.to_bytes(NETWORK))
    return path


@pytest.fixture
def made(tmp_path):
    return build(tmp_path / "build" / f"{BOARD}-1", CONFIG)


def test_the_build_says_what_the_device_is(port, model, made, tmp_path):
    inputs = tmp_path / "x.npy"
    np.save(inputs, X)
    device = ["--port", port, "--json", "--build"]
    loaded = record_of(run("load", model, *device, made))
    assert loaded["boards"] == [BOARD]
    assert loaded["config_digest"] == f"{CONFIG.digest:08x}"
    record = record_of(run("run", model, "--inputs", inputs, *device, made.parent))
    assert (record["loaded"], record["agrees_with_golden"]) == (False, True)
    assert record["vectors"] == len(INPUTS)
    assert record["microseconds_per_vector"] == pytest.approx(
        record["cycles_per_vector"] / find(BOARD).clock_hz * 1e6
    )
    info = record_of(run("info", *device, made, "--board", "ulx3s"))
    assert (info["lanes"], info["groups"]) == (CONFIG.lanes, CONFIG.groups)
    checks = record_of(run("selftest", *device, made))["checks"]
    assert [check["failure"] for check in checks] == [None] * len(checks)


def test_without_it(port, model):
    for arguments in (["load", model], ["selftest"]):
        assert refused(*arguments, "--port", port) == (
            f"thresher {arguments[0]}: the device has an engine of configuration "
            f"{CONFIG.digest:08x}, that of no board; name the folder of its build by --build"
        )
    shown = run("info", "--port", port)
    assert shown.exit_code == 0, shown.stderr
    assert "unknown: name the folder of its build by --build" in shown.stdout
    assert refused("info", "--port", port, "--board", "arty") == (
        f"thresher info: the device has an engine of configuration {CONFIG.digest:08x}, not that "
        "of arty_a7_35t; name the folder of its build by --build, or build for that board"
    )


def test_a_build_that_is_not_the_devices(port, tmp_path):
    other = build(tmp_path / f"{BOARD}-2", TINY)
    assert refused("info", "--port", port, "--build", other) == (
        f"thresher info: the device has an engine of configuration {CONFIG.digest:08x}, not that "
        f"of the build in {other}, {TINY.digest:08x}; name the folder of its build by --build, or "
        "program that build"
    )


class TestChoice:
    """Which engine it is, of a folder of builds."""

    def test_the_newest(self, tmp_path):
        build(tmp_path / f"{BOARD}-1", TINY, age=10)
        build(tmp_path / f"{BOARD}-2", CONFIG)
        build(tmp_path / f"{BOARD}-3", TINY, age=20)
        assert newest_engine(tmp_path).config == CONFIG

    def test_what_is_older_than_the_newest_is_not_read(self, tmp_path):
        build(tmp_path / f"{BOARD}-1", CONFIG)
        build(tmp_path / f"{BOARD}-2", TINY)
        (tmp_path / f"{BOARD}-2" / "summary.json").write_text("of other times")
        os.utime(tmp_path / f"{BOARD}-2" / "summary.json", (1, 1))
        assert newest_engine(tmp_path).config == CONFIG

    @pytest.mark.parametrize(
        ("text", "why"), [("[" * 200_000, "RecursionError"), ("{}", "it has no 'board'")]
    )
    def test_a_summary_that_is_none(self, tmp_path, text, why):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(BadInput, match=f"summary.json is not the summary of a build: {why}"):
            newest_engine(tmp_path)

    def test_the_newest_of_a_board(self, tmp_path):
        arty = PRESETS["arty_a7_35t"]
        build(tmp_path / "arty_a7_35t-1", arty, "arty_a7_35t", age=10)
        build(tmp_path / f"{BOARD}-2", CONFIG)
        found = newest_engine(tmp_path, find("arty"))
        assert (found.board, found.config) == (BOARDS["arty_a7_35t"], arty)


class TestRefusals:
    """Before a port is opened, or a simulator compiled."""

    VERBS = (["info", "--port", "/dev/null"], ["board"])

    @pytest.mark.parametrize("verb", VERBS)
    def test_no_such_folder(self, verb, tmp_path):
        missing = tmp_path / "none"
        sentence = refused(*verb, "--build", missing)
        assert sentence == (
            f"thresher {verb[0]}: there is no folder {missing}: thresher build makes one"
        )

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_file(self, verb, model):
        sentence = refused(*verb, "--build", model)
        assert sentence == f"thresher {verb[0]}: {model} is no folder of a build"

    def test_no_build(self, tmp_path):
        assert refused("board", "--build", tmp_path) == (
            f"thresher board: there is no build in {tmp_path}: thresher build makes one"
        )

    @pytest.mark.parametrize("folder", ["made", "its parent"])
    def test_of_another_board(self, made, folder):
        place = made if folder == "made" else made.parent
        assert refused("board", "--virtual", "arty", "--build", place) == (
            f"thresher board: there is no build for arty_a7_35t in {place}: thresher build makes "
            "one"
        )

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"board": "arty", "config": {}}', '{"board": [], "config": {}}']
    )
    def test_damaged_summary(self, made, text):
        (made / "summary.json").write_text(text)
        said = refused("board", "--build", made)
        assert f"{made}/summary.json is not the summary of a build" in said

    @pytest.mark.parametrize(("knob", "value"), [("lanes", 0), ("queue", 7)])
    def test_no_configuration(self, made, knob, value):
        config = {**dataclasses.asdict(CONFIG), knob: value}
        (made / "summary.json").write_text(json.dumps({"board": BOARD, "config": config}))
        said = refused("board", "--build", made)
        assert f"{made}/summary.json is not the summary of a build" in said
        assert knob in said

    def test_no_board_at_all(self):
        said = refused("board")
        assert said == "thresher board: name the board by --virtual, or a build by --build"
