from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature, SerialMemory
from ..regmap import Window

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs the layers of the program one after the other, without the host.

    A layer is fed as soon as the elements have nothing more to do for the one before it, while
    write-back still stores that one's last position: the feeders wait for what is not stored yet.

    On a platform with `narrow_memories` the instruction has no register beside that of its memory,
    a `SerialMemory`: it is read only when it is needed, and each begins `latency` cycles later.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Run the program from its first layer; ignored while busy. The first instruction is read
        beforehand: not in the three cycles after that in which it came by `load`.
    busy : Out(1)
    layer : Out(range(layer_depth))
        The layer being fed.
    instruction : Out(layouts.instruction)
        Its instruction, valid from the cycle before `feed_start` on, at `store_start` too.
    feed_start, store_start : Out(1)
        The feeders, or write-back, begin with the layer; two cycles after `start` or `fed`, or
        right after `stored`.
    fed : In(1)
        The elements have nothing more to do for the layer; three cycles after `feed_start` or
        later, for the next instruction is read in between.
    stored : In(1)
        The last word of a layer is stored; two cycles after `fed` of the same or later.
    ahead : Out(1)
        The layer before is not stored yet.
    ended : Out(1)
        In the first cycle of a layer, or the one after the last's: `ended_layer` is over.
    ended_layer : Out(range(layer_depth))
    cycles : Out(32)
        Cycles from `start` until the last layer was stored.
    """

    def __init__(self, config: AcceleratorConfig, *, contents=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.PROGRAM,
            0,
            layouts.instruction(config).size,
            config.layer_depth,
            init=(contents or {}).get(Window.PROGRAM, [None])[0],
        )
        layer = bits_for(config.layer_depth - 1)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "busy": Out(1),
                "layer": Out(layer),
                "instruction": Out(layouts.instruction(config)),
                "feed_start": Out(1),
                "store_start": Out(1),
                "fed": In(1),
                "stored": In(1),
                "ahead": Out(1),
                "ended": Out(1),
                "ended_layer": Out(layer),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        memory.in_turns = narrow = getattr(platform, "narrow_memories", False)
        connect(m, flipped(self.load), memory.load)
        # A register of its own: the instruction reaches every element.
        instruction = Signal(layouts.instruction(self.config), reset_less=True)
        first, final, upcoming = Signal(), Signal(), Signal.like(self.layer)
        m.d.comb += [
            final.eq(instruction.last | (self.layer == self.config.layer_depth - 1)),
            upcoming.eq(self.layer + 1),
            self.instruction.eq(instruction),
        ]
        m.d.sync += self.ended_layer.eq(self.layer)
        reads = Signal()
        if not narrow:
            with m.If(reads):
                m.d.sync += instruction.eq(memory.item)
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        m.d.sync += self.feed_start.eq(0)
        with m.If(self.feed_start):  # the first cycle of RUN
            m.d.comb += [self.store_start.eq(first), self.ended.eq(~first)]
            m.d.sync += first.eq(0)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.busy.eq(1), self.layer.eq(0), self.cycles.eq(0), first.eq(1)]
                    m.d.comb += reads.eq(1)
                    m.next = "READ" if narrow else "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += self.feed_start.eq(1)
                with m.If(~first):
                    m.d.sync += self.layer.eq(upcoming)
                m.next = "RUN"
            self._run(m, final, reads, "READ" if narrow else "BEGIN")
            if narrow:
                self._wait(m)
        if narrow:
            self._read_late(m, fsm, reads, upcoming)
            m.d.comb += instruction.eq(memory.item)
        else:
            # What follows the last layer is the first, of another run. A register, since the
            # memory is wide, and there is time: a layer takes longer than it is read.
            index = Signal.like(self.layer)
            m.d.sync += index.eq(Mux(fsm.ongoing("IDLE") | final, 0, upcoming))
            m.d.comb += memory.index.eq(index)
        return m

    def _run(self, m, final, reads, following):
        """The state in which layers are fed and stored.

        Parameters
        ----------
        final : no layer follows
        reads : to be set when the instruction of the next is wanted
        following : the state in which it comes
        """
        with m.State("RUN"):
            with m.If(self.fed & ~final):
                m.d.comb += reads.eq(1)
                m.d.sync += self.ahead.eq(1)
                m.next = following
            with m.If(self.stored & self.ahead):
                m.d.comb += self.store_start.eq(1)
                m.d.sync += self.ahead.eq(0)
            with m.Elif(self.stored):
                m.d.comb += self.ended.eq(1)
                m.d.sync += self.busy.eq(0)
                m.next = "IDLE"

    def _wait(self, m):
        """The state in which an instruction is read part by part."""
        cycles = SerialMemory.latency(self.memory.width)
        waited = Signal(range(cycles))
        with m.State("READ"):
            m.d.sync += waited.eq(waited + 1)
            with m.If(waited == cycles - 1):
                m.d.sync += waited.eq(0)
                m.next = "BEGIN"

    def _read_late(self, m, fsm, reads, upcoming):
        """Reads the first instruction while idle, another after `reads`.

        The layer before may be stored while its successor's instruction is being read, which is not
        whole then: write-back begins with that once it is.
        """
        index, late = Signal.like(self.layer), Signal()
        m.d.comb += self.memory.index.eq(index)
        with m.If(fsm.ongoing("IDLE")):
            m.d.sync += index.eq(0)
        with m.Elif(reads):
            m.d.sync += index.eq(upcoming)
        with m.If(self.stored & ~fsm.ongoing("RUN")):
            m.d.sync += [late.eq(1), self.ahead.eq(0)]
        with m.If(self.feed_start & late):
            m.d.comb += self.store_start.eq(1)
            m.d.sync += late.eq(0)
