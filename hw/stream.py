"""What streams of any payload need."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .registers import data_register

__all__ = ["Skid"]


class Skid(wiring.Component):
    """Ends the path of `ready`: whether it takes a payload does not depend on who takes it next.

    No latency, one payload per cycle. What comes in when the way is barred is kept, one payload.

    Members
    -------
    i, o : In, Out(stream.Signature(shape))
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        kept, full = data_register(self.i.payload), Signal()
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(self.i.valid | full),
            self.o.payload.eq(Mux(full, kept, self.i.payload)),
        ]
        m.d.sync += full.eq(self.o.valid & ~self.o.ready)
        with m.If(~full):
            m.d.sync += kept.eq(self.i.payload)
        return m
