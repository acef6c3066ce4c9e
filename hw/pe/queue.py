from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["ColumnQueue"]


class ColumnQueue(wiring.Component):
    """Columns waiting for the fetch stage: one in and one out per cycle, one cycle of latency.

    Members
    -------
    i : In(stream.Signature(layouts.column, always_ready=True))
        Lost if the queue is full: the sender heeds `room`.
    o : Out(stream.Signature(layouts.column))
    room : Out(1)
        At least `IN_FLIGHT` places are free.
    """

    # Columns that may still arrive when `room` goes: it reaches the feeder one cycle late, and so
    # one is on its way to the pointer stage, one on its way into the queue and three in between.
    IN_FLIGHT = 5

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(layouts.column(config), always_ready=True)),
                "o": Out(stream.Signature(layouts.column(config))),
                "room": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = layouts.column(self.config).size
        m.submodules.fifo = fifo = SyncFIFO(width=width, depth=self.config.queue_depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.room.eq(fifo.level <= self.config.queue_depth - self.IN_FLIGHT),
        ]
        return m
