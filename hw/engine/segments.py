from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..registers import data_register, port_register
from ..regmap import Window
from ..stream import Skid
from .positions import advance

__all__ = ["SegmentReader"]


class SegmentReader(wiring.Component):
    """Lays the segments of the patch at every position: one per cycle, two cycles of latency.

    Segments in the padding are left out, each for a cycle; the last of a patch comes in any case,
    empty if need be, since it carries the marker.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Begin with the layer given below, which stays until the last segment is taken.
    patch : In(layouts.patch)
    i : In(stream.Signature(layouts.position))
        The first one comes in the cycle after `start` or later.
    o : Out(stream.Signature(layouts.run))
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.SEGMENTS,
            unit,
            layouts.segment(config).size,
            config.segment_depth,
            init=init,
            distributed=True,  # a block RAM is far from the sums
        )
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "patch": In(layouts.patch(config)),
                "i": In(stream.Signature(layouts.position(config))),
                "o": Out(stream.Signature(layouts.run(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        m.submodules.skid = skid = Skid(self.o.payload.shape())
        connect(m, flipped(self.load), memory.load)
        connect(m, skid.o, flipped(self.o))

        segment = layouts.segment(self.config)(memory.item)
        position = data_register(self.i.payload)
        valid, last = Signal(), Signal()
        free, next_free, at_last = Signal(), Signal(), Signal()
        index = Signal.like(self.patch.segment_base)
        m.d.comb += [
            next_free.eq(~skid.i.valid | skid.i.ready),
            free.eq(~valid | next_free),
            self.i.ready.eq(free & at_last),
            memory.index.eq(index),
            memory.enable.eq(free),
        ]
        # Whether a segment is the last is known beforehand, since positions move by it.
        base, end = self.patch.segment_base, self.patch.segment_last
        with m.If(self.start | (self.i.valid & free & at_last)):
            m.d.sync += [index.eq(base), at_last.eq(base == end)]
        with m.Elif(self.i.valid & free):
            m.d.sync += [index.eq(index + 1), at_last.eq(index + 1 == end)]
        with m.If(free):
            m.d.sync += [
                valid.eq(self.i.valid),
                position.eq(self.i.payload),
                last.eq(at_last),
            ]
        self._place(m, segment, position, (valid, last), skid.i)
        return m

    def _place(self, m, segment, position, flags, to):
        """The segment of that position as a run of words; `flags`: whether it is, and the last."""
        (valid, last), lanes = flags, self.config.lanes
        run = port_register(m, to.payload)
        carry, word, first = advance(self.config, position, segment)
        final = Signal(range(2 * lanes))
        over, inside = Signal(), Signal()
        y, x = Signal.like(position.y), Signal.like(position.x)
        m.d.comb += [
            *carry,
            final.eq(first + segment.lanes),
            over.eq(final >= lanes),
            y.eq(position.y + segment.dy),
            x.eq(position.x + segment.dx),
            inside.eq(segment.used & (y < self.patch.height) & (x < self.patch.width)),
        ]
        with m.If(~to.valid | to.ready):
            m.d.sync += [
                to.valid.eq(valid & (inside | last)),
                run.word.eq(word),
                run.words.eq(segment.words + over),
                run.first.eq(first),
                run.final.eq(final - over * lanes),
                run.column.eq(segment.column - first),
                run.empty.eq(~inside),
                run.last.eq(last),
            ]
