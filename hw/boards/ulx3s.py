"""Radiona ULX3S: Lattice ECP5, 25 MHz oscillator, FT231X as serial port.

Button FIRE1 resets the engine.
"""

from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

from .board import Board
from .ecp5 import ECP5_25F, ECP5_85F, Ecp5Platform

__all__ = ["ULX3S_25F", "ULX3S_85F"]


class _Ulx3sPlatform(Ecp5Platform):
    button = ("button_fire", 0)


class _Ulx3s25Platform(_Ulx3sPlatform, ULX3S_25F_Platform):
    pass


class _Ulx3s85Platform(_Ulx3sPlatform, ULX3S_85F_Platform):
    pass


ULX3S_25F = Board(
    name="ulx3s_25f",
    title="Radiona ULX3S 25F",
    part="LFE5U-25F-6BG381C",
    family="ecp5",
    capacity=ECP5_25F,
    preset="ecp5_25f",
    clock_hz=90_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "ulx3s"),
    make_platform=_Ulx3s25Platform,
)

ULX3S_85F = Board(
    name="ulx3s_85f",
    title="Radiona ULX3S 85F",
    aliases=("ulx3s",),
    part="LFE5U-85F-6BG381C",
    family="ecp5",
    capacity=ECP5_85F,
    preset="ulx3s_85f",
    clock_hz=90_000_000,
    toolchains=("nextpnr", "yosys"),
    loader=("--board", "ulx3s"),
    make_platform=_Ulx3s85Platform,
)
