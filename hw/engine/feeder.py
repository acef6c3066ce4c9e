from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["Feeder"]


def _without_lowest(bits):
    """The bits but the lowest one that is set."""
    return bits & (bits - 1)[: len(bits)]


class Feeder(wiring.Component):
    """Walks the activation words of one group and broadcasts the non-zeros with their columns.

    One non-zero per cycle; a word of zeros passes in one cycle. The last token of every vector
    carries the marker; if the vector's last word is all zeros, that token is null. The first token
    comes five cycles after `start`.

    Members
    -------
    start : In(1)
        Begin with the layer given below, which stays until the last token is taken.
    in_base, in_words, column_base : In
        Of the layer's instruction.
    vectors : In(16)
        Vectors to feed, 1 or more.
    word_index : Out
        Word to read; `word` is its content in the next cycle, held while `word_enable` is low.
    word_enable : Out(1)
    word : In(layouts.activation_word)
    o : Out(stream.Signature(layouts.token))
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        instruction = layouts.instruction(config)
        super().__init__(
            {
                "start": In(1),
                "in_base": In(instruction["in_base"].shape),
                "in_words": In(instruction["in_words"].shape),
                "column_base": In(instruction["column_base"].shape),
                "vectors": In(16),
                "word_index": Out(instruction["in_base"].shape),
                "word_enable": Out(1),
                "word": In(layouts.activation_word(config)),
                "o": Out(stream.Signature(layouts.token(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        read_valid, read_last = Signal(), Signal()
        read_column = Signal.like(self.o.payload.column)
        read_next = Signal()
        self._read_words(m, read_next, read_valid, read_last, read_column)

        lanes = self.config.lanes
        # Stage 1 finds the non-zeros of a word. Stage 2 sends the lowest of those that are pending
        # in every cycle; `more`, that others follow, is known beforehand, for it moves all words.
        fresh, pending = Signal(lanes), Signal(lanes)
        fresh_valid, fresh_last, fresh_next = Signal(), Signal(), Signal()
        valid, last, more, next_word = Signal(), Signal(), Signal(), Signal()
        fresh_column, column = Signal.like(read_column), Signal.like(read_column)
        fresh_word, word = Signal.like(self.word), Signal.like(self.word)
        free = Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            next_word.eq(~valid | (free & ~more)),
            fresh_next.eq(~fresh_valid | next_word),
            read_next.eq(~read_valid | fresh_next),
        ]
        with m.If(fresh_next):
            m.d.sync += [
                fresh_valid.eq(read_valid),
                fresh_last.eq(read_last),
                fresh_column.eq(read_column),
                fresh_word.eq(self.word),
                fresh.eq(Cat(self.word[lane].any() for lane in range(lanes))),
            ]
        with m.If(next_word):
            m.d.sync += [
                valid.eq(fresh_valid),
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
        return m

    def _read_words(self, m, read_next, read_valid, read_last, read_column):
        """Reads the next word whenever `read_next`; vectors lie one behind the other."""
        reading = Signal()
        vector = Signal.like(self.vectors)
        place = Signal.like(self.in_words)  # of the word within its vector
        column = Signal.like(read_column)
        end_of_vector = Signal()
        m.d.comb += [
            end_of_vector.eq(place == self.in_words - 1),
            self.word_enable.eq(read_next),
        ]
        with m.If(self.start):
            m.d.sync += [
                reading.eq(1),
                self.word_index.eq(self.in_base),
                vector.eq(self.vectors - 1),
                place.eq(0),
                column.eq(self.column_base),
            ]
        with m.Elif(reading & read_next):
            m.d.sync += [
                reading.eq(~end_of_vector | (vector != 0)),
                self.word_index.eq(self.word_index + 1),
                vector.eq(vector - end_of_vector),
                place.eq(Mux(end_of_vector, 0, place + 1)),
                column.eq(Mux(end_of_vector, self.column_base, column + self.config.lanes)),
            ]
        with m.If(read_next):
            m.d.sync += [
                read_valid.eq(reading),
                read_last.eq(end_of_vector),
                read_column.eq(column),
            ]
