"""What is read from the toolchains' reports, and what is refused."""

import dataclasses
import json
import os
from contextlib import nullcontext
from types import MappingProxyType

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal

from hw.boards import BOARDS, find
from hw.toolchains import Job, ToolchainError, choose, nextpnr, vivado, xray, yosys
from hw.toolchains.base import check_clock, check_fits, run_tool

# As Vivado writes them, cut down to what is read and what lies beside it.
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
        board = dataclasses.replace(find("ulx3s"), clock_hz=60_000_000)
        with pytest.raises(ToolchainError, match=r"59\.50 MHz on ulx3s_85f, 0\.50 MHz less"):
            check_clock(board, 59.5)
        with pytest.raises(ToolchainError, match=r"60 MHz \(slowest: a to b\);"):
            check_clock(board, 1.0, "a to b")
        check_clock(board, 60.0)

    def test_failing_tool_is_quoted(self, tmp_path):
        command = ["sh", "-c", "echo Info: fine; echo ERROR: no bels; echo bye; exit 3"]
        with pytest.raises(ToolchainError, match=r"sh failed \(exit status 3\): ERROR: no bels$"):
            run_tool(command, tmp_path, "tool.log")


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
        def path(clock, first, last):
            steps = [("clk-to-q", first, first), ("routing", first, "lut"), ("setup", "lut", last)]
            cells = [
                {"type": kind, "from": {"cell": start}, "to": {"cell": end}, "delay": place + 0.5}
                for place, (kind, start, end) in enumerate(steps)
            ]
            return {"from": f"posedge {clock}", "to": f"posedge {clock}", "path": cells}

        report = {
            "critical_paths": [path("usb", "a", "b"), path("sync", "memory", "flip_flop")],
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
        used, fmax_mhz, slowest = nextpnr.read_report(json.dumps(report))
        assert used == {"lut": 1000, "ff": 500, "ebr": 7, "dsp": 4}
        assert (fmax_mhz, slowest) == (70.0, "memory to flip_flop")
        assert nextpnr.critical_path(json.dumps(report)) == [
            ("clk-to-q", "memory", 0.5),
            ("routing", "lut", 1.5),
            ("setup", "flip_flop", 2.5),
        ]

    @pytest.mark.parametrize(
        ("family", "sites", "used"),
        [
            ("ice40hx", {"ICESTORM_LC": 5, "ICESTORM_RAM": 3}, {"lut": 5, "ebr4": 3}),
            ("gw1n", {"LUT4": 5, "DFF": 4, "BSRAM": 3}, {"lut": 5, "ff": 4, "bsram": 3}),
        ],
    )
    def test_nextpnr_of_other_families(self, family, sites, used):
        ends = {"from": {"cell": "a"}, "to": {"cell": "b"}, "delay": 1.0, "type": "routing"}
        report = {
            "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": [ends]}],
            "fmax": {"clk": {"achieved": 70.0, "constraint": 60.0}},
            "utilization": {name: {"used": n, "available": 9} for name, n in sites.items()},
        }
        assert nextpnr.read_report(json.dumps(report), family) == (used, 70.0, "a to b")

    def test_nextpnr_without_a_clock(self):
        with pytest.raises(ToolchainError, match="no clock"):
            nextpnr.critical_path(json.dumps({"fmax": {}, "critical_paths": []}))

    def test_nextpnr_routes_from_the_seed(self, tmp_path, monkeypatch):
        program = tmp_path / "nextpnr"
        program.write_text('#!/bin/sh\necho "$@" > top_report.json\n')
        program.chmod(0o755)
        monkeypatch.setenv("NEXTPNR_ECP5", str(program))
        commands = (("yosys", "top.ys"), ("nextpnr-ecp5", "--seed", "1", "--json", "top.json"))
        report = nextpnr.route(tmp_path, commands, 7)
        assert report == "--seed 7 --json top.json\n"
        report = nextpnr.route(tmp_path, commands, 8, ("--router", "router2"))
        assert report == "--seed 8 --json top.json --router router2\n"


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

    def test_not_there(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
        monkeypatch.delenv("VIVADO", raising=False)
        with pytest.raises(ToolchainError, match="Vivado is not on PATH"):
            choose(find("arty"), "vivado")
        assert choose(find("arty"), "auto") == "yosys"

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


class TestXray:
    """The open flow for Xilinx: the real Yosys, and programs in the place of what follows it."""

    FMAX = "Info: Max frequency for clock '%s': %s MHz (PASS at 50.00 MHz)"
    PART = "xc7a35tcsg324-1"
    PROGRAMS = MappingProxyType(
        {
            "nextpnr-xilinx": "cat ../fmax; test -s top.json && cp top_open.xdc top.fasm",
            "fasm2frames": 'cp "$5" "$6"',
            "xc7frames2bit": "cp top.frames top.bit",
        }
    )

    @pytest.fixture
    def job(self, tmp_path, monkeypatch):
        programs, chips = tmp_path / "bin", tmp_path / "chips"
        for folder in (programs, chips, tmp_path / "folder"):
            folder.mkdir()
        for name, script in self.PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\necho "$@" > ../{name}\n{script}\n')
            (programs / name).chmod(0o755)
        (chips / f"{self.PART}.bin").touch()
        (tmp_path / "db" / "artix7" / self.PART).mkdir(parents=True)
        self.tell(tmp_path, 40.0, 61.5)
        monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
        monkeypatch.setenv("CHIPDB_DIR", str(chips))
        monkeypatch.setenv("DB_DIR", str(tmp_path / "db"))
        folder = tmp_path / "folder"
        m = Module()
        button, led, count = Signal(), Signal(), Signal(8)
        m.d.sync += count.eq(count + button)
        m.d.comb += led.eq(count[-1])
        (folder / "top.il").write_text(rtlil.convert(m, ports=[button, led]))
        (folder / "top_open.xdc").write_text("pins")
        return Job(find("arty"), folder, (), lambda _: nullcontext())

    def tell(self, folder, *clocks):
        """As nextpnr does, before and after routing; another clock is faster."""
        lines = [self.FMAX % (name, mhz) for n in clocks for name, mhz in (("clk", n), ("io", 99))]
        (folder / "fmax").write_text("\n".join(lines) + "\n")

    def test_chosen_if_it_is_asked_for(self, job):
        assert choose(job.board, "xray") == "xray"
        assert choose(job.board, "auto") == "xray"

    def test_a_board_with_the_chip_in_another_package(self, job):
        with pytest.raises(ToolchainError, match="or the part in their databases"):
            choose(find("cmod"), "xray")

    @pytest.mark.parametrize("missing", ["bin/fasm2frames", f"chips/{PART}.bin", "db/artix7"])
    def test_not_there(self, job, tmp_path, missing):
        (tmp_path / missing).rename(tmp_path / "elsewhere")
        with pytest.raises(ToolchainError, match="nextpnr-xilinx, fasm2frames, xc7frames2bit, or"):
            choose(job.board, "xray")

    def test_what_the_tools_are_told(self, job, tmp_path):
        outcome = xray.run(job)
        assert (outcome.used["ff"], outcome.fmax_mhz, outcome.bitstream) == (8, 61.5, "top.bit")
        assert (job.folder / "top.bit").read_text() == "pins"
        place, frames, pack = ((tmp_path / name).read_text().strip() for name in self.PROGRAMS)
        database = f"{tmp_path}/db/artix7"
        assert place.startswith(f"--chipdb {tmp_path}/chips/{self.PART}.bin --xdc top_open.xdc")
        assert "--freq 50 " in place
        assert frames == f"--part {self.PART} --db-root {database} top.fasm top.frames"
        assert f"--part_file {database}/{self.PART}/part.yaml --part_name {self.PART}" in pack

    def test_missed_clock(self, job, tmp_path):
        self.tell(tmp_path, 70, 48.98)
        with pytest.raises(ToolchainError, match=r"48\.98 MHz on arty_a7_35t, 1\.02 MHz less"):
            xray.run(job)
        assert not (job.folder / "top.bit").exists()

    def test_no_clock(self, job, tmp_path):
        self.tell(tmp_path)
        with pytest.raises(ToolchainError, match="told no clock"):
            xray.run(job)


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

    def test_ice40(self):
        cells = {"SB_LUT4": 7, "SB_CARRY": 3, "SB_DFF": 1, "SB_DFFESR": 2, "SB_DFFNSS": 3}
        cells |= {"SB_RAM40_4K": 4, "SB_GB_IO": 1, "SB_PLL40_CORE": 1}
        used = yosys.count("ice40hx", self.statistics(**cells))
        assert used == {"lut": 7, "ff": 6, "ebr4": 4}
        used = yosys.count("ice40up", self.statistics(**cells, SB_MAC16=5, SB_SPRAM256KA=2))
        assert used == {"lut": 7, "ff": 6, "ebr4": 4, "dsp": 5, "spram": 2}

    def test_gw1n(self):
        cells = {"LUT1": 1, "LUT4": 2, "ALU": 3, "RAM16SDP4": 4, "DFF": 1, "DFFRE": 2, "DFFSE": 3}
        cells |= {"SDPX9B": 5, "DPX9B": 6, "MULT9X9": 7, "MULT18X18": 8, "MUX2_LUT5": 9, "rPLL": 1}
        used = yosys.count("gw1n", self.statistics(**cells))
        assert used == {"lut": 6 + 24, "ff": 6, "bsram": 11, "dsp": 11.5}

    def test_every_resource_of_a_board_is_counted(self):
        for board in BOARDS.values():
            assert yosys.count(board.family, self.statistics()).keys() == board.capacity.keys()

    def test_unknown_primitive_is_not_counted_as_nothing(self):
        with pytest.raises(ToolchainError, match="cannot count 2 × RAM512M"):
            yosys.count("xc7", self.statistics(RAM512M=2))
