"""`thresher build`, from the command line to the bitstream."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hw import build
from hw.boards import BOARDS
from hw.config import PRESETS
from sw import networks
from sw.cli import main
from sw.cli.builds import Built, newest_engine

# The smallest engine.
ONE_LANE = dataclasses.replace(PRESETS["tiny"], lanes=1)


def thresher(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["build", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


class TestListBoards:
    def test_json(self):
        status, out, _ = thresher("--list-boards", "--json")
        boards = {board["name"]: board for board in json.loads(out)["boards"]}
        assert status == 0
        assert set(boards) == set(BOARDS)
        assert boards["arty_a7_35t"]["capacity"] == {
            "lut": 20_800,
            "ff": 41_600,
            "bram36": 50,
            "dsp": 90,
        }

    def test_table(self):
        status, out, _ = thresher("--list-boards")
        assert status == 0
        assert "xc7a35ticsg324-1L" in out


def test_help_names_every_preset():
    status, out, _ = thresher("--help")
    assert status == 0
    assert ", ".join(PRESETS) in " ".join(out.split())


class TestBadInput:
    """Each gives one sentence and exit status 2, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "--board is missing"),
            (["--board", "artyy"], "unknown board 'artyy': did you mean arty?"),
            (["--board", "arty", "--lanes", "0"], "lanes is 0; it must be from 1 to 64"),
            (["--board", "arty", "--groups", "99"], "groups is 99; it must be from 1 to 64"),
            (["--board", "arty", "--preset", "huge"], "unknown preset 'huge'"),
            (["--board", "arty", "--toolchain", "quartus"], "unknown toolchain 'quartus'"),
            (["--board", "ulx3s", "--toolchain", "vivado"], "it can be auto, nextpnr or yosys"),
            (["--board", "arty", "--model", "no.thr", "--no-model"], "give one of them"),
            (["--board", "arty", "--model", "no.thr"], "no.thr"),
            (
                ["--board", "icebreaker", "--model", networks.LENET300100],
                "the memories of icebreaker hold nothing at power-up",
            ),
        ],
    )
    def test_one_sentence(self, tmp_path, arguments, message):
        status, out, err = thresher(*arguments, "--out", tmp_path / "out")
        assert (status, out) == (2, "")
        assert err.startswith("thresher build: ")
        assert message in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_out_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "out"
        status, _, err = thresher("--board", "arty", "--no-model", "--out", out)
        assert status == 2
        assert f"cannot write to {out}" in err


class TestFailure:
    """A build that fails, with a program in place of Yosys that does only what is told."""

    arguments = ("--board=arty", "--toolchain=yosys", "--no-model", "--preset=tiny", "--lanes=1")

    @pytest.fixture
    def yosys(self, tmp_path, monkeypatch):
        def yosys(script):
            program = tmp_path / "yosys"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            monkeypatch.setenv("YOSYS", str(program))

        return yosys

    @pytest.fixture
    def build(self, tmp_path, yosys):
        def build(script):
            yosys(script)
            return thresher(*self.arguments, "--out", tmp_path / "out")

        return build

    def test_too_large(self, build, tmp_path):
        cells = {"LUT6": 20_800, "INV": 30, "DSP48E1": 91}
        statistics = {"design": {"num_cells_by_type": cells}}
        (tmp_path / "cells").write_text(json.dumps(statistics))
        status, out, err = build("cp ../../../cells top_statistics.json")
        assert (status, out) == (2, "")
        assert "lut 20,830 of 20,800 (30 over), dsp 91 of 90 (1 over)" in err
        assert list((tmp_path / "out").iterdir()) == []

    def test_tool_that_breaks(self, build, tmp_path):
        status, out, err = build("echo ERROR: it broke; exit 1")
        assert (status, out) == (2, "")
        assert err.endswith("thresher build: yosys failed (exit status 1): ERROR: it broke\n")
        assert list((tmp_path / "out").iterdir()) == []

    @pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
    def test_interruption(self, yosys, tmp_path, signal_number):
        yosys("touch ../../../begun\nexec sleep 600")
        command = [sys.executable, "-m", "hw.build", *self.arguments, "--out", tmp_path / "out"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal_number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 128 + signal_number, err
        assert "Traceback" not in err
        assert list((tmp_path / "out").iterdir()) == []

    def test_old_build_survives(self, build, tmp_path):
        old = tmp_path / "out" / f"arty_a7_35t-{ONE_LANE.digest:08x}" / "summary.json"
        old.parent.mkdir(parents=True)
        old.write_text("old")
        assert build("exit 1")[0] == 2
        assert old.read_text() == "old"


class TestShippedNetwork:
    """What is in the memories if nothing is said."""

    def test_it_does_not_fit(self, tmp_path, monkeypatch):
        made = []
        monkeypatch.setattr(build, "build_design", lambda design, *_: made.append(design) or {})
        monkeypatch.setattr(build, "_show", lambda *_: "")

        def note(board):
            _, _, err = thresher("--board", board, "--toolchain", "yosys", "--out", tmp_path)
            lines = [line for line in err.splitlines() if line.startswith("note: memories")]
            return lines[0] if lines else None

        said = "note: memories are left empty: lenet300100-best.thr"
        assert note("hx8k") == (
            f"{said}: the network was compressed for 16-bit activations, the accelerator has 8-bit "
            "ones: set activation_bits in a recipe's coding"
        )
        assert note("icebreaker") == (
            f"{said} cannot be built in: the memories of icebreaker hold nothing at power-up"
        )
        assert note("tang") is None
        monkeypatch.setitem(PRESETS, "gw1nr_9", PRESETS["tiny"])
        short = note("tang")
        assert short.startswith(f"{said}: layer ip1: ")
        assert short.endswith(" too few")
        assert [bool(design.contents) for design in made] == [False, False, True, False]


class TestBitstream:
    """What really runs Yosys, nextpnr and what packs the bitstream: one board of each family."""

    @pytest.mark.parametrize(
        ("arguments", "file", "resource"),
        [
            (("--board", "hx8k"), "top.bin", "ebr4"),
            (("--board", "tang", "--preset", "tiny", "--lanes", "1"), "top.fs", "bsram"),
        ],
    )
    def test_other_families(self, tmp_path, arguments, file, resource):
        status, out, err = thresher(*arguments, "--no-model", "--out", tmp_path, "--json")
        assert status == 0, err
        summary = json.loads(out)
        assert Path(summary["bitstream"]).name == file
        assert Path(summary["bitstream"]).stat().st_size > 100_000
        assert summary["fmax_mhz"] >= summary["clock_mhz"]
        for each in summary["resources"].values():
            assert 0 <= each["used"] <= each["available"]
        assert summary["resources"][resource]["used"] > 0

    def test_ulx3s(self, tmp_path):
        arguments = ("--board", "ulx3s", "--preset", "tiny", "--lanes", "1", "--no-model")
        status, out, err = thresher(*arguments, "--out", tmp_path, "--json")
        assert status == 0, err
        summary = json.loads(out)
        name = f"ulx3s_85f-{ONE_LANE.digest:08x}"
        assert summary["bitstream"] == str(tmp_path / name / "top.bit")
        assert Path(summary["bitstream"]).stat().st_size > 100_000
        assert summary["fmax_mhz"] >= summary["clock_mhz"] == 90
        assert summary["resources"]["dsp"] == {"used": 1, "available": 156}
        assert 0 < summary["resources"]["lut"]["used"] < 83_640
        assert newest_engine(tmp_path) == Built(BOARDS["ulx3s_85f"], ONE_LANE)
        assert set(summary["seconds"]) == {
            "generation",
            "synthesis",
            "place and route",
            "bitstream",
        }
        assert json.loads((tmp_path / name / "summary.json").read_text()) == summary
        assert [path.name for path in tmp_path.iterdir()] == [name]
