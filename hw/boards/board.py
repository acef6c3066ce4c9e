"""What a build has to know about a board: plain data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from amaranth.build import Platform

from ..config import ConfigError

__all__ = ["RESOURCES", "Board", "BoardError", "Memories"]

# What FPGAs have, by the names that `Board.capacity` and counts of designs use, and how it is
# written for people. Block RAMs: bram36 is Xilinx' (36 kbit), ebr the ECP5's (18 kbit), ebr4 and
# spram the iCE40's (4 and 256 kbit), bsram Gowin's (18 kbit). Multipliers (dsp) are of 16 × 16 bits
# or more. A lut of the iCE40 is a logic cell: a LUT, a carry and a flip-flop, each used or not.
RESOURCES = {
    "lut": "LUT",
    "ff": "FF",
    "bram36": "BRAM36",
    "ebr": "EBR",
    "ebr4": "EBR of 4 kbit",
    "spram": "SPRAM",
    "bsram": "BSRAM",
    "dsp": "DSP",
}


class BoardError(ConfigError):
    """There is no such board, or it cannot do what is asked of it."""


class Memories:
    """What an engine asks its platform for beside pins and clocks: memories in another form.

    Every member is optional, as is the platform; without it, all is as it is on most FPGAs.

    Attributes
    ----------
    narrow_memories : bool
        Memories of few wide items are made of narrow ones: see `hw.engine.sequencer` and
        `hw.engine.counters`.
    queues_in_block_ram : bool
        See `hw.pe.queue.BlockQueue`.
    small_checksum : bool
        See `hw.engine.transfer_crc`.
    get_loaded_memory : LoadedMemory -> Elaboratable or None
        See `hw.memory.LoadedMemory`.
    """


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board, with the FPGA on it.

    Parameters
    ----------
    name, title : str
        The name on the command line, and the one that people know it by.
    aliases : tuple of str
        Other names that find it.
    part, family : str
        The FPGA as its vendor writes it, and a key of `hw.toolchains.yosys.FAMILIES`.
    capacity : resource -> number
        What the part has, by the names of `RESOURCES`.
    preset : str
        Its entry in `hw.config.PRESETS`.
    clock_hz : int
        Clock of the engine. The one place where it is said: the platform makes it from the
        oscillator, the UART divides it, and builds are held to it.
    baud : int
        Of the UART.
    toolchains : tuple of str
        Names in `hw.toolchains`; the first that is installed is the one that "auto" takes. Behind
        Yosys, which always is, are those that must be asked for.
    resident : bool
        Whether all memories can hold a network at power-up.
    loader : tuple of str
        openFPGALoader's arguments that name the board, or the cable to it.
    memories : subclass of Memories
        Its platform is one, too.
    make_platform : clock_hz -> Platform
        Pins, constraints and the clock of the board; raises `BoardError` for a clock that it
        cannot make.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
    part: str
    family: str
    capacity: Mapping[str, int]
    preset: str
    clock_hz: int
    baud: int = 1_000_000
    toolchains: tuple[str, ...]
    resident: bool = True
    loader: tuple[str, ...]
    memories: type[Memories] = Memories
    make_platform: Callable[[int], Platform] = field(repr=False)

    @property
    def other_memories(self) -> bool:
        """Whether its engine's memories are in another form than on most FPGAs."""
        return self.memories is not Memories

    @property
    def divisor(self) -> int:
        """Clock cycles of one bit on the UART."""
        return round(self.clock_hz / self.baud)

    def platform(self) -> Platform:
        """A new Amaranth platform; each can be built once."""
        return self.make_platform(self.clock_hz)
