"""Lattice iCE40HX8K breakout board: 12 MHz oscillator, FT2232H as serial port, no button.

All numbers have 8 bits, accumulators 24: networks are to be compressed for that (`coding` in a
recipe: `activation_bits`, `weight_bits`, `accumulator_bits`).
"""

from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform

from .board import Board
from .ice40 import Ice40Memories, Ice40Platform

__all__ = ["ICE40_HX8K_B_EVN"]


class _Hx8kPlatform(Ice40Platform, ICE40HX8KBEVNPlatform):
    pass


ICE40_HX8K_B_EVN = Board(
    name="ice40_hx8k_b_evn",
    title="Lattice iCE40HX8K breakout",
    aliases=("hx8k",),
    part="iCE40HX8K-CT256",
    family="ice40hx",
    # Lattice FPGA-DS-02029.
    capacity={"lut": 7_680, "ff": 7_680, "ebr4": 32},
    preset="ice40hx8k",
    clock_hz=42_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "ice40_generic"),
    memories=Ice40Memories,
    make_platform=_Hx8kPlatform,
)
