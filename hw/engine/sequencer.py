from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..regmap import Window

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs the layers of the program one after the other, without the host.

    A layer takes one cycle more than its feeder, grid and write-back: the next instruction is read
    while a layer runs.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Run the program from its first layer; ignored while busy. The first instruction is read
        beforehand: not in the cycle after `busy`, nor in that after its loading.
    busy : Out(1)
    layer : Out(range(layer_depth))
        The layer being run.
    instruction : Out(layouts.instruction)
        Its instruction, valid from `layer_start` to `layer_done`.
    layer_start : Out(1)
    layer_done : In(1)
    cycles : Out(32)
        Cycles from `start` until the last layer was done.
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
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "busy": Out(1),
                "layer": Out(bits_for(config.layer_depth - 1)),
                "instruction": Out(layouts.instruction(config)),
                "layer_start": Out(1),
                "layer_done": In(1),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)
        # A register of its own: the instruction reaches every element.
        instruction = Signal(layouts.instruction(self.config))
        final = instruction.last | (self.layer == self.config.layer_depth - 1)
        upcoming = Signal.like(self.layer)
        m.d.comb += [memory.index.eq(upcoming), self.instruction.eq(instruction)]
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.busy.eq(1), self.layer.eq(0), self.cycles.eq(0)]
                    m.d.sync += instruction.eq(memory.item)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [self.layer_start.eq(1), upcoming.eq(self.layer + 1)]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += upcoming.eq(self.layer + 1)
                with m.If(self.layer_done & final):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"
                with m.Elif(self.layer_done):
                    m.d.sync += [self.layer.eq(upcoming), instruction.eq(memory.item)]
                    m.next = "START"
        return m
