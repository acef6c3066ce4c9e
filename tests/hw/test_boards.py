"""The boards, and the clocks that they can make."""

import dataclasses
import re
from pathlib import Path

import pytest

import hw
from hw.boards import BOARDS, RESOURCES, BoardError, ecp5, find, gowin, ice40
from hw.boards.board import Memories
from hw.config import PRESETS
from hw.toolchains import TOOLCHAINS
from hw.toolchains.families import FAMILIES
from hw.virtual import _Pins
from sim.verilog import _Simulation

# What the hardware asks a platform for by name, when it has it.
ASKED = {
    name
    for file in Path(hw.__file__).parent.rglob("*.py")
    for name in re.findall(r'(?:get|has)attr\(platform, "(\w+)"', file.read_text())
}


class TestBoards:
    def test_alias(self):
        assert find("arty") is BOARDS["arty_a7_35t"]
        assert find("ulx3s") is BOARDS["ulx3s_85f"]

    def test_presets_exist(self):
        assert {board.preset for board in BOARDS.values()} <= set(PRESETS)

    def test_families_and_toolchains_exist(self):
        for board in BOARDS.values():
            assert board.family in FAMILIES
            assert set(board.toolchains) <= set(TOOLCHAINS)

    def test_capacities_are_of_known_resources(self):
        assert {name for board in BOARDS.values() for name in board.capacity} == set(RESOURCES)

    def test_names_are_of_one_board_each(self):
        names = [name for board in BOARDS.values() for name in (board.name, *board.aliases)]
        assert len(names) == len(set(names))

    def test_unknown_names_the_nearest(self):
        with pytest.raises(BoardError, match="'ulx3s_12f': did you mean ulx3s_25f"):
            find("ulx3s_12f")
        with pytest.raises(BoardError, match="unknown board 'foo': the boards are arty, arty_a7"):
            find("foo")

    def test_baud_is_within_half_a_percent(self):
        for board in BOARDS.values():
            assert board.clock_hz / board.divisor == pytest.approx(board.baud, rel=0.005)

    @pytest.mark.parametrize(
        ("board", "clock_hz"),
        [
            ("ulx3s", 61_234_567),
            ("arty", 66_666_666),
            ("cmod", 12_000_000),
            ("icebreaker", 6_000_000),
            ("hx8k", 61_234_567),
            ("tang_nano_9k", 61_234_567),
        ],
    )
    def test_clock_that_cannot_be_made(self, board, clock_hz):
        with pytest.raises(BoardError, match=r"61\.2346 MHz|66\.6667 MHz|12 MHz|6 MHz"):
            dataclasses.replace(find(board), clock_hz=clock_hz).platform()


class TestMemories:
    """Those of a virtual board's engine are those of the bitstream's."""

    def test_what_is_asked_for_is_documented(self):
        assert ASKED
        for name in ASKED:
            assert f"    {name} : " in Memories.__doc__

    @pytest.mark.parametrize("name", BOARDS)
    def test_virtual_boards(self, name):
        platform = BOARDS[name].platform()
        pins = _Pins(_Simulation(BOARDS[name].memories()))
        own = {member for member in dir(BOARDS[name].memories) if not member.startswith("_")}
        for member in ASKED | own:
            found, expected = (getattr(each, member, None) for each in (pins, platform))
            assert getattr(found, "__func__", found) == getattr(expected, "__func__", expected)

    def test_those_of_the_icebreaker_are_in_another_form(self):
        pins = _Pins(_Simulation(find("icebreaker").memories()))
        assert all(hasattr(pins, member) for member in ASKED)


class TestDividers:
    """Each PLL within its limits, which its function tells."""

    @pytest.mark.parametrize("megahertz", [25, 50, 60, 75, 80, 100, 125])
    def test_ecp5(self, megahertz):
        divide_in, feedback, divide_out = ecp5.pll_dividers(25_000_000, megahertz * 1_000_000)
        assert 25 * feedback == megahertz * divide_in
        assert 25 / divide_in >= 3.125
        assert 400 <= megahertz * divide_out <= 800

    @pytest.mark.parametrize("megahertz", [18, 21, 24, 36, 42, 48, 60, 96])
    def test_ice40(self, megahertz):
        multiplier, power = ice40.pll_dividers(12_000_000, megahertz * 1_000_000)
        assert 12 * (multiplier + 1) == megahertz * 2**power
        assert multiplier <= 127
        assert 533 <= megahertz * 2**power <= 1066

    @pytest.mark.parametrize("megahertz", [27, 45, 54, 60, 63, 72, 81, 108])
    def test_gowin(self, megahertz):
        divide_in, feedback, divide_out = gowin.pll_dividers(27_000_000, megahertz * 1_000_000)
        assert 27 * (feedback + 1) == megahertz * (divide_in + 1)
        assert 27 / (divide_in + 1) >= 3
        assert 400 <= megahertz * divide_out <= 1200
