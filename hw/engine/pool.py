from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from .arithmetic import add_or_subtract

__all__ = ["Pool"]


class Pool(wiring.Component):
    """Reduces the words of a pooling window to their maximum or their mean, row by row.

    One word per cycle, four cycles of latency. The mean is ``(sum + half) >> average_shift``.

    Members
    -------
    average, average_shift : In
        Of the layer's instruction.
    enable : In(1)
    word : In(layouts.activation_word)
    row : In(range(accumulator_depth))
        Place of the word in its pixel, of which there are a multiple of the groups: so one recurs
        after as many words as there are groups, or later.
    first : In(1)
        The window's first word of this row: what was there before does not count.
    result : Out(layouts.activation_word)
        What all words since the first of the row, to the one four cycles ago, are reduced to.
    """

    LATENCY = 4

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        store = layouts.store(config)
        super().__init__(
            {
                "average": In(1),
                "average_shift": In(store["average_shift"].shape),
                "enable": In(1),
                "word": In(layouts.activation_word(config)),
                "row": In(bits_for(config.accumulator_depth - 1)),
                "first": In(1),
                "result": Out(layouts.activation_word(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.config.lanes
        shape = signed(self.config.activation_bits + layouts.WINDOW_BITS)
        totals = data.ArrayLayout(shape, lanes)
        m.submodules.memory = memory = Memory(
            shape=totals.size, depth=self.config.accumulator_depth, init=[]
        )
        read, write = memory.read_port(), memory.write_port()

        # Stage 1 takes what is stored, stage 2 reduces, stage 3 writes. Totals of the three words
        # before are forwarded, as far as those can be of the same row; from where is known
        # beforehand.
        words, rows, firsts, enables = (
            [port, *(Signal.like(port, name=f"{name}_{stage}") for stage in (1, 2))]
            for name, port in (
                ("word", self.word),
                ("row", self.row),
                ("first", self.first),
                ("enable", self.enable),
            )
        )
        for stages in (words, rows, firsts, enables):
            m.d.sync += [stages[1].eq(stages[0]), stages[2].eq(stages[1])]
        stored = Signal(totals, name="stored")
        recent = [Signal(totals, name=f"total_{age}") for age in range(1, 4)]
        recent_row = [rows[2], *(Signal.like(self.row, name=f"row_{age}") for age in range(1, 3))]
        recent_valid = [enables[2], *(Signal(name=f"valid_{age}") for age in range(1, 3))]
        use = [Signal(name=f"use_{age}") for age in range(1, 4)]
        total, total_row, total_valid = recent[0], recent_row[1], recent_valid[1]
        m.d.sync += [
            stored.eq(read.data),
            recent[1].eq(recent[0]),
            recent[2].eq(recent[1]),
            recent_row[1].eq(recent_row[0]),
            recent_row[2].eq(recent_row[1]),
            recent_valid[1].eq(recent_valid[0]),
            recent_valid[2].eq(recent_valid[1]),
        ]
        for age in range(3):
            m.d.sync += use[age].eq(recent_valid[age] & (recent_row[age] == rows[1]))
        m.d.comb += [
            read.addr.eq(self.row),
            write.addr.eq(total_row),
            write.data.eq(total),
            write.en.eq(total_valid),
        ]
        half = Signal(layouts.WINDOW_BITS)
        m.d.comb += half.eq((1 << self.average_shift) >> 1)
        word, first = words[2], firsts[2]
        for lane in range(lanes):
            before = Signal(shape, name=f"before_{lane}")
            known = stored[lane]
            for age in range(3, self.config.groups - 1, -1):
                known = Mux(use[age - 1], recent[age - 1][lane], known)
            m.d.comb += before.eq(Mux(first, half, known))
            both = add_or_subtract(m, before, word[lane], ~self.average, name=f"both_{lane}")
            greater = Mux(first | both[-1], word[lane], before)
            m.d.sync += total[lane].eq(Mux(self.average, both, greater))
            mean = total[lane] >> self.average_shift
            m.d.sync += self.result[lane].eq(Mux(self.average, mean, total[lane]))
        return m
