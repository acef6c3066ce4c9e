"""The whole board, pins only: the real driver loads and runs it in simulation."""

import pytest
from dummy import BusDummy

from hw.config import PRESETS
from hw.regmap import MAGIC, VERSION
from hw.top import Accelerator
from sim import verilated
from sim.bench import board
from sim.bench.runner import run_bench
from sim.verilog import to_verilog
from sw import driver


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


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (0, "the device answers 0x00000000 where a Thresher accelerator has 0x54485253; is the r"),
        # Its words count up from the magic number, so the second is no version.
        (MAGIC, f"version {MAGIC + 1} of the register map, this driver {VERSION}; build"),
    ],
)
def test_another_design_is_no_accelerator(first, message):
    verilog = to_verilog(BusDummy(first), "bus_dummy")
    with (
        verilated.simulate(verilog, "bus_dummy") as transport,
        pytest.raises(driver.WrongGateware, match=message),
    ):
        driver.Accelerator(transport)
