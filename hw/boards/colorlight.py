"""Colorlight 5A-75B, revision 7.0: Lattice ECP5, 25 MHz oscillator, no USB.

A receiver card for LED walls. All pins of its sockets but two are outputs, behind buffers of 5 V;
the two are those of J19, for the key and the LED, and are its serial port here: RX is KEY+, TX is
DATA_LED- (3.3 V). That leaves no button to reset the engine. The lights are the first two pins of
J1, R0 and G0. Pins: amaranth-boards, and q3k's chubby75 (5a-75b/hardware_V7.0.md).

JTAG is on J27 (TCK), J31 (TMS), J32 (TDI), J30 (TDO); openFPGALoader is told of an FT232H there.
"""

from amaranth.build import Attrs
from amaranth_boards.colorlight_5a75b_r7_0 import Colorlight_5A75B_R70Platform
from amaranth_boards.resources import LEDResources

from .board import Board
from .ecp5 import ECP5_25F, Ecp5Platform

__all__ = ["COLORLIGHT_5A75B"]


class _ColorlightPlatform(Ecp5Platform, Colorlight_5A75B_R70Platform):
    resources = (
        *(r for r in Colorlight_5A75B_R70Platform.resources if r.name not in ("led", "button")),
        *LEDResources(pins="1 2", conn=("j", 1), attrs=Attrs(IO_TYPE="LVCMOS33")),
    )


COLORLIGHT_5A75B = Board(
    name="colorlight_5a75b",
    title="Colorlight 5A-75B 7.0",
    aliases=("colorlight",),
    part="LFE5U-25F-6BG256C",
    family="ecp5",
    capacity=ECP5_25F,
    preset="ecp5_25f",
    clock_hz=90_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--cable", "ft232"),
    make_platform=_ColorlightPlatform,
)
