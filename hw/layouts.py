"""Every bit layout, once: the hardware uses them as shapes, the packer to place bits."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from .config import AcceleratorConfig

__all__ = [
    "ALL_UNITS",
    "BUS_ADDRESS_BITS",
    "BUS_BITS",
    "CODE_BITS_MAX",
    "COORDINATE_BITS",
    "GAP_BITS_MAX",
    "OFFSET_BITS",
    "SHIFT_MAX",
    "WALK_LEVELS",
    "WINDOW_BITS",
    "activation_word",
    "address",
    "column",
    "decode",
    "encode",
    "encoded",
    "instruction",
    "operand",
    "patch",
    "pointer",
    "position",
    "row",
    "run",
    "segment",
    "store",
    "stride",
    "token",
    "walk",
]

BUS_BITS = 32
BUS_ADDRESS_BITS = 30  # words; UARTBone and LiteX use byte addresses of 32 bits

CODE_BITS_MAX = 8
GAP_BITS_MAX = 8
SHIFT_MAX = 31
COORDINATE_BITS = 9  # of a place on a plane
OFFSET_BITS = 6  # of a place in a patch
WINDOW_BITS = 8  # of the positions of a pooling window
WALK_LEVELS = ("window_x", "window_y", "x", "y", "vector")
ALL_UNITS = 255  # unit of a bus address that means every activation memory at once

# A word address on the internal bus: which memory window, which processing element, lane, group
# or layer in it, and which word of that memory.
address = data.StructLayout({"offset": 18, "unit": 8, "window": 4})


def encode(layout: data.Layout, values) -> int:
    """Bits of nested fields: what names, or places in an array, are to be in a layout.

    Raises
    ------
    OverflowError
        If a number does not fit in its field.
    """
    bits = 0
    for name, field in layout:
        shape, value = field.shape, values[name]
        if isinstance(shape, data.Layout):
            value = encode(shape, value)
        elif not 0 <= value < 1 << field.width:
            raise OverflowError(f"{name} is {value}, which does not fit in {field.width} bits")
        bits |= int(value) << field.offset
    return bits


def decode(layout: data.Layout, bits: int) -> dict:
    """Fields of these bits, nested as the layout is."""
    values = {}
    for name, field in layout:
        value = (bits >> field.offset) & ((1 << field.width) - 1)
        nested = isinstance(field.shape, data.Layout)
        values[name] = decode(field.shape, value) if nested else value
    return values


def stride(width: int) -> int:
    """Bus words from one memory item of `width` bits to the next: a power of two."""
    parts = -(-width // BUS_BITS)
    return 1 << (parts - 1).bit_length()


def pointer(config: AcceleratorConfig) -> data.StructLayout:
    """Where a column's entries lie in one processing element, and how many there are.

    Every entry moves on by a row or more, so a column has as many entries as rows at most. That all
    accumulators of both buffers have one cannot be said: the packer then computes fewer rows at
    once.
    """
    return data.StructLayout(
        {
            "start": unsigned(bits_for(config.entry_depth - 1)),
            "count": row(config),
        }
    )


def row(config: AcceleratorConfig) -> unsigned:
    """Row of an element, in both buffers if they are joined; its high bit is then the buffer."""
    return unsigned(bits_for(config.accumulator_depth - 1) + 1)


def _word(config: AcceleratorConfig) -> unsigned:
    """Address of an activation word; sums wrap around."""
    return unsigned(bits_for(config.activation_depth - 1))


def _lane(config: AcceleratorConfig) -> unsigned:
    return unsigned(bits_for(config.lanes - 1))


def position(config: AcceleratorConfig) -> data.StructLayout:
    """Where a patch begins: the place of its first activation in memory and on the padded plane.

    `y` and `x` are those of the plane without its padding, modulo 2**COORDINATE_BITS: in the
    padding above and to the left they are negative. A step from one position to another has the
    same layout; a `lane` beyond the last is one of the next word.
    """
    coordinate = unsigned(COORDINATE_BITS)
    return data.StructLayout(
        {"word": _word(config), "lane": _lane(config), "y": coordinate, "x": coordinate}
    )


def walk(config: AcceleratorConfig) -> data.StructLayout:
    """The positions of a layer: five nested loops, `WALK_LEVELS`, the innermost first.

    `repeats` are how often each loop but that over the vectors starts again after its first time.
    `steps` are those from a position to the next where the level goes on and all below start again.
    """
    levels = len(WALK_LEVELS)
    return data.StructLayout(
        {
            "start": position(config),
            "repeats": data.ArrayLayout(unsigned(COORDINATE_BITS), levels - 1),
            "steps": data.ArrayLayout(position(config), levels),
        }
    )


def patch(config: AcceleratorConfig) -> data.StructLayout:
    """What the feeders need of a layer: its positions, and the segments of each patch.

    A patch is the segments from `segment_base` to `segment_last` of each group's table. What lies
    outside of `height` × `width` is padding; with that, a side has 2**COORDINATE_BITS at most.
    """
    segment = unsigned(bits_for(config.segment_depth - 1))
    return data.StructLayout(
        {
            "walk": walk(config),
            "segment_base": segment,
            "segment_last": segment,
            "height": unsigned(COORDINATE_BITS),
            "width": unsigned(COORDINATE_BITS),
        }
    )


def segment(config: AcceleratorConfig) -> data.StructLayout:
    """Consecutive activations of a patch, whose columns are consecutive too.

    It begins `word`, `lane` after the position, at (`dy`, `dx`) from it on the plane; if that is
    padding, the whole segment is. Its last activation is `words`, `lanes` after its first. `column`
    is the place of the pointers of its first activation. One that is not `used` fills a table up.
    """
    return data.StructLayout(
        {
            "used": unsigned(1),
            "dy": unsigned(OFFSET_BITS),
            "dx": unsigned(OFFSET_BITS),
            "word": _word(config),
            "lane": _lane(config),
            "words": _word(config),
            "lanes": _lane(config),
            "column": unsigned(bits_for(config.column_depth - 1)),
        }
    )


def run(config: AcceleratorConfig) -> data.StructLayout:
    """A segment at a position: `words` + 1 words from `word` on.

    Of the first word lanes from `first` on belong to it, of the last those up to `final`; lane 0 of
    the first word would have `column` (modulo its width). An `empty` one is one word,
    which is not looked at. `last` marks the last of a patch.
    """
    return data.StructLayout(
        {
            "word": _word(config),
            "words": _word(config),
            "first": _lane(config),
            "final": _lane(config),
            "column": unsigned(bits_for(config.column_depth - 1)),
            "empty": unsigned(1),
            "last": unsigned(1),
        }
    )


def store(config: AcceleratorConfig) -> data.StructLayout:
    """What write-back needs of a layer.

    A position gives `rows` rows per lane (a multiple of the groups), `rows / groups` words in each
    group. If they are `joined`, both accumulator buffers are one with twice the rows, and the next
    position has to wait for this one to be drained; nothing is pooled then. `window` + 1 positions
    make an output pixel, and `pixels` + 1 pixels a vector. Pixels follow each other from `base` on
    with `gap` words between them. An output is ``(total + bias) >> shift``, saturated, where the
    total is the sum of the groups' accumulators, or with `across` their maximum. The outputs of a
    window are reduced to their maximum or, with `average`, to ``(sum + half) >> average_shift``.
    """
    return data.StructLayout(
        {
            "base": _word(config),
            "rows": unsigned(bits_for(2 * config.accumulator_depth)),
            "joined": unsigned(1),
            "gap": _word(config),
            "window": unsigned(WINDOW_BITS),
            "pixels": unsigned(2 * COORDINATE_BITS),
            "bias_base": unsigned(bits_for(config.bias_depth - 1)),
            "shift": unsigned(bits_for(SHIFT_MAX)),
            "relu": unsigned(1),
            "across": unsigned(1),
            "average": unsigned(1),
            "average_shift": unsigned(bits_for(WINDOW_BITS)),
        }
    )


def instruction(config: AcceleratorConfig) -> data.StructLayout:
    """One instruction of the program: a layer, or some of its rows.

    Entry `e` has its code in the low `code_bits` and its gap above; `codebook_base` has 0 in the
    bits of a code.
    """
    return data.StructLayout(
        {
            "patch": patch(config),
            "store": store(config),
            "codebook_base": unsigned(bits_for(config.codebook_depth - 1)),
            "code_bits": unsigned(bits_for(CODE_BITS_MAX)),
            "last": unsigned(1),
        }
    )


def activation_word(config: AcceleratorConfig) -> data.ArrayLayout:
    """One activation per lane."""
    return data.ArrayLayout(signed(config.activation_bits), config.lanes)


def token(config: AcceleratorConfig) -> data.StructLayout:
    """A non-zero activation on its way to every lane of a group.

    `column` is the place of its pointers. `last` marks the end of a patch. A patch whose last word
    has no non-zero ends with a token that is `null`: only its marker counts.
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
            "row": row(config),
            "null": unsigned(1),
            "last": unsigned(1),
            "buffer": unsigned(1),
        }
    )
