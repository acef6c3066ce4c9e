"""What lies between an export's front ends and the engine."""

from amaranth.hdl import Cat, Const, Mux, Value

from .. import layouts
from ..regmap import AddressSpace

__all__ = ["engine_address"]


def engine_address(word: Value, space: AddressSpace) -> Value:
    """The engine's address of a word of `space`."""
    unit_end = space.offset_bits + space.unit_bits
    offset, unit, window = (
        word[: space.offset_bits],
        word[space.offset_bits : unit_end],
        word[unit_end : space.bits],
    )
    wide = layouts.address
    whole = Mux(unit.all(), Const(layouts.ALL_UNITS, wide["unit"].width), unit)
    return Cat(offset, Const(0, wide["offset"].width - space.offset_bits), whole, window)
