"""The whole board, pins only: the real driver loads and runs it in simulation."""

import pytest

from hw.config import PRESETS
from hw.top import Accelerator
from sim.bench import board
from sim.bench.runner import run_bench


def run_board(testcase, *, seed=0, **built_in):
    run_bench(
        Accelerator(PRESETS["tiny"], board.DIVISOR, board.CLOCK_HZ, **built_in),
        module="sim.bench.board",
        name="board",
        env={"seed": seed},
        testcases=[testcase],
    )


def test_an_image_loaded_through_the_pins_runs():
    run_board("loads_and_runs")


def test_an_image_in_the_bitstream_runs_without_loading():
    image = board.packed()
    run_board("runs_what_it_was_built_with", contents=image.contents, image_id=image.id)


def test_an_empty_bitstream_holds_no_image():
    with pytest.raises(AssertionError, match="the device holds no image"):
        run_board("runs_what_it_was_built_with")


def test_a_bad_line_is_noticed_and_forgotten():
    run_board("recovers_from_a_bad_line", seed=1)
