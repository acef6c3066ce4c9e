"""Every bit layout, once: the hardware uses them as shapes, the packer to place bits."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from .config import AcceleratorConfig

__all__ = [
    "BUS_ADDRESS_BITS",
    "BUS_BITS",
    "CODE_BITS_MAX",
    "GAP_BITS_MAX",
    "SHIFT_MAX",
    "activation_word",
    "address",
    "column",
    "encoded",
    "instruction",
    "operand",
    "pointer",
    "stride",
    "token",
]

BUS_BITS = 32
BUS_ADDRESS_BITS = 30  # words; UARTBone and LiteX use byte addresses of 32 bits

CODE_BITS_MAX = 8
GAP_BITS_MAX = 8
SHIFT_MAX = 31

# A word address on the internal bus: which memory window, which processing element, lane, group
# or layer in it, and which word of that memory.
address = data.StructLayout({"offset": 18, "unit": 8, "window": 4})


def stride(width: int) -> int:
    """Bus words from one memory item of `width` bits to the next: a power of two."""
    parts = -(-width // BUS_BITS)
    return 1 << (parts - 1).bit_length()


def pointer(config: AcceleratorConfig) -> data.StructLayout:
    """Where a column's entries lie in one processing element, and how many there are.

    A count needs no more than `accumulator_depth` since every entry moves on by a row or more.
    """
    return data.StructLayout(
        {
            "start": unsigned(bits_for(config.entry_depth - 1)),
            "count": unsigned(bits_for(config.accumulator_depth)),
        }
    )


def instruction(config: AcceleratorConfig) -> data.StructLayout:
    """One layer of the program.

    A vector of the layer is `in_words` activation words in each group from `in_base`, and gives
    `out_rows` rows per lane (a multiple of the groups), `out_rows / groups` words in each group
    from `out_base`. Further vectors follow without a gap. Entry `e` has its code in the low
    `code_bits` and its gap above. The outputs are `(sum + bias) >> shift`, saturated.
    """
    word = unsigned(bits_for(config.activation_depth - 1))
    return data.StructLayout(
        {
            "in_base": word,
            "in_words": unsigned(bits_for(config.activation_depth)),
            "out_base": word,
            "out_rows": unsigned(bits_for(config.accumulator_depth)),
            "column_base": unsigned(bits_for(config.column_depth - 1)),
            "bias_base": unsigned(bits_for(config.bias_depth - 1)),
            "codebook_base": unsigned(bits_for(config.codebook_depth - 1)),
            "code_bits": unsigned(bits_for(CODE_BITS_MAX)),
            "shift": unsigned(bits_for(SHIFT_MAX)),
            "relu": unsigned(1),
            "last": unsigned(1),
        }
    )


def activation_word(config: AcceleratorConfig) -> data.ArrayLayout:
    """One activation per lane."""
    return data.ArrayLayout(signed(config.activation_bits), config.lanes)


def token(config: AcceleratorConfig) -> data.StructLayout:
    """A non-zero activation on its way to every lane of a group.

    `column` is the place of its pointers. `last` marks the end of a vector. A vector that ends in
    zeros ends with a token that is `null`: only its marker counts.
    """
    return data.StructLayout(
        {
            "column": unsigned(bits_for(config.column_depth - 1)),
            "activation": signed(config.activation_bits),
            "null": unsigned(1),
            "last": unsigned(1),
        }
    )


def column(config: AcceleratorConfig) -> data.StructLayout:
    """One column's work for one processing element; `count` is 0 for a mere marker."""
    return data.StructLayout(
        {
            "pointer": pointer(config),
            "activation": signed(config.activation_bits),
            "last": unsigned(1),
        }
    )


def encoded(config: AcceleratorConfig) -> data.StructLayout:
    """An entry as stored, with what the fetch stage knows about it.

    `first` is set on the first entry of a column. With `null` there is no entry, only the marker.
    `buffer` is the accumulator buffer of the vector.
    """
    return data.StructLayout(
        {
            "entry": unsigned(config.entry_bits),
            "activation": signed(config.activation_bits),
            "first": unsigned(1),
            "null": unsigned(1),
            "last": unsigned(1),
            "buffer": unsigned(1),
        }
    )


def operand(config: AcceleratorConfig) -> data.StructLayout:
    """What one multiply-accumulate needs: ``accumulators[buffer][row] += weight * activation``."""
    return data.StructLayout(
        {
            "weight": signed(config.weight_bits),
            "activation": signed(config.activation_bits),
            "row": unsigned(bits_for(config.accumulator_depth - 1)),
            "null": unsigned(1),
            "last": unsigned(1),
            "buffer": unsigned(1),
        }
    )
