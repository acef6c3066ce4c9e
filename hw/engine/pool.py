import itertools

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import read_register
from ..registers import data_register, port_register
from .arithmetic import add_or_subtract

__all__ = ["Pool"]


class Pool(wiring.Component):
    """Reduces the words of a pooling window to their maximum or their mean, row by row.

    One word per cycle, five cycles of latency. The mean is ``(sum + half) >> average_shift``.

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
        What all words since the first of the row, to the one five cycles ago, are reduced to.
    """

    LATENCY = 5

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
        shape = signed(self.config.activation_bits + layouts.WINDOW_BITS)
        totals = data.ArrayLayout(shape, self.config.lanes)
        m.submodules.memory = memory = Memory(
            shape=totals.size, depth=self.config.accumulator_depth, init=[]
        )
        read, write = memory.read_port(), memory.write_port()

        # Stage 1 takes what is stored, stage 2 that or a newer total, stage 3 reduces, stage 4
        # writes. Totals of the four words before are forwarded, as far as those can be of the same
        # row; from where is known beforehand. Numbers are the cycles since the word came.
        words, rows, firsts, enables = (
            [port, *(kind(port, name=f"{name}_{cycle}") for cycle in range(1, cycles + 1))]
            for kind, name, port, cycles in (
                (data_register, "word", self.word, 3),
                (data_register, "row", self.row, 5),
                (data_register, "first", self.first, 3),
                (Signal.like, "enable", self.enable, 5),
            )
        )
        totals_of = {age: Signal(totals, name=f"total_{age}", reset_less=True) for age in (2, 3, 4)}
        total, known = totals_of[2], Signal(totals, name="known", reset_less=True)
        result = port_register(m, self.result)
        stored = data.View(totals, read_register(m, read.data, name="stored"))
        m.d.sync += [totals_of[3].eq(total), totals_of[4].eq(totals_of[3])]
        for stages in (words, rows, firsts, enables):
            m.d.sync += [after.eq(before) for before, after in itertools.pairwise(stages)]
        m.d.comb += [
            read.addr.eq(self.row),
            write.addr.eq(rows[4]),
            write.data.eq(total),
            write.en.eq(enables[4]),
        ]
        use = self._same_row(m, rows, enables)
        half = Signal(layouts.WINDOW_BITS)
        m.d.comb += half.eq((1 << self.average_shift) >> 1)
        for lane in range(self.config.lanes):
            newest = stored[lane]
            for age in sorted(use.keys() - {1}, reverse=True):
                newest = Mux(use[age], totals_of[age][lane], newest)
            m.d.sync += known[lane].eq(Mux(firsts[2], half, newest))
            before, word, first = Signal(shape, name=f"before_{lane}"), words[3][lane], firsts[3]
            last = Mux(use[1] & ~first, total[lane], known[lane]) if 1 in use else known[lane]
            m.d.comb += before.eq(last)
            both = add_or_subtract(m, before, word, ~self.average, name=f"both_{lane}")
            greater = Mux(first | both[-1], word, before)
            m.d.sync += total[lane].eq(Mux(self.average, both, greater))
            mean = total[lane] >> self.average_shift
            m.d.sync += result[lane].eq(Mux(self.average, mean, total[lane]))
        return m

    def _same_row(self, m, rows, enables):
        """Age -> whether the word so many before is of the same row, as far as it can be."""
        use = {
            age: Signal(name=f"use_{age}", reset_less=True) for age in range(self.config.groups, 5)
        }
        for age, same in use.items():
            # The total of the word before is there only when it is to be added to.
            cycle = 2 if age == 1 else 1
            m.d.sync += same.eq(enables[cycle + age] & (rows[cycle + age] == rows[cycle]))
        return use
