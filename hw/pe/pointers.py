from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig

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
        waiting, token = Signal.like(self.i.payload), Signal.like(self.i.payload)
        waiting_valid, valid = Signal(), Signal()
        column = self.o.payload
        m.d.sync += [
            waiting.eq(self.i.payload),
            waiting_valid.eq(self.i.valid),
            token.eq(waiting),
            valid.eq(waiting_valid),
        ]
        # Another register, since the queue is not where the tables are.
        count = Mux(token.null, 0, self.pointer.count)
        m.d.comb += self.column.eq(self.i.payload.column)
        m.d.sync += [
            column.pointer.start.eq(self.pointer.start),
            column.pointer.count.eq(count),
            column.activation.eq(token.activation),
            column.last.eq(token.last),
            self.o.valid.eq(valid & (count.any() | token.last)),
        ]
        return m
