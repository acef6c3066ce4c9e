"""Digilent Arty A7: Xilinx Artix-7, 100 MHz oscillator, FT2232H as serial port."""

from amaranth_boards.arty_a7 import ArtyA7_35Platform, ArtyA7_100Platform

from .board import Board
from .xc7 import Xc7Platform

__all__ = ["ARTY_A7_35T", "ARTY_A7_100T"]


class _Arty35Platform(Xc7Platform, ArtyA7_35Platform):
    pass


class _Arty100Platform(Xc7Platform, ArtyA7_100Platform):
    pass


ARTY_A7_35T = Board(
    name="arty_a7_35t",
    title="Digilent Arty A7-35T",
    aliases=("arty",),
    part="xc7a35ticsg324-1L",
    family="xc7",
    capacity={"lut": 20_800, "ff": 41_600, "bram36": 50, "dsp": 90},
    preset="arty_a7_35t",
    # Half of the oscillator, to be careful: Yosys counts but has no timing, and Vivado has not
    # routed this design yet.
    clock_hz=50_000_000,
    toolchains=("vivado", "xray", "yosys"),
    loader=("--board", "arty_a7_35t"),
    make_platform=_Arty35Platform,
)

ARTY_A7_100T = Board(
    name="arty_a7_100t",
    title="Digilent Arty A7-100T",
    part="xc7a100ticsg324-1L",
    family="xc7",
    capacity={"lut": 63_400, "ff": 126_800, "bram36": 135, "dsp": 240},
    preset="arty_a7_100t",
    clock_hz=ARTY_A7_35T.clock_hz,
    toolchains=("vivado", "xray", "yosys"),
    loader=("--board", "arty_a7_100t"),
    make_platform=_Arty100Platform,
)
