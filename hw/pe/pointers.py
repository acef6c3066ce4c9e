from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..regmap import Window

__all__ = ["PointerStage"]


class PointerStage(wiring.Component):
    """Looks up where a column's entries are: one token per cycle, two cycles of latency.

    A column that has no entry in this element goes no further, so it costs nothing in the queue,
    unless it carries the marker.

    Members
    -------
    load : In(LoadSignature())
    i : In(stream.Signature(layouts.token, always_ready=True))
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
                "i": In(stream.Signature(layouts.token(config), always_ready=True)),
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
        column = self.o.payload
        m.d.comb += memory.index.eq(self.i.payload.column)
        m.d.sync += [
            valid.eq(self.i.valid),
            token.eq(self.i.payload),
            self.o.valid.eq(valid & ((~token.null & (pointer.count != 0)) | token.last)),
            column.pointer.start.eq(pointer.start),
            column.pointer.count.eq(Mux(token.null, 0, pointer.count)),
            column.activation.eq(token.activation),
            column.last.eq(token.last),
        ]
        return m
