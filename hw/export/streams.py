"""The engine behind two streams of vectors: receiver, runner and registers in one."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bus import BusSignature
from .receiver import VectorReceiver, item_layout
from .runner import VectorRunner
from .stream_map import StreamSettings, StreamShape
from .stream_registers import StreamRegisters

__all__ = ["Streams"]


class Streams(wiring.Component):
    """Input vectors in, output vectors out: an initiator that uses the engine as software would.

    Vectors are computed one by one; while one is, the next may come in.

    Members
    -------
    registers : In(BusSignature())
        Software's way to the registers and tables.
    bus : Out(BusSignature())
        The engine.
    engine_busy : In(1)
    i, o : In, Out(stream.Signature(item_layout))
        Vectors of activations, the last one marked.
    busy : Out(1)
        A vector is held, computed or sent.
    """

    def __init__(self, shape: StreamShape, settings: StreamSettings):
        self.shape = shape
        self.settings = settings
        item = item_layout(shape)
        super().__init__(
            {
                "registers": In(BusSignature()),
                "bus": Out(BusSignature()),
                "engine_busy": In(1),
                "i": In(stream.Signature(item)),
                "o": Out(stream.Signature(item)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = StreamRegisters(self.shape, self.settings)
        m.submodules.receiver = receiver = VectorReceiver(self.shape, self.settings)
        m.submodules.runner = runner = VectorRunner(self.shape, self.settings)
        connect(m, flipped(self.registers), registers.bus)
        connect(m, registers.inputs_at, receiver.inputs_at)
        connect(m, registers.outputs_at, runner.outputs_at)
        connect(m, flipped(self.i), receiver.i)
        connect(m, runner.bus, flipped(self.bus))
        connect(m, runner.o, flipped(self.o))
        for name in ("outputs", "first", "words", "groups"):
            m.d.comb += getattr(runner, name).eq(getattr(registers, name))
        m.d.comb += [
            receiver.enable.eq(registers.enable),
            receiver.inputs.eq(registers.inputs),
            registers.early.eq(receiver.early),
            registers.missing.eq(receiver.missing),
            runner.full.eq(receiver.full),
            runner.word.eq(receiver.word),
            receiver.take.eq(runner.take),
            receiver.index.eq(runner.index),
            runner.engine_busy.eq(self.engine_busy),
            self.busy.eq(runner.busy | receiver.held),
            registers.busy.eq(self.busy),
        ]
        return m
