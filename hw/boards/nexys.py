"""Digilent Nexys A7-100T, before called Nexys 4 DDR: Xilinx Artix-7, 100 MHz oscillator.

Its USB socket has the serial port, of an FT2232H; the red button resets the engine.
"""

from amaranth_boards.nexys4ddr import Nexys4DDRPlatform

from .arty import ARTY_A7_100T
from .board import Board
from .xc7 import Xc7Platform

__all__ = ["NEXYS_A7"]


class _NexysPlatform(Xc7Platform, Nexys4DDRPlatform):
    pass


NEXYS_A7 = Board(
    name="nexys_a7",
    title="Digilent Nexys A7-100T",
    part="xc7a100tcsg324-1",
    family="xc7",
    capacity=ARTY_A7_100T.capacity,
    preset="arty_a7_100t",
    clock_hz=ARTY_A7_100T.clock_hz,
    toolchains=("vivado", "xray", "yosys"),
    loader=("--board", "nexys_a7_100"),
    make_platform=_NexysPlatform,
)
