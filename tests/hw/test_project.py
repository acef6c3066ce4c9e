"""The folder of a build: what is in it, and that it is whole or not there."""

import dataclasses
import json
import types
from pathlib import Path

import numpy as np
import pytest

from hw.boards import BOARDS, find
from hw.config import PRESETS
from hw.project import Design, replacing, write_sources
from hw.regmap import Window

TINY = PRESETS["tiny"]
# The smallest engine.
ONE_LANE = dataclasses.replace(TINY, lanes=1)


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


def filled(board):
    contents = {
        Window.BIAS: (np.array([[0xFFFFFFFF], [0x12]], np.uint32),),
        Window.PROGRAM: (np.array([[0x1, 0x2, 0x0, 0x0]], np.uint32),),
    }
    return Design(find(board), ONE_LANE, contents, 0xABCDEF)


@pytest.fixture(scope="module", params=list(BOARDS))
def sources(request, tmp_path_factory):
    """A board's sources of the smallest engine, with two memories filled: (board, folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    write_sources(filled(request.param), folder)
    return find(request.param), folder


# Of each family: its constraints and script, how a pin and a frequency stand in the former, and how
# a parameter of the clock's generator stands in top.v.
FAMILY_FILES = types.MappingProxyType(
    {
        "xc7": ("top.xdc", "top.tcl", "LOC {} ", "-period {}"),
        "ecp5": ("top.lpf", "top.ys", 'SITE "{}"', "{}"),
        "ice40up": ("top.pcf", "top.ys", " {}\n", "{}"),
        "ice40hx": ("top.pcf", "top.ys", " {}\n", "{}"),
        "gw1n": ("top.cst", "top.ys", '" {};', ""),
    }
)
# Of each board: pins of oscillator, reset, RX, TX and the lights; the oscillator's period or
# frequency as constraints have it; and a parameter by which its clock is made.
PINS = types.MappingProxyType(
    {
        "arty_a7_35t": ("E3 C2 A9 D10 H5 J5", "10.0", ".CLKOUT0_DIVIDE(32'd20)"),
        "arty_a7_100t": ("E3 C2 A9 D10 H5 J5", "10.0", ".CLKOUT0_DIVIDE(32'd20)"),
        "nexys_a7": ("E3 C12 C4 D4 H17 K15", "10.0", ".CLKOUT0_DIVIDE(32'd20)"),
        "cmod_a7_35t": ("L17 A18 J17 J18 A17 C16", "83.3333", ".CLKOUT0_DIVIDE_F(32'd15)"),
        "ulx3s_85f": ("G2 R1 M1 L4 B2 C2", "25000000", ".CLKFB_DIV(32'd18)"),
        "ulx3s_25f": ("G2 R1 M1 L4 B2 C2", "25000000", ".CLKFB_DIV(32'd18)"),
        "colorlight_5a75b": ("P6 M13 P11 F3 F1", "25000000", ".CLKFB_DIV(32'd18)"),
        "orangecrab": ("A9 J17 N17 M18 M3 J3", "48000000", ".CLKFB_DIV(32'd2)"),
        "icebreaker": ("35 10 6 9 11 37", "12.0", ".DIVF(32'd55)"),
        "ice40_hx8k_b_evn": ("J3 B10 B12 C3 B3", "12.0", ".DIVF(32'd55)"),
        "tang_nano_9k": ("52 3 18 17 10 11", "", ".FBDIV_SEL(32'd7)"),
    }
)


class TestSources:
    def test_files(self, sources):
        board, folder = sources
        expected = {"top.v", "top.il", "build_top.sh", "config.json", "regmap.json", "csr.csv"}
        expected |= set(FAMILY_FILES[board.family][:2])
        assert expected <= {path.name for path in folder.iterdir()}
        config = json.loads((folder / "config.json").read_text())
        assert type(ONE_LANE)(**config) == ONE_LANE

    def test_clock_and_pins(self, sources):
        board, folder = sources
        file, _, pin, frequency = FAMILY_FILES[board.family]
        pins, hertz, parameter = PINS[board.name]
        constraints = (folder / file).read_text()
        assert [name for name in pins.split() if pin.format(name) not in constraints] == []
        assert frequency.format(hertz) in constraints
        if board.family == "xc7":
            constraints = (folder / "top_open.xdc").read_text()
            assert [name for name in pins.split() if f" LOC {name} " not in constraints] == []
            assert constraints.count(" IOSTANDARD LVCMOS33 ") == constraints.count(" LOC ")
        assert parameter in (folder / "top.v").read_text()

    def test_part(self, sources):
        board, folder = sources
        if board.family == "xc7":
            assert f"-part {board.part}" in (folder / "top.tcl").read_text()
        else:
            script = (folder / "build_top.sh").read_text()
            part = {
                "LFE5U-85F-6BG381C": "--85k --package CABGA381 --speed 6",
                "LFE5U-25F-6BG381C": "--25k --package CABGA381 --speed 6",
                "LFE5U-25F-6BG256C": "--25k --package CABGA256 --speed 6",
                "LFE5U-25F-8MG285C": "--25k --package CSFBGA285 --speed 8",
                "iCE40UP5K-SG48I": "--up5k --package sg48",
                "iCE40HX8K-CT256": "--hx8k --package ct256",
                "GW1NR-LV9QN88PC6/I5": "--device GW1NR-LV9QN88PC6/I5",
            }[board.part]
            assert part in " ".join(script.split())

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
