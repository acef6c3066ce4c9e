"""The boards, and the clocks that they can make."""

import dataclasses

import pytest

from hw.boards import BOARDS, BoardError, find
from hw.boards.ulx3s import pll_dividers
from hw.config import PRESETS


class TestBoards:
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
