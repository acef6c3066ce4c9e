from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from ..config import AcceleratorConfig
from ..regmap import COUNTERS

__all__ = ["LayerCounters"]


class LayerCounters(wiring.Component):
    """Counts what happens while a layer runs, and keeps it per layer (see `hw.regmap.COUNTERS`).

    Members
    -------
    start, done : In(1)
        First cycle of a layer, and the cycle after its last; they may be the same.
    layer : In(range(layer_depth))
        That which is over with `done`.
    steps : In
        By how much each counter grows in this cycle; `cycles` is counted here.
    read_layer, read_counter : In
        `value` is that counter two cycles later.
    value : Out(32)

    On a platform with `narrow_memories`, where memories are made of narrow ones, `value` may be a
    cycle later, and a layer's counters are whole `2 * len(COUNTERS) + 3` cycles after `done`, which
    must not come again before.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        self.steps_layout = StructLayout(
            {
                "activations": unsigned(bits_for(config.groups)),
                "blocked": unsigned(bits_for(config.groups)),
                "busy": unsigned(bits_for(config.elements)),
                "stalled": unsigned(bits_for(config.elements)),
            }
        )
        layer = bits_for(config.layer_depth - 1)
        super().__init__(
            {
                "start": In(1),
                "done": In(1),
                "layer": In(layer),
                "steps": In(self.steps_layout),
                "read_layer": In(layer),
                "read_counter": In(bits_for(len(COUNTERS) - 1)),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if getattr(platform, "narrow_memories", False):
            self._count_in_turns(m)
        else:
            self._count_side_by_side(m)
        return m

    def _steps(self):
        """By how much each grows, in the order of the register map."""
        return [1 if name == "cycles" else self.steps[name] for name in COUNTERS]

    def _count_side_by_side(self, m):
        """All counters of a layer in registers, which are written at once."""
        counters = [Signal(32, name=name) for name in COUNTERS]
        for counter, step in zip(counters, self._steps(), strict=True):
            m.d.sync += counter.eq(counter + step)
            with m.If(self.start):
                m.d.sync += counter.eq(step)
        m.submodules.memory = memory = Memory(
            shape=unsigned(32 * len(COUNTERS)), depth=self.config.layer_depth, init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        which = Signal.like(self.read_counter)
        m.d.sync += which.eq(self.read_counter)
        m.d.comb += [
            write.addr.eq(self.layer),
            write.data.eq(Cat(counters)),
            write.en.eq(self.done),
            read.addr.eq(self.read_layer),
        ]
        m.d.sync += self.value.eq(read.data.word_select(which, 32))

    def _count_in_turns(self, m):
        """Of each only what is new in registers: in turns, it goes to a sum in the memory.

        A turn takes two cycles: in the second, the memory is read for `value`. What is new when a
        layer ends has the next turns, and with them the layer's counters are whole. What counts
        from then on, for the layer after, waits for the turns that follow.
        """
        number = len(COUNTERS)
        turn, left = Signal(range(number)), Signal(range(number + 1))
        second, ends, moves = Signal(), Signal(), Signal()
        news = Signal(ArrayLayout(bits_for(4 * number * self.config.elements), number))
        rests, to = Signal.like(news), Signal.like(self.layer)
        # Whether the sum in the memory is that of another layer.
        first, rests_first = Signal(number), Signal(number)
        m.d.comb += [ends.eq(left != 0), moves.eq(~second & ~ends & ~self.done)]
        m.d.sync += second.eq(~second)
        with m.If(second):
            m.d.sync += turn.eq(Mux(turn == number - 1, 0, turn + 1))
        for place, step in enumerate(self._steps()):
            m.d.sync += news[place].eq(news[place] + step)
            with m.If(moves & (turn == place)):
                m.d.sync += [news[place].eq(step), first[place].eq(0)]
            with m.If(self.start):
                m.d.sync += [news[place].eq(step), first[place].eq(1)]
        with m.If(self.done):
            m.d.sync += [rests.eq(news), rests_first.eq(first), to.eq(self.layer), left.eq(number)]
        with m.Elif(ends & ~second):
            m.d.sync += left.eq(left - 1)
        # A layer has more words than counters: the sums are in those that are left.
        spare = range(number, 1 << len(turn))
        assert len(spare) * self.config.layer_depth >= number, "too many counters for so few layers"
        sums = Array(
            (place % len(spare) + number) | (place // len(spare)) << len(turn)
            for place in range(number)
        )
        address = len(turn) + len(to)
        part = Signal(
            StructLayout(
                {"valid": 1, "first": 1, "sum_at": address, "to": address, "new": len(news[0])}
            )
        )
        m.d.comb += [
            part.valid.eq(ends & ~second | moves),
            part.first.eq(Mux(ends, rests_first, first).bit_select(turn, 1)),
            part.sum_at.eq(sums[turn]),
            part.to.eq(Mux(ends, Cat(turn, to), part.sum_at)),
            part.new.eq(Mux(ends, rests[turn], news[turn])),
        ]
        self._add(m, part, second)

    def _add(self, m, part, second):
        """Adds a part to its sum in the memory."""
        m.submodules.memory = memory = Memory(shape=unsigned(32), depth=1 << len(part.to), init=[])
        write, read = memory.write_port(), memory.read_port()
        late, total = Signal.like(part), Signal(32)
        m.d.comb += [
            read.addr.eq(Mux(second, Cat(self.read_counter, self.read_layer), part.sum_at)),
            write.data.eq(total),
        ]
        m.d.sync += [
            late.eq(part),
            total.eq(Mux(late.first, 0, read.data) + late.new),
            write.addr.eq(late.to),
            write.en.eq(late.valid),
        ]
        with m.If(~second):
            m.d.sync += self.value.eq(read.data)
