from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadSignature
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
        Begin with the layer given below, which stays until the last token is taken.
    patch : In(layouts.patch)
        Of the layer's instruction.
    vectors : In(16)
        Vectors to feed, 1 or more.
    behind : In(1)
        The layer before is still being stored: only words before `stored` may be read.
    stored : In
        Word that is stored next.
    word_index : Out
        Word to read; `word` is its content in the next cycle, held while `word_enable` is low.
    word_enable : Out(1)
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

        # What is known of a word: the column of lane 0, which lanes belong to the segment, whether
        # it is the patch's last.
        about = data.StructLayout(
            {"column": self.o.payload.column.shape(), "mask": self.config.lanes, "last": 1}
        )
        loaded, loaded_word = Signal(about), Signal.like(self.word)
        loaded_valid, loaded_next = Signal(), Signal()
        self._read_words(m, (loaded, loaded_word, loaded_valid), loaded_next)
        self._send(m, (loaded, loaded_word, loaded_valid), loaded_next)
        return m

    def _read_words(self, m, out, out_next):
        """Reads word after word of the segments; the next comes out whenever `out_next`.

        There is a register behind the memory, which is late in its cycle.
        """
        segments, lanes = self.segments.o, self.config.lanes
        (loaded, loaded_word, loaded_valid), read = out, Signal.like(out[0])
        run = Signal.like(segments.payload)
        reading, readable, at_end = Signal(), Signal(), Signal()
        read_valid, read_next = Signal(), Signal()
        m.d.comb += [
            at_end.eq(run.words == 0),
            readable.eq(reading & (~self.behind | run.empty | (run.word < self.stored))),
            segments.ready.eq(~reading | (read_next & readable & at_end)),
            self.word_index.eq(run.word),
            self.word_enable.eq(read_next),
            read_next.eq(~read_valid | out_next),
        ]
        with m.If(segments.ready):
            m.d.sync += [reading.eq(segments.valid), run.eq(segments.payload)]
        with m.Elif(read_next & readable):
            m.d.sync += [
                run.word.eq(run.word + 1),
                run.words.eq(run.words - 1),
                run.first.eq(0),
                run.column.eq(run.column + lanes),
            ]
        with m.If(read_next):
            m.d.sync += [read_valid.eq(readable), read.column.eq(run.column)]
            m.d.sync += read.last.eq(run.last & at_end)
            for lane in range(lanes):
                within = (run.first <= lane) & (~at_end | (run.final >= lane))
                m.d.sync += read.mask[lane].eq(~run.empty & within)
        with m.If(out_next):
            m.d.sync += [loaded.eq(read), loaded_word.eq(self.word), loaded_valid.eq(read_valid)]

    def _send(self, m, loaded_out, loaded_next):
        """Sends the non-zeros of the words.

        Stage 1 finds the non-zeros of a word, and drops it if there are none. Stage 2 sends the
        lowest of those that are pending in every cycle; `more`, that others follow, is known
        beforehand, for it moves all words.
        """
        lanes, (loaded, loaded_word, loaded_valid) = self.config.lanes, loaded_out
        fresh, pending = Signal(lanes), Signal(lanes)
        fresh_valid, fresh_last, fresh_next = Signal(), Signal(), Signal()
        valid, last, more, next_word = Signal(), Signal(), Signal(), Signal()
        fresh_column, column = Signal.like(loaded.column), Signal.like(loaded.column)
        fresh_word, word = Signal.like(self.word), Signal.like(self.word)
        free, wanted = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            next_word.eq(~valid | (free & ~more)),
            wanted.eq(fresh_valid & (fresh.any() | fresh_last)),
            fresh_next.eq(~wanted | next_word),
            loaded_next.eq(~loaded_valid | fresh_next),
        ]
        with m.If(fresh_next):
            m.d.sync += [
                fresh_valid.eq(loaded_valid),
                fresh_last.eq(loaded.last),
                fresh_column.eq(loaded.column),
                fresh_word.eq(loaded_word),
                fresh.eq(loaded.mask & Cat(loaded_word[lane].any() for lane in range(lanes))),
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

        lowest = Signal(lanes)
        activation = Const(0, self.config.activation_bits)
        index = Const(0, bits_for(lanes - 1))
        for lane in range(lanes):
            activation |= word[lane].as_unsigned() & lowest[lane].replicate(len(word[lane]))
            index |= Const(lane, len(index)) & lowest[lane].replicate(len(index))
        m.d.comb += lowest.eq(pending & ~(pending - 1))
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(valid & (pending.any() | last)),
                self.o.payload.column.eq(column + index),
                self.o.payload.activation.eq(activation),
                self.o.payload.null.eq(~pending.any()),
                self.o.payload.last.eq(last & ~more),
            ]
