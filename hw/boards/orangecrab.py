"""OrangeCrab r0.2 with a 25F: Lattice ECP5, 48 MHz oscillator.

Its USB goes to the FPGA itself, where a bootloader takes bitstreams; so the serial port is on the
Feather's pins, RX on pin 0 and TX on pin 1, for an adapter of 3.3 V. The lights are the green and
the blue of the RGB LED; the button resets the engine, and held at power-up it starts the
bootloader. Pins: amaranth-boards, and the Feather's own specification for RX and TX.
"""

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import LEDResources, UARTResource

from .board import Board
from .ecp5 import ECP5_25F, Ecp5Platform

__all__ = ["ORANGECRAB"]


class _OrangeCrabPlatform(Ecp5Platform, OrangeCrabR0_2_25FPlatform):
    oscillator = "clk"
    oscillator_hz = 48_000_000
    button = ("button", 0)
    resources = (
        *(r for r in OrangeCrabR0_2_25FPlatform.resources if r.name != "rgb_led"),
        *LEDResources(pins="M3 J3", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
    )

    @property
    def command_templates(self):
        # Without dfu-suffix, which openFPGALoader does not need.
        return [c for c in super().command_templates if "dfu-suffix" not in c]

    @property
    def required_tools(self):
        return [tool for tool in super().required_tools if tool != "dfu-suffix"]


ORANGECRAB = Board(
    name="orangecrab",
    title="OrangeCrab r0.2 25F",
    part="LFE5U-25F-8MG285C",
    family="ecp5",
    capacity=ECP5_25F,
    preset="ecp5_25f",
    clock_hz=96_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "orangeCrab"),
    make_platform=_OrangeCrabPlatform,
)
