from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..regmap import Window

__all__ = ["PointerStage"]


class PointerStage(wiring.Component):
    """Looks up where a column's entries are: one token per cycle, one cycle of latency.

    A column that has no entry in this element goes no further, so it costs nothing in the queue,
    unless it carries the marker.

    Members
    -------
    load : In(LoadSignature())
    room : In(1)
        The queue can take what may be on its way and one more.
    i : In(stream.Signature(layouts.token))
        `ready` is `room`, one cycle late: the lanes agree on it without a long path.
    o : Out(stream.Signature(layouts.column, always_ready=True))
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.POINTERS, unit, layouts.pointer(config).size, config.column_depth, init=init
        )
        super().__init__(
            {
                "load": In(LoadSignature()),
                "room": In(1),
                "i": In(stream.Signature(layouts.token(config))),
                "o": Out(stream.Signature(layouts.column(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)

        token = Signal.like(self.i.payload)
        valid = Signal()
        pointer = layouts.pointer(self.config)(memory.item)
        empty = token.null | (pointer.count == 0)
        m.d.sync += [
            self.i.ready.eq(self.room),
            valid.eq(self.i.valid & self.i.ready),
            token.eq(self.i.payload),
        ]
        m.d.comb += [
            memory.index.eq(self.i.payload.column),
            self.o.valid.eq(valid & (~empty | token.last)),
            self.o.payload.pointer.start.eq(pointer.start),
            self.o.payload.pointer.count.eq(pointer.count),
            self.o.payload.activation.eq(token.activation),
            self.o.payload.last.eq(token.last),
        ]
        with m.If(token.null):
            m.d.comb += self.o.payload.pointer.count.eq(0)
        return m
