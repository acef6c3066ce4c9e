"""Boards, toolchains, and the folder that a build makes."""

import dataclasses
import json
import types
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hw.boards import BOARDS, BoardError, find
from hw.boards.ulx3s import pll_dividers
from hw.config import PRESETS
from hw.project import Design, build_design, replacing, write_sources
from hw.regmap import Window
from hw.toolchains import Job, ToolchainError, choose, nextpnr, vivado, yosys
from hw.toolchains.base import check_clock, check_fits, run_tool
from sw.cli import main

TINY = PRESETS["tiny"]
# The smallest engine, for what really runs the tools.
ONE_LANE = dataclasses.replace(TINY, lanes=1)


def thresher(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["build", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


class TestBoards:
    def test_list(self):
        status, out, _ = thresher("--list-boards", "--json")
        boards = {board["name"]: board for board in json.loads(out)["boards"]}
        assert status == 0
        assert set(boards) == {"arty_a7_35t", "arty_a7_100t", "ulx3s_85f"}
        assert boards["arty_a7_35t"]["capacity"] == {
            "lut": 20_800,
            "ff": 41_600,
            "bram36": 50,
            "dsp": 90,
        }

    def test_list_for_people(self):
        status, out, _ = thresher("--list-boards")
        assert status == 0
        assert "xc7a35ticsg324-1L" in out

    def test_alias(self):
        assert find("arty") is BOARDS["arty_a7_35t"]
        assert find("ulx3s") is BOARDS["ulx3s_85f"]

    def test_presets_exist(self):
        assert {board.preset for board in BOARDS.values()} <= set(PRESETS)

    def test_unknown_names_the_nearest(self):
        with pytest.raises(BoardError, match="'ulx3s_12f': did you mean ulx3s_85f"):
            find("ulx3s_12f")

    def test_baud_is_within_half_a_percent(self):
        for board in BOARDS.values():
            assert board.clock_hz / board.divisor == pytest.approx(board.baud, rel=0.005)

    @pytest.mark.parametrize("megahertz", [25, 50, 60, 75, 80, 100, 125])
    def test_pll_makes_the_clock_within_its_limits(self, megahertz):
        divide_in, feedback, divide_out = pll_dividers(25_000_000, megahertz * 1_000_000)
        assert 25 * feedback == megahertz * divide_in
        assert 25 / divide_in >= 3.125
        assert 400 <= megahertz * divide_out <= 800

    @pytest.mark.parametrize(("board", "clock_hz"), [("ulx3s", 61_234_567), ("arty", 66_666_666)])
    def test_clock_that_cannot_be_made(self, board, clock_hz):
        with pytest.raises(BoardError, match=r"61\.2346 MHz|66\.6667 MHz"):
            dataclasses.replace(find(board), clock_hz=clock_hz).platform()


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
        assert f"cannot write to {out}" in err.replace("\n", "")

    def test_vivado_that_is_not_there(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
        monkeypatch.delenv("VIVADO", raising=False)
        with pytest.raises(ToolchainError, match="Vivado is not on PATH"):
            choose(find("arty"), "vivado")
        assert choose(find("arty"), "auto") == "yosys"


class TestLimits:
    def test_too_large_says_by_how_much(self):
        used = {"lut": 20_801, "ff": 5, "bram36": 50.5, "dsp": 90}
        message = (
            r"too large for the xc7a35ticsg324-1L of arty_a7_35t: "
            r"lut 20,801 of 20,800 \(1 over\), bram36 50\.5 of 50 \(0\.5 over\);"
        )
        with pytest.raises(ToolchainError, match=message):
            check_fits(find("arty"), used)

    def test_exactly_full_fits(self):
        check_fits(find("arty"), find("arty").capacity)

    def test_too_slow_says_by_how_much(self):
        with pytest.raises(ToolchainError, match=r"59\.50 MHz on ulx3s_85f, 0\.50 MHz less"):
            check_clock(find("ulx3s"), 59.5)
        check_clock(find("ulx3s"), 60.0)

    def test_failing_tool_is_quoted(self, tmp_path):
        command = ["sh", "-c", "echo Info: fine; echo ERROR: no bels; echo bye; exit 3"]
        with pytest.raises(ToolchainError, match=r"sh failed \(exit status 3\): ERROR: no bels$"):
            run_tool(command, tmp_path, "tool.log")


UTILIZATION = """
1. Slice Logic
--------------

+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| Slice LUTs*                | 8123 |     0 |          0 |     20800 | 39.05 |
|   LUT as Logic             | 7000 |     0 |          0 |     20800 | 33.65 |
| Slice Registers            | 6001 |     0 |          0 |     41600 | 14.43 |
+----------------------------+------+-------+------------+-----------+-------+

2. Memory
---------

+-------------------+------+-------+-----------+-------+
|     Site Type     | Used | Fixed | Available | Util% |
+-------------------+------+-------+-----------+-------+
| Block RAM Tile    | 36.5 |     0 |        50 | 73.00 |
|   RAMB36/FIFO*    |   32 |     0 |        50 | 64.00 |
+-------------------+------+-------+-----------+-------+

3. DSP
------

+----------------+------+-------+-----------+-------+
|    Site Type   | Used | Fixed | Available | Util% |
+----------------+------+-------+-----------+-------+
| DSPs           |   16 |     0 |        90 | 17.78 |
|   DSP48E1 only |   16 |       |           |       |
+----------------+------+-------+-----------+-------+
"""
TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     -0.417       -3.210                     12                21034        0.035        0.000
"""


class TestReports:
    def test_vivado_utilization(self):
        used = vivado.read_utilization(UTILIZATION)
        assert used == {"lut": 8123, "ff": 6001, "bram36": 36.5, "dsp": 16}

    def test_vivado_utilization_without_a_row(self):
        with pytest.raises(ToolchainError, match="no row 'DSPs'"):
            vivado.read_utilization(UTILIZATION.partition("3. DSP")[0])

    def test_vivado_slack(self):
        assert vivado.read_slack(TIMING) == (-0.417, 0.035)

    @pytest.mark.parametrize("text", ["", TIMING.replace("-0.417", "     NA")])
    def test_vivado_without_slack(self, text):
        with pytest.raises(ToolchainError, match="no slack"):
            vivado.read_slack(text)

    def test_nextpnr_takes_the_clock_that_is_nearest_to_failing(self):
        report = {
            "fmax": {
                "sync": {"achieved": 70.0, "constraint": 60.0},
                "usb": {"achieved": 50.0, "constraint": 12.0},
            },
            "utilization": {
                "TRELLIS_COMB": {"used": 1000, "available": 83640},
                "TRELLIS_FF": {"used": 500, "available": 83640},
                "DP16KD": {"used": 7, "available": 208},
                "MULT18X18D": {"used": 4, "available": 156},
            },
        }
        used, fmax_mhz = nextpnr.read_report(json.dumps(report))
        assert used == {"lut": 1000, "ff": 500, "ebr": 7, "dsp": 4}
        assert fmax_mhz == 70.0


class TestVivado:
    """The flow around Vivado, with a program in its place that only leaves its reports."""

    @pytest.fixture
    def job(self, tmp_path, monkeypatch):
        (tmp_path / "utilization").write_text(UTILIZATION)
        (tmp_path / "timing").write_text(TIMING.replace("-0.417", "1.250"))
        program = tmp_path / "vivado"
        program.write_text(
            "#!/bin/sh\n"
            "cp ../utilization top_utilization_synth.rpt\n"
            "test -e ../broken && echo ERROR: no site left && exit 1\n"
            "cp ../utilization top_utilization_place.rpt\n"
            "cp ../timing top_timing.rpt\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("VIVADO", str(program))
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "build_top.sh").write_text('"$VIVADO" -mode batch\n')
        return Job(find("arty"), folder, (), lambda _: nullcontext())

    def test_chosen_when_it_is_there(self, job):
        assert choose(job.board, "auto") == "vivado"

    def test_reports_are_read(self, job):
        outcome = vivado.run(job)
        assert outcome.used["bram36"] == 36.5
        assert outcome.bitstream == "top.bit"
        assert outcome.fmax_mhz == pytest.approx(1e3 / (20 - 1.25))

    def test_missed_clock(self, job, tmp_path):
        (tmp_path / "timing").write_text(TIMING)
        with pytest.raises(ToolchainError, match=r"48\.98 MHz on arty_a7_35t, 1\.02 MHz less"):
            vivado.run(job)

    def test_missed_hold(self, job, tmp_path):
        (tmp_path / "timing").write_text(TIMING.replace("-0.417", "1").replace("0.035", "-0.012"))
        with pytest.raises(ToolchainError, match=r"hold times by 0\.012 ns"):
            vivado.run(job)

    def test_failure_of_a_design_that_is_too_large_says_so(self, job, tmp_path):
        (tmp_path / "broken").touch()
        with pytest.raises(ToolchainError, match="ERROR: no site left"):
            vivado.run(job)
        (tmp_path / "utilization").write_text(UTILIZATION.replace(" 8123 ", "28123 "))
        with pytest.raises(ToolchainError, match=r"lut 28,123 of 20,800 \(7,323 over\)"):
            vivado.run(job)


class TestCounts:
    @staticmethod
    def statistics(**cells):
        return json.dumps({"design": {"num_cells_by_type": {"$scopeinfo": 3} | cells}})

    def test_xc7(self):
        cells = {"LUT1": 1, "LUT6": 2, "INV": 4, "RAM32M": 8, "RAM64X1D": 16, "SRL16E": 32}
        cells |= {"FDRE": 5, "FDPE": 6, "RAMB18E1": 3, "RAMB36E1": 4, "DSP48E1": 9, "CARRY4": 99}
        used = yosys.count("xc7", self.statistics(**cells))
        assert used == {"lut": 1 + 2 + 4 + 32 + 32 + 32, "ff": 11, "bram36": 5.5, "dsp": 9}

    def test_ecp5(self):
        cells = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 3, "TRELLIS_FF": 4, "DP16KD": 5}
        used = yosys.count("ecp5", self.statistics(**cells, MULT18X18D=6, PFUMX=9))
        assert used == {"lut": 1 + 4 + 18, "ff": 4, "ebr": 5, "dsp": 6}

    def test_unknown_primitive_is_not_counted_as_nothing(self):
        with pytest.raises(ToolchainError, match="cannot count 2 × RAM512M"):
            yosys.count("xc7", self.statistics(RAM512M=2))


class TestReplacing:
    def test_nothing_is_left_by_a_failure(self, tmp_path):
        def fail():
            with replacing(tmp_path / "made") as new:
                (new / "half").touch()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert list(tmp_path.iterdir()) == []

    def test_the_old_one_stays_until_the_new_one_is_whole(self, tmp_path):
        made = tmp_path / "made"
        with replacing(made) as new:
            (new / "first").touch()
        with replacing(made) as new:
            (new / "second").touch()
            assert [path.name for path in made.iterdir()] == ["first"]
        assert [path.name for path in made.iterdir()] == ["second"]
        assert list(tmp_path.iterdir()) == [made]


@pytest.fixture(scope="module", params=list(BOARDS))
def sources(request, tmp_path_factory):
    """A board's sources of the smallest engine, with two memories filled: (board, folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    write_sources(filled(request.param), folder)
    return find(request.param), folder


def filled(board):
    contents = {
        Window.BIAS: (np.array([[0xFFFFFFFF], [0x12]], np.uint32),),
        Window.PROGRAM: (np.array([[0x1, 0x2, 0x0, 0x0]], np.uint32),),
    }
    return Design(find(board), ONE_LANE, contents, 0xABCDEF)


class TestSources:
    vendor_files = types.MappingProxyType(
        {"xc7": {"top.xdc", "top.tcl"}, "ecp5": {"top.lpf", "top.ys"}}
    )

    def test_files(self, sources):
        board, folder = sources
        expected = {"top.v", "top.il", "build_top.sh", "config.json", "regmap.json", "csr.csv"}
        assert expected | self.vendor_files[board.family] <= {
            path.name for path in folder.iterdir()
        }
        config = json.loads((folder / "config.json").read_text())
        assert type(ONE_LANE)(**config) == ONE_LANE

    def test_clock_and_serial_port(self, sources):
        board, folder = sources
        if board.family == "xc7":
            constraints = (folder / "top.xdc").read_text()
            assert "-period 10.0" in constraints
            assert all(f"LOC {pin} " in constraints for pin in ("E3", "C2", "A9", "D10"))
            assert f"-part {board.part}" in (folder / "top.tcl").read_text()
            assert ".CLKOUT0_DIVIDE(32'd20)" in (folder / "top.v").read_text()
        else:
            constraints = (folder / "top.lpf").read_text()
            assert 'FREQUENCY PORT "clk25_0__io" 25000000' in constraints
            assert all(f'SITE "{pin}"' in constraints for pin in ("G2", "R1", "M1", "L4"))
            assert ".CLKI_DIV(32'd5)" in (folder / "top.v").read_text()

    def test_memory_contents(self, sources):
        memory = sources[1] / "memory"
        assert (memory / "bias_000.hex").read_text() == "ffffffff\n00000012\n"
        (instruction,) = (memory / "program_000.hex").read_text().split()
        assert int(instruction, 16) == 0x2_0000_0001

    def test_memories_begin_with_the_contents(self, sources):
        # The bias memory, as RTLIL has it: item 1 above item 0.
        assert f"{0x12:032b}{0xFFFFFFFF:032b}" in (sources[1] / "top.il").read_text()

    @pytest.mark.parametrize("sources", ["ulx3s_85f"], indirect=True)
    def test_same_design_gives_the_same_files(self, sources, tmp_path):
        board, folder = sources
        write_sources(filled(board.name), tmp_path)
        for path in (path for path in folder.rglob("*") if path.is_file()):
            assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()
            assert str(Path(__file__).parents[2]) not in path.read_text()


class TestDigest:
    def test_tells_configurations_and_contents_apart(self):
        board = find("arty")
        assert Design(board, TINY).name == f"arty_a7_35t-{TINY.digest:08x}"
        assert Design(board, ONE_LANE).digest != Design(board, TINY).digest
        assert filled("ulx3s_85f").name == "ulx3s_85f-00abcdef"


class TestBitstream:
    """What really runs Yosys, nextpnr and ecppack."""

    def test_ulx3s(self, tmp_path):
        arguments = ("--board", "ulx3s", "--preset", "tiny", "--lanes", "1", "--no-model")
        status, out, err = thresher(*arguments, "--out", tmp_path, "--json")
        assert status == 0, err
        summary = json.loads(out)
        name = f"ulx3s_85f-{ONE_LANE.digest:08x}"
        assert summary["bitstream"] == str(tmp_path / name / "top.bit")
        assert Path(summary["bitstream"]).stat().st_size > 100_000
        assert summary["fmax_mhz"] >= summary["clock_mhz"] == 60
        assert summary["resources"]["dsp"] == {"used": 1, "available": 156}
        assert 0 < summary["resources"]["lut"]["used"] < 83_640
        assert set(summary["seconds"]) == {
            "generation",
            "synthesis",
            "place and route",
            "bitstream",
        }
        assert json.loads((tmp_path / name / "summary.json").read_text()) == summary
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_too_large_leaves_nothing(self, tmp_path):
        capacity = dict(find("arty").capacity) | {"dsp": 0}
        board = dataclasses.replace(find("arty"), capacity=capacity)
        with pytest.raises(ToolchainError, match=r"dsp 1 of 0 \(1 over\)"):
            build_design(Design(board, ONE_LANE), "yosys", tmp_path, lambda _: nullcontext(), {})
        assert list(tmp_path.iterdir()) == []
