from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
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

    On a platform with `narrow_memories` a layer's counters can be read `len(COUNTERS)` cycles after
    `done`, which must not come again before.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        self.steps_layout = data.StructLayout(
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
        counters = {name: Signal(32, name=name) for name in COUNTERS}
        for name, counter in counters.items():
            step = 1 if name == "cycles" else self.steps[name]
            m.d.sync += counter.eq(counter + step)
            with m.If(self.start):
                m.d.sync += counter.eq(step)

        if getattr(platform, "narrow_memories", False):
            self._keep_word_by_word(m, counters)
        else:
            self._keep(m, counters)
        return m

    def _keep(self, m, counters):
        """All counters of a layer side by side, written at once."""
        m.submodules.memory = memory = Memory(
            shape=unsigned(32 * len(COUNTERS)), depth=self.config.layer_depth, init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        which = Signal.like(self.read_counter)
        m.d.sync += which.eq(self.read_counter)
        m.d.comb += [
            write.addr.eq(self.layer),
            write.data.eq(Cat(counters.values())),
            write.en.eq(self.done),
            read.addr.eq(self.read_layer),
        ]
        m.d.sync += self.value.eq(read.data.word_select(which, 32))

    def _keep_word_by_word(self, m, counters):
        """One counter a word, written one a cycle: layers must take longer than that."""
        number = len(counters)
        left, part, to = Signal(range(number + 1)), Signal(range(number)), Signal.like(self.layer)
        waiting = Signal(32 * number)
        with m.If(self.done):
            m.d.sync += [
                waiting.eq(Cat(counters.values())),
                to.eq(self.layer),
                left.eq(number),
                part.eq(0),
            ]
        with m.Elif(left != 0):
            m.d.sync += [waiting.eq(waiting >> 32), left.eq(left - 1), part.eq(part + 1)]
        m.submodules.memory = memory = Memory(
            shape=unsigned(32), depth=self.config.layer_depth << len(part), init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(Cat(part, to)),
            write.data.eq(waiting[:32]),
            write.en.eq(left != 0),
            read.addr.eq(Cat(self.read_counter, self.read_layer)),
        ]
        m.d.sync += self.value.eq(read.data)
