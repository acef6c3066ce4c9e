from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadSignature
from ..registers import data_register, port_register
from ..stream import Skid
from .positions import PositionWalker
from .segments import SegmentReader

__all__ = ["Feeder"]


def _without_lowest(bits):
    """The bits but the lowest one that is set."""
    return bits & (bits - 1)[: len(bits)]


class Feeder(wiring.Component):
    """Walks the patches of one group and broadcasts their non-zeros with their columns.

    One non-zero per cycle; a word of zeros passes in one cycle, and so does a segment in the
    padding, at most; either may pass while non-zeros before it are sent. The last token of every
    patch carries the marker; if the patch's last word has no non-zero, or is padding, that token is
    null. If the first word has one, its token comes nine cycles after `start`.

    Parameters
    ----------
    unit : int
        Its group.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Begin with the layer given below: since a cycle before, vectors since two cycles before, and
        until the last token is taken; two cycles after that or later.
    patch : In(layouts.patch)
        Of the layer's instruction.
    vectors : In(16)
        Vectors to feed, 1 or more.
    behind : In(1)
        The layer before is still being stored: only words before `stored` may be read.
    stored : In
        Word that is stored next; it may lag, not lead.
    word_index : Out
    word_enable : Out(1)
        Word to read, and whether.
    word_take : Out(1)
        `word` becomes the one that was read last. An idle feeder reads and takes in every cycle.
    word : In(layouts.activation_word)
    o : Out(stream.Signature(layouts.token))
    """

    def __init__(self, config: AcceleratorConfig, unit: int = 0, *, init=None):
        self.config = config
        self.positions = PositionWalker(config)
        self.segments = SegmentReader(config, unit, init=init)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "patch": In(layouts.patch(config)),
                "vectors": In(16),
                "behind": In(1),
                "stored": In(layouts.run(config)["word"].shape),
                "word_index": Out(layouts.run(config)["word"].shape),
                "word_enable": Out(1),
                "word_take": Out(1),
                "word": In(layouts.activation_word(config)),
                "o": Out(stream.Signature(layouts.token(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.positions = positions = self.positions
        m.submodules.segments = segments = self.segments
        connect(m, flipped(self.load), segments.load)
        connect(m, positions.o, segments.i)
        m.d.comb += [
            positions.start.eq(self.start),
            positions.walk.eq(self.patch.walk),
            positions.vectors.eq(self.vectors),
            segments.start.eq(self.start),
            segments.patch.eq(self.patch),
        ]

        # A word, and what is known of it: the column of lane 0, which lanes belong to the segment,
        # whether it is the patch's last.
        about = data.StructLayout(
            {"column": self.o.payload.column.shape(), "mask": self.config.lanes, "last": 1}
        )
        loaded = data.StructLayout({"about": about, "word": layouts.activation_word(self.config)})
        m.submodules.skid = skid = Skid(loaded)
        self._read_words(m, skid.i)
        self._send(m, skid.o)
        return m

    def _read_words(self, m, o):
        """Reads word after word of the segments."""
        segments, lanes = self.segments.o, self.config.lanes
        read, loaded = data_register(o.payload.about), data_register(o.payload.about)
        run = data_register(segments.payload)
        reading, readable, at_end = Signal(), Signal(), Signal()
        read_valid, read_next = Signal(), Signal()
        stored = Signal.like(self.stored)  # of its own, since it comes from far
        m.d.sync += stored.eq(self.stored)
        take = ~o.valid | o.ready
        m.d.comb += [
            o.payload.about.eq(loaded),
            o.payload.word.eq(self.word),
            readable.eq(reading & (~self.behind | run.empty | (run.word < stored))),
            segments.ready.eq(~reading | (read_next & readable & at_end)),
            self.word_index.eq(run.word),
            self.word_enable.eq(read_next),
            self.word_take.eq(take),
            read_next.eq(~read_valid | take),
        ]
        with m.If(segments.ready):
            m.d.sync += [reading.eq(segments.valid), run.eq(segments.payload)]
            m.d.sync += at_end.eq(segments.payload.empty | (segments.payload.words == 0))
        with m.Elif(read_next & readable):
            m.d.sync += [
                run.word.eq(run.word + 1),
                run.words.eq(run.words - 1),
                at_end.eq(run.words == 1),
                run.first.eq(0),
                run.column.eq(run.column + lanes),
            ]
        with m.If(read_next):
            m.d.sync += [read_valid.eq(readable), read.column.eq(run.column)]
            m.d.sync += read.last.eq(run.last & at_end)
            for lane in range(lanes):
                within = (run.first <= lane) & (~at_end | (run.final >= lane))
                m.d.sync += read.mask[lane].eq(~run.empty & within)
        with m.If(take):
            m.d.sync += [loaded.eq(read), o.valid.eq(read_valid)]

    def _send(self, m, i):
        """Sends the non-zeros of the words.

        Stage 1 finds the non-zeros of a word, and drops it if there are none. Stage 2 sends the
        lowest of those that are pending in every cycle; `more`, that others follow, is known
        beforehand, for it moves all words.
        """
        lanes, about, read = self.config.lanes, i.payload.about, i.payload.word
        fresh, pending = Signal(lanes), Signal(lanes)
        fresh_valid, fresh_last, fresh_next = Signal(), Signal(), Signal()
        valid, last, more, next_word = Signal(), Signal(), Signal(), Signal()
        fresh_column, column = data_register(about.column), data_register(about.column)
        fresh_word, word = data_register(self.word), data_register(self.word)
        token = port_register(m, self.o.payload)
        free, wanted = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            next_word.eq(~valid | (free & ~more)),
            wanted.eq(fresh_valid & (fresh.any() | fresh_last)),
            fresh_next.eq(~wanted | next_word),
            i.ready.eq(fresh_next),
        ]
        with m.If(fresh_next):
            m.d.sync += [
                fresh_valid.eq(i.valid),
                fresh_last.eq(about.last),
                fresh_column.eq(about.column),
                fresh_word.eq(read),
                fresh.eq(about.mask & Cat(read[lane].any() for lane in range(lanes))),
            ]
        with m.If(next_word):
            m.d.sync += [
                valid.eq(wanted),
                last.eq(fresh_last),
                column.eq(fresh_column),
                word.eq(fresh_word),
                pending.eq(fresh),
                more.eq(_without_lowest(fresh).any()),
            ]
        with m.Elif(free):
            rest = _without_lowest(pending)
            m.d.sync += [pending.eq(rest), more.eq(_without_lowest(rest).any())]

        index, activation = self._lowest(m, pending, word)
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(valid & (pending.any() | last)),
                token.column.eq(column + index),
                token.activation.eq(activation),
                token.null.eq(~pending.any()),
                token.last.eq(last & ~more),
            ]

    def _lowest(self, m, pending, word):
        """The lowest lane that is pending, and its activation."""
        lanes = len(pending)
        lowest = Signal(lanes)
        activation = Const(0, self.config.activation_bits)
        index = Const(0, bits_for(lanes - 1))
        for lane in range(lanes):
            activation |= word[lane].as_unsigned() & lowest[lane].replicate(len(word[lane]))
            index |= Const(lane, len(index)) & lowest[lane].replicate(len(index))
        m.d.comb += lowest.eq(pending & ~(pending - 1))
        return index, activation
