"""Sipeed Tang Nano 9K: Gowin GW1NR-9C, 27 MHz oscillator, BL702 as serial port.

Button S2 resets the engine.
"""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from .board import Board
from .gowin import GowinMemories, GowinPlatform

__all__ = ["TANG_NANO_9K"]


class _TangNanoPlatform(GowinPlatform, TangNano9kPlatform):
    oscillator = "clk27"
    oscillator_hz = 27_000_000
    button = ("button", 0)


TANG_NANO_9K = Board(
    name="tang_nano_9k",
    title="Sipeed Tang Nano 9K",
    aliases=("tang",),
    part="GW1NR-LV9QN88PC6/I5",
    family="gw1n",
    # Gowin DS117.
    capacity={"lut": 8_640, "ff": 6_480, "bsram": 26, "dsp": 20},
    preset="gw1nr_9",
    clock_hz=72_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "tangnano9k"),
    memories=GowinMemories,
    make_platform=_TangNanoPlatform,
)
