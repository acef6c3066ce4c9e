from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..registers import data_register

__all__ = ["PointerStage"]


class PointerStage(wiring.Component):
    """Looks up where a column's entries are: one token per cycle, three cycles of latency.

    A column that has no entry in this element goes no further, so it costs nothing in the queue,
    unless it carries the marker.

    Members
    -------
    column, pointer : Out, In
        Look-up in `Tables`.
    i : In(stream.Signature(layouts.token, always_ready=True))
    o : Out(stream.Signature(layouts.column, always_ready=True))
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "column": Out(bits_for(config.column_depth - 1)),
                "pointer": In(layouts.pointer(config)),
                "i": In(stream.Signature(layouts.token(config), always_ready=True)),
                "o": Out(stream.Signature(layouts.column(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        waiting, token, found = (data_register(self.i.payload) for _ in range(3))
        waiting_valid, valid, found_valid = Signal(), Signal(), Signal()
        pointer, column = data_register(self.pointer), self.o.payload
        m.d.comb += self.column.eq(self.i.payload.column)
        m.d.sync += [
            waiting.eq(self.i.payload),
            waiting_valid.eq(self.i.valid),
            token.eq(waiting),
            valid.eq(waiting_valid),
            # Another register, since the queue is not where the tables are; what is made of a
            # pointer is made behind it, for the way to it is long.
            found.eq(token),
            found_valid.eq(valid),
            pointer.eq(self.pointer),
        ]
        count = Mux(found.null, 0, pointer.count)
        m.d.comb += [
            column.pointer.start.eq(pointer.start),
            column.pointer.count.eq(count),
            column.activation.eq(found.activation),
            column.last.eq(found.last),
            self.o.valid.eq(found_valid & (count.any() | found.last)),
        ]
        return m
