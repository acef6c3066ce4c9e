from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadSignature
from ..regmap import Window
from .accumulate import DrainSignature, MultiplyAccumulate
from .decoder import EntryDecoder
from .fetch import EntryFetch
from .pointers import PointerStage
from .queue import ColumnQueue
from .tables import Tables

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """Pointers, queue, fetch, decode, multiply-accumulate: one entry per cycle.

    Parameters
    ----------
    unit : int
        Its number: group * lanes + lane.
    contents : window -> per unit, items of 32-bit parts
        Initial contents of the memories (see `sw.image.Image.contents`).

    Members
    -------
    load : In(LoadSignature())
    code_bits, code_mask, codebook_base, joined : In
        Of the layer's instruction, see `EntryDecoder` and `EntryFetch`; they change only while the
        element is idle.
    i : In(stream.Signature(layouts.token, always_ready=True))
        Lost if the queue is full: the sender heeds `room`.
    room : Out(1)
        See `ColumnQueue`.
    drain : In(DrainSignature(config))
    total, full, busy, stalled : Out
        See `MultiplyAccumulate` and `EntryFetch`.
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, contents=None):
        self.config = config
        self.unit = unit
        contents = contents or {}

        def init(window, place):
            return contents[window][place] if window in contents else None

        self.tables = Tables(
            config,
            unit,
            pointers=init(Window.POINTERS, unit),
            codebook=init(Window.CODEBOOK, 0),
        )
        self.pointers = PointerStage(config)
        self.queue = ColumnQueue(config)
        self.fetch = EntryFetch(config, unit, init=init(Window.ENTRIES, unit))
        self.decoder = EntryDecoder(config)
        self.accumulate = MultiplyAccumulate(config)
        instruction = layouts.instruction(config)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "code_bits": In(instruction["code_bits"].shape),
                "code_mask": In(layouts.CODE_BITS_MAX),
                "codebook_base": In(instruction["codebook_base"].shape),
                "joined": In(1),
                "i": In(stream.Signature(layouts.token(config), always_ready=True)),
                "room": Out(1),
                "drain": In(DrainSignature(config)),
                "total": Out(self.accumulate.total.shape()),
                "full": Out(2),
                "busy": Out(1),
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.tables = tables = self.tables
        m.submodules.pointers = pointers = self.pointers
        m.submodules.queue = queue = self.queue
        m.submodules.fetch = fetch = self.fetch
        m.submodules.decoder = decoder = self.decoder
        m.submodules.accumulate = accumulate = self.accumulate

        for loaded in (tables, fetch):
            connect(m, flipped(self.load), loaded.load)
        connect(m, flipped(self.i), pointers.i)
        connect(m, pointers.o, queue.i)
        connect(m, queue.o, fetch.i)
        connect(m, fetch.o, decoder.i)
        connect(m, decoder.o, accumulate.i)
        connect(m, flipped(self.drain), accumulate.drain)
        m.d.comb += [
            tables.column.eq(pointers.column),
            pointers.pointer.eq(tables.pointer),
            tables.code.eq(decoder.code),
            decoder.stored.eq(tables.weight),
            self.room.eq(queue.room),
            fetch.joined.eq(self.joined),
            fetch.release.eq(self.drain.release),
            accumulate.joined.eq(self.joined),
            decoder.code_bits.eq(self.code_bits),
            decoder.code_mask.eq(self.code_mask),
            decoder.codebook_base.eq(self.codebook_base),
            self.total.eq(accumulate.total),
            self.full.eq(accumulate.full),
            self.busy.eq(fetch.busy),
            self.stalled.eq(fetch.stalled),
        ]
        return m
