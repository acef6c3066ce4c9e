"""Registers and memory windows as data: gateware, driver, csr.csv and documents derive from it."""

import dataclasses
import enum

from amaranth.lib.data import StructLayout
from amaranth.utils import bits_for, ceil_log2

from . import layouts
from .config import AcceleratorConfig
from .register import Field, Register, places

__all__ = [
    "CONTROL",
    "COUNTERS",
    "COUNTER_DOCS",
    "CRC_WRITE",
    "ENGINE_SPACE",
    "MAGIC",
    "PLACE",
    "REGISTERS",
    "STATUS",
    "VERSION",
    "WINDOW_ACCESS",
    "WINDOW_UNITS",
    "AddressSpace",
    "Window",
    "window_items",
]

MAGIC = 0x54485253  # "THRS"
VERSION = 3


class Window(enum.IntEnum):
    """The memory windows: value of the `window` field of a bus address."""

    REGISTERS = 0
    PROGRAM = 1
    ENTRIES = 2
    POINTERS = 3
    CODEBOOK = 4
    BIAS = 5
    ACTIVATIONS = 6
    COUNTERS = 7
    SEGMENTS = 8


# What the units of a window are.
WINDOW_UNITS = {
    Window.REGISTERS: "0; see above",
    Window.PROGRAM: "0; an item is one instruction: a layer, or some of its rows",
    Window.ENTRIES: "processing element, group × lanes + lane",
    Window.POINTERS: "processing element; an item is one column",
    Window.CODEBOOK: "any: all processing elements take the same write",
    Window.BIAS: "lane",
    Window.ACTIVATIONS: (
        "group, or the greatest number to write to all of them; an item is an activation word; "
        "only while not busy"
    ),
    Window.COUNTERS: "layer",
    Window.SEGMENTS: "group; an item is a segment of a patch",
}
# What may be done with a window; the others are write only.
_WINDOW_ACCESS = {Window.REGISTERS: "rw", Window.ACTIVATIONS: "rw", Window.COUNTERS: "ro"}
WINDOW_ACCESS = {window: _WINDOW_ACCESS.get(window, "wo") for window in Window}


# In the CRC, a transfer is two words: its address, with this bit set if it is a write, and the word
# that was written or read. Low bytes come first, as zlib has it.
CRC_WRITE = 1 << 31


STATUS = Register(
    "status",
    "ro",
    "",
    fields=(
        Field("busy", 0, 1, "a run is under way, or the engine is being reset"),
        Field("layer", 8, 8, "the one that is being executed"),
        Field("commands", 16, 16, "starts and aborts so far, modulo 65,536"),
    ),
)
CONTROL = Register(
    "control",
    "rw",
    "reads 0",
    fields=(
        Field("start", 0, 1, "write 1 to begin a run (no effect while busy)", "wo"),
        Field("abort", 1, 1, "write 1 to end a run and reset the engine", "wo"),
    ),
)
# A write whose count of words is garbled runs on to the registers behind its own. Those that are
# written most come last, therefore, and before them those that do no harm.
REGISTERS = (
    Register("magic", "ro", "0x54485253: this is a Thresher accelerator"),
    Register("version", "ro", "version of this register map"),
    Register("config_digest", "ro", "AcceleratorConfig.digest that the gateware was built for"),
    STATUS,
    Register("cycles", "ro", "clock cycles of the last run, from start to the last word written"),
    Register("write_first", "rw", "writes to what is guarded below this word address are ignored"),
    Register("write_last", "rw", "writes to what is guarded above this word address are ignored"),
    Register(
        "image_id",
        "rw",
        "Image.id of what the memories hold; 0 when nothing is loaded",
        guarded=True,
    ),
    Register("vectors", "rw", "input vectors of a run, 1 or more", guarded=True),
    CONTROL,
    Register("scratch", "rw", "holds what was written; no other effect"),
    Register("crc", "rw", "CRC-32 of all transfers but its own; a write restarts it"),
)

PLACE = places(REGISTERS)

# What is counted while a layer runs, in the order of the window. `busy` and `stalled` are summed
# over the processing elements; in what remains of cycles × elements, an element was starved.
COUNTER_DOCS = {
    "cycles": "from the layer's start to the next one's; of the last, to the end of the run",
    "activations": "non-zero activations broadcast, summed over the groups",
    "blocked": "cycles in which a group had an activation but a full queue, summed over the groups",
    "busy": "entries issued, padding included",
    "stalled": "a column waits because both accumulator buffers wait for write-back",
}
COUNTERS = tuple(COUNTER_DOCS)


def window_items(window: Window, config: AcceleratorConfig) -> tuple[int, int, int]:
    """(units, items per unit, bits per item) of a memory window."""
    lanes, elements = config.lanes, config.elements

    def bits(layout: StructLayout) -> int:
        return int(layout.size)

    # One by one: the layout of an instruction takes long to make.
    match window:
        case Window.REGISTERS:
            return 1, len(REGISTERS), layouts.BUS_BITS
        case Window.PROGRAM:
            return 1, config.layer_depth, bits(layouts.instruction(config))
        case Window.ENTRIES:
            return elements, config.entry_depth, config.entry_bits
        case Window.POINTERS:
            return elements, config.column_depth, bits(layouts.pointer(config))
        case Window.CODEBOOK:
            return 1, config.codebook_depth, config.weight_bits
        case Window.BIAS:
            return lanes, config.bias_depth, config.accumulator_bits
        case Window.ACTIVATIONS:
            return config.groups, config.activation_depth, lanes * config.activation_bits
        case Window.SEGMENTS:
            return config.groups, config.segment_depth, bits(layouts.segment(config))
        case Window.COUNTERS:
            return config.layer_depth, len(COUNTERS), layouts.BUS_BITS


@dataclasses.dataclass(frozen=True)
class AddressSpace:
    """How many bits of a word address say which word of a memory, which unit, and which window.

    The engine's own, `ENGINE_SPACE`, has room for every configuration, and takes 4 GB for it. All
    ones in the field of the unit mean `hw.layouts.ALL_UNITS`.
    """

    offset_bits: int
    unit_bits: int
    window_bits: int

    @property
    def bits(self) -> int:
        """Bits of a word address."""
        return self.offset_bits + self.unit_bits + self.window_bits

    def word(self, window: int, unit: int = 0, offset: int = 0) -> int:
        """Word address of a word."""
        unit &= (1 << self.unit_bits) - 1
        return (((window << self.unit_bits) | unit) << self.offset_bits) | offset

    @classmethod
    def smallest(cls, config: AcceleratorConfig, offset_bits: int = 0) -> "AddressSpace":
        """The smallest with room for one configuration.

        Parameters
        ----------
        offset_bits : of the offset, at least
        """
        items = [window_items(window, config) for window in Window]
        most = max(depth * layouts.stride(width) for _, depth, width in items)
        # A unit more than there are, so that one means all of them.
        units = bits_for(max(units for units, _, _ in items))
        greatest = ENGINE_SPACE
        return cls(
            max(ceil_log2(most), offset_bits),
            min(units, greatest.unit_bits),
            greatest.window_bits,
        )


ENGINE_SPACE = AddressSpace(*(layouts.address[name].width for name in ("offset", "unit", "window")))
