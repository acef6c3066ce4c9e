"""`thresher bench boards`, and that docs/boards.md says what was built."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from hw.boards import BOARDS, find
from hw.config import PRESETS
from sw import networks
from sw.cli import bench_boards, main
from sw.cli.blocks import logic_digest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "boards.md"


def bench(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["bench", "boards", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def build(folder, name, board, *, lut=1, age=0, **differs):
    """The summary of a build, of which `lut` tells it from others."""
    summary = {
        "board": board,
        "config": dataclasses.asdict(PRESETS[find(board).preset]),
        "toolchain": "nextpnr",
        "clock_mhz": 20.0,
        "fmax_mhz": 25.0,
        "resources": {"lut": {"used": lut, "available": 10}},
        "seconds": {},
        "bitstream": "top.bit",
        "model": None,
    }
    file = folder / name / "summary.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(summary | differs))
    os.utime(file, (1e9 - age, 1e9 - age))
    return file


class TestFigures:
    FIGURES = bench_boards.read_figures()

    def test_every_board_as_it_is_now(self):
        builds = self.FIGURES["builds"]
        assert list(builds) == list(BOARDS), bench_boards.REWRITE
        for name, board in ((name, BOARDS[name]) for name in builds):
            assert builds[name]["config"] == dataclasses.asdict(PRESETS[board.preset]), name
            assert builds[name]["clock_mhz"] == board.clock_hz / 1e6, name
            available = {key: each["available"] for key, each in builds[name]["resources"].items()}
            assert available == board.capacity, name

    @pytest.mark.parametrize("preset", sorted({board.preset for board in BOARDS.values()}))
    def test_the_logic_is_todays_or_it_says_so(self, preset):
        """Of every board with that engine."""
        builds, today = self.FIGURES["builds"], logic_digest(preset)
        for board in (board for board in BOARDS.values() if board.preset == preset):
            assert builds[board.name]["logic"] in (None, today), bench_boards.REWRITE

    def test_open_families_have_a_bitstream_at_a_clock_that_is_met(self):
        for name, each in self.FIGURES["builds"].items():
            if find(name).family != "xc7":
                assert bench_boards.state(each) == "bitstream"
                assert each["fmax_mhz"] > each["clock_mhz"]

    def test_document_is_made_from_them(self):
        assert DOCUMENT.read_text() == bench_boards.document(self.FIGURES), bench_boards.REWRITE

    def test_it_claims_no_trial(self):
        assert "Nothing here has been tried on hardware" in DOCUMENT.read_text()

    @pytest.mark.parametrize("preset", sorted({board.preset for board in BOARDS.values()}))
    def test_shipped_networks_that_fit(self, preset, monkeypatch):
        small = [name for name in networks.NAMES if name.endswith("best")]
        monkeypatch.setattr(networks, "NAMES", small)
        builds = self.FIGURES["builds"]
        for board in (BOARDS[name] for name in builds if BOARDS[name].preset == preset):
            fit = [n for n in builds[board.name]["shipped"] if n in small]
            assert fit == bench_boards.shipped(board)


class TestCollect:
    def test_newest_of_the_boards_own_engine(self, tmp_path):
        build(tmp_path, "hx8k-1", "ice40_hx8k_b_evn", lut=9)  # not a folder of its builds
        build(tmp_path, "ice40_hx8k_b_evn-1", "ice40_hx8k_b_evn", lut=1, age=9)
        build(tmp_path, "ice40_hx8k_b_evn-2", "ice40_hx8k_b_evn", lut=2, age=5)
        build(tmp_path, "ice40_hx8k_b_evn-3", "ice40_hx8k_b_evn", lut=3, age=7)
        build(tmp_path, "ice40_hx8k_b_evn-4", "ice40_hx8k_b_evn", lut=4, config={"lanes": 9})
        status, out, err = bench("--build", tmp_path, "--json")
        assert status == 0, err
        builds = json.loads(out)["builds"]
        assert list(builds) == ["ice40_hx8k_b_evn"]
        assert builds["ice40_hx8k_b_evn"]["resources"]["lut"]["used"] == 2

    def test_states(self):
        def state(bitstream, fmax_mhz):
            return bench_boards.state({"bitstream": bitstream, "fmax_mhz": fmax_mhz})

        assert state(True, 20.0) == "bitstream"
        assert state(False, 20.0) == "routed"
        assert state(False, None) == "counted"

    def test_table(self, tmp_path):
        build(tmp_path, "icebreaker-1", "icebreaker", bitstream=None, fmax_mhz=None)
        status, out, _ = bench("--build", tmp_path)
        assert status == 0
        assert "no build here" in out
        assert "counted" in out

    @pytest.mark.parametrize("text", ["", "[]", '{"board": "icebreaker"}'])
    def test_damaged_summary(self, tmp_path, text):
        build(tmp_path, "icebreaker-1", "icebreaker").write_text(text)
        status, out, err = bench("--build", tmp_path)
        assert (status, out) == (2, "")
        assert "summary.json is not the summary of a build" in err
        assert err.count("\n") == 1

    def test_boards_without_a_build_keep_their_figures(self, tmp_path, monkeypatch):
        build(tmp_path, "icebreaker-1", "icebreaker", lut=3)
        before = bench_boards.read_figures()
        for name, each in before["builds"].items():
            each["logic"] = f"that of {BOARDS[name].preset}"
        before["builds"]["tang_nano_9k"]["logic"] = "another"
        monkeypatch.setattr(bench_boards, "logic_digest", lambda preset: f"that of {preset}")
        found = bench_boards.kept(bench_boards.collect(tmp_path), before)
        assert list(found["builds"]) == list(BOARDS)
        assert found["builds"]["icebreaker"]["resources"]["lut"]["used"] == 3
        others = {name: each for name, each in found["builds"].items() if name != "icebreaker"}
        assert [name for name, each in others.items() if each["logic"] is None] == ["tang_nano_9k"]
        found["builds"]["icebreaker"] |= {"shipped": [], "logic": "today's"}
        lines = bench_boards.document(found).splitlines()
        (row,) = (line for line in lines if line.endswith(", an earlier version |"))
        assert row.startswith(f"| {BOARDS['tang_nano_9k'].title} |")

    def test_nothing_is_not_written(self, tmp_path):
        status, out, err = bench("--build", tmp_path, "--write")
        assert (status, out) == (2, "")
        assert "has no build of any board" in err
