"""Digilent Cmod A7-35T: Xilinx Artix-7, 12 MHz oscillator, FT2232H as serial port.

Button BTN0 resets the engine.
"""

from amaranth_boards.cmod_a7 import CmodA7_35Platform

from .arty import ARTY_A7_35T
from .board import Board
from .xc7 import Xc7Platform

__all__ = ["CMOD_A7_35T"]


class _CmodPlatform(Xc7Platform, CmodA7_35Platform):
    oscillator = "clk12"
    oscillator_hz = 12_000_000
    button = ("button", 0)
    # A PLL needs 19 MHz or more, an MMCM 10 MHz; the latter's oscillator must run at 600 to
    # 1,200 MHz in speed grade -1, and its factor is in eighths, up to 64 (Xilinx DS181, UG472).
    pll_hz = 750_000_000
    pll = ("MMCME2_BASE", "CLKFBOUT_MULT_F", "CLKOUT0_DIVIDE_F")


CMOD_A7_35T = Board(
    name="cmod_a7_35t",
    title="Digilent Cmod A7-35T",
    aliases=("cmod",),
    part="xc7a35tcpg236-1",
    family="xc7",
    capacity=ARTY_A7_35T.capacity,
    preset="arty_a7_35t",
    clock_hz=ARTY_A7_35T.clock_hz,
    toolchains=("vivado", "xray", "yosys"),
    loader=("--board", "cmoda7_35t"),
    make_platform=_CmodPlatform,
)
