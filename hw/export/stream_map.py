"""Registers and tables of the streams, as data."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.lib.data import StructLayout
from amaranth.utils import bits_for, ceil_log2

from .. import layouts
from ..config import AcceleratorConfig, ConfigError
from ..register import Field, Register, as_data, places
from ..regmap import AddressSpace

__all__ = [
    "CONTROL",
    "PLACE",
    "REGISTERS",
    "STATUS",
    "WINDOW",
    "StreamSettings",
    "StreamShape",
    "Unit",
    "streams_markdown",
    "vector_cycles",
    "with_streams",
]

WINDOW = 15  # no window of the engine


class Unit(enum.IntEnum):
    """The units of the window."""

    REGISTERS = 0
    INPUTS = 1
    OUTPUTS = 2


CONTROL = Register(
    "stream_control",
    "rw",
    "while enable is 1, stream_status alone is written",
    fields=(Field("enable", 0, 1, "vectors are taken"),),
)
STATUS = Register(
    "stream_status",
    "rw",
    "",
    fields=(
        Field("early", 0, 1, "a TLAST came early", "w1c"),
        Field("missing", 1, 1, "a TLAST was missing", "w1c"),
        Field("unfit", 2, 1, "no vector is taken, for a size is 0 or there is no room", "ro"),
        Field("busy", 8, 1, "a vector is under way", "ro"),
    ),
)
REGISTERS = (
    CONTROL,
    STATUS,
    Register("stream_items", "ro", "activations that a vector may have"),
    Register("stream_room", "ro", "bus words that an input vector may have"),
    Register("stream_inputs", "rw", "activations of an input vector"),
    Register("stream_outputs", "rw", "activations of an output vector"),
    Register("stream_first", "rw", "offset in words of the input in a group's activations"),
    Register("stream_words", "rw", "bus words of the input in a group's activations"),
    Register(
        "stream_groups", "rw", "groups over which the input is spread; 0: each holds all of it"
    ),
)
PLACE = places(REGISTERS)
_TABLES = {
    Unit.INPUTS: (
        "stream_inputs_at",
        "0; an item says where an activation of the input belongs: place in its bus word, and "
        "above it word of the input, group after group",
    ),
    Unit.OUTPUTS: (
        "stream_outputs_at",
        "0; an item says where an activation of the output is: place in its bus word, offset of "
        "that, group",
    ),
}


# Cycles of the streams: of a bus word written, an activation read and sent, a run without the run
# itself; of a vector that comes in, beyond one for each activation.
_WORD, _OUTPUT, _COMPUTE, _RECEIVE = 5, 9, 14, 15


@dataclasses.dataclass(frozen=True)
class StreamShape:
    """How much the streams have room for.

    Parameters
    ----------
    config : AcceleratorConfig
    items : int
        Activations that a vector may have, of the input and of the output.
    room : int
        Bus words that an input vector may have in the activation memories, gaps among them.

    Raises
    ------
    ConfigError
        If an activation may lie across two bus words.
    """

    config: AcceleratorConfig
    items: int
    room: int

    def __post_init__(self) -> None:
        bits = self.config.activation_bits
        if layouts.BUS_BITS % bits:
            raise ConfigError(
                f"activation_bits is {bits}; streams need 4, 8 or 16, so that no activation lies "
                "across two words of the bus"
            )

    @classmethod
    def of_vectors(cls, config: AcceleratorConfig, items: int) -> "StreamShape":
        """With room for vectors of as many activations, spread over all groups."""
        words = -(-items // config.elements) * config.groups
        return cls(config, items, words * layouts.stride(config.lanes * config.activation_bits))

    @property
    def per_word(self) -> int:
        """Activations of a bus word, if there are as many lanes."""
        return layouts.BUS_BITS // self.config.activation_bits

    @property
    def input_place(self) -> StructLayout:
        """An item of the inputs' table."""
        return StructLayout({"lane": ceil_log2(self.per_word), "word": bits_for(self.room - 1)})

    @property
    def output_place(self) -> StructLayout:
        """An item of the outputs' table."""
        config = self.config
        words = config.activation_depth * layouts.stride(config.lanes * config.activation_bits)
        return StructLayout(
            {
                "lane": ceil_log2(self.per_word),
                "offset": ceil_log2(words),
                "group": ceil_log2(config.groups),
            }
        )


@dataclasses.dataclass(frozen=True)
class StreamSettings:
    """What the registers and tables hold at power-up; without values, no vector is taken.

    Parameters
    ----------
    registers : name -> value
    inputs_at, outputs_at : items of the tables
    """

    registers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    inputs_at: Sequence[int] = ()
    outputs_at: Sequence[int] = ()


def with_streams(
    regmap: Mapping[str, Any], space: AddressSpace, shape: StreamShape
) -> dict[str, Any]:
    """What `hw.csr.regmap` returns, and the registers and tables of the streams."""
    word_bytes = layouts.BUS_BITS // 8
    registers = as_data(
        REGISTERS,
        (space.word(WINDOW, Unit.REGISTERS, place) * word_bytes for place in PLACE.values()),
    )
    bits = {Unit.INPUTS: shape.input_place.size, Unit.OUTPUTS: shape.output_place.size}
    tables = [
        {
            "name": name,
            "address": space.word(WINDOW, unit) * word_bytes,
            "units": 1,
            "unit_bytes": word_bytes << space.offset_bits,
            "items": shape.items,
            "item_bits": bits[unit],
            "item_bytes": word_bytes,
            "access": "wo",
            "doc": doc,
        }
        for unit, (name, doc) in _TABLES.items()
    ]
    return {
        **regmap,
        "registers": [*regmap["registers"], *registers],
        "windows": [*regmap["windows"], *tables],
    }


def vector_cycles(registers: Mapping[str, int], run: int) -> int:
    """Cycles from one output vector to the next, if neither side of the streams stalls.

    A vector is written into the engine; then that runs and its outputs are sent, while the next
    vector comes in.

    Parameters
    ----------
    registers : name -> value
        Those of `StreamSettings`.
    run : int
        Cycles of the engine for one vector.
    """
    words = registers["stream_words"] * max(1, registers["stream_groups"])
    compute = run + _OUTPUT * registers["stream_outputs"] + _COMPUTE
    return _WORD * words + max(compute, registers["stream_inputs"] + _RECEIVE)


def streams_markdown() -> str:
    """The registers and tables as docs/integration.md shows them."""
    rows = ["| register | access | what |", "|---|---|---|"]
    rows += [f"| {register.name} | {register.access} | {register.doc} |" for register in REGISTERS]
    rows += [f"| {name}[] | wo | {doc.partition('; ')[2]} |" for name, doc in _TABLES.values()]
    return "\n".join(rows) + "\n"
