"""What lies between an export's front ends and the engine."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..regmap import AddressSpace

__all__ = ["Arbiter", "Splitter", "engine_address"]


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


class Splitter(wiring.Component):
    """Passes transfers on to one of two targets, by their window, without a cycle's delay.

    Parameters
    ----------
    window : int
        That of the target `special`; all others are of `other`.

    Members
    -------
    i : In(BusSignature())
    special, other : Out(BusSignature())
    """

    def __init__(self, window: int):
        self.window = window
        super().__init__(
            {
                "i": In(BusSignature()),
                "special": Out(BusSignature()),
                "other": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        chosen = self.i.address.window == self.window
        for target, its in ((self.special, chosen), (self.other, ~chosen)):
            _forward(m, self.i, target)
            m.d.comb += target.request.eq(self.i.request & its)
        m.d.comb += [
            self.i.acknowledge.eq(self.special.acknowledge | self.other.acknowledge),
            self.i.r_data.eq(Mux(chosen, self.special.r_data, self.other.r_data)),
        ]
        return m


class Arbiter(wiring.Component):
    """Lets two initiators use one target, transfer by transfer, without a cycle's delay.

    Where both want it, the one goes first that was not served last.

    Members
    -------
    first, second : In(BusSignature())
    o : Out(BusSignature())
    """

    def __init__(self):
        super().__init__(
            {
                "first": In(BusSignature()),
                "second": In(BusSignature()),
                "o": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        held, served, chosen = Signal(), Signal(), Signal()
        both = self.first.request & self.second.request
        m.d.comb += chosen.eq(Mux(held, served, Mux(both, ~served, self.second.request)))
        with m.If(self.o.request):
            m.d.sync += served.eq(chosen)
        m.d.sync += held.eq(self.o.request & ~self.o.acknowledge)
        with m.If(chosen):
            _forward(m, self.second, self.o)
        with m.Else():
            _forward(m, self.first, self.o)
        for number, initiator in enumerate((self.first, self.second)):
            m.d.comb += [
                initiator.acknowledge.eq(self.o.acknowledge & (chosen == number)),
                initiator.r_data.eq(self.o.r_data),
            ]
        return m


def _forward(m, initiator, target):
    m.d.comb += [
        target.request.eq(initiator.request),
        target.write.eq(initiator.write),
        target.address.eq(initiator.address),
        target.w_data.eq(initiator.w_data),
    ]
