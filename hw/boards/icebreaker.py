"""1BitSquared iCEBreaker: Lattice iCE40UP5K, 12 MHz oscillator, FT2232H as serial port.

Entries and column pointers are in the SPRAM, which holds nothing at power-up: a network must be
loaded by the host. The user button resets the engine; the heartbeat is the red LED.
"""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from ..regmap import Window
from .board import Board
from .ice40 import Ice40Memories, Ice40Platform

__all__ = ["ICEBREAKER", "IceBreakerMemories"]


class IceBreakerMemories(Ice40Memories):
    """To fit the engine into 5,280 logic cells."""

    in_spram = (Window.ENTRIES, Window.POINTERS)
    queues_in_block_ram = True
    small_checksum = True


class _IceBreakerPlatform(IceBreakerMemories, Ice40Platform, ICEBreakerPlatform):
    on_pll_pad = True
    button = ("button", 0)


ICEBREAKER = Board(
    name="icebreaker",
    title="1BitSquared iCEBreaker",
    part="iCE40UP5K-SG48I",
    family="ice40up",
    # Lattice FPGA-DS-02008.
    capacity={"lut": 5_280, "ff": 5_280, "ebr4": 30, "spram": 4, "dsp": 8},
    preset="ice40up5k",
    clock_hz=21_000_000,
    resident=False,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "ice40_generic"),
    memories=IceBreakerMemories,
    make_platform=_IceBreakerPlatform,
)
