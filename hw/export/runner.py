"""Between the streams and the engine: an input vector is computed, its output sent."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..bus import BusSignature
from ..regmap import CONTROL, PLACE, Window
from .receiver import item_layout
from .stream_map import StreamSettings, StreamShape
from .stream_registers import TableLoad, look_up

__all__ = ["VectorRunner"]

_ALL_ONES = (1 << layouts.BUS_BITS) - 1
# Whoever used the engine before may have left it otherwise: all may be written, one vector is run.
_PREPARED = (("write_first", 0), ("write_last", _ALL_ONES), ("vectors", 1))
# Cycles after which a start that was acknowledged has made the engine busy.
_STARTED = 4


class VectorRunner(wiring.Component):
    """Has the engine compute a vector: words in, start, activations out.

    As long as its target takes three cycles or more for a transfer, as the engine does, the words
    of the input follow each other without a cycle between.

    Members
    -------
    full : In(1)
        There is a vector.
    take : Out(1)
        It has been written into the engine.
    index : Out(range(room))
        The word of it that is wanted; it is `word` two cycles later.
    word : In(32)
    outputs, first, words, groups : In(32)
        See `StreamRegisters`.
    outputs_at : In(TableLoad)
    engine_busy : In(1)
    bus : Out(BusSignature())
    o : Out(stream.Signature(item_layout))
        The activations of the output, the last one marked.
    busy : Out(1)
    """

    def __init__(self, shape: StreamShape, settings: StreamSettings):
        self.shape = shape
        self.settings = settings
        super().__init__(
            {
                "full": In(1),
                "take": Out(1),
                "index": Out(bits_for(shape.room - 1)),
                "word": In(layouts.BUS_BITS),
                **dict.fromkeys(("outputs", "first", "words", "groups"), In(32)),
                "outputs_at": In(TableLoad(shape.items, shape.output_place)),
                "engine_busy": In(1),
                "bus": Out(BusSignature()),
                "o": Out(stream.Signature(item_layout(shape))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        step, settled = Signal(range(len(_PREPARED))), Signal(range(_STARTED))
        prepared = Array(Const(value, layouts.BUS_BITS) for _, value in _PREPARED)
        registers = Array(Const(PLACE[name], layouts.BUS_ADDRESS_BITS) for name, _ in _PREPARED)
        address = Value.cast(bus.address)
        number = Signal(range(self.shape.items))  # of an activation of the output
        place = look_up(m, self.outputs_at, number, self.settings.outputs_at)
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [step.eq(0), settled.eq(0), self.index.eq(0)]
                with m.If(self.full & ~self.engine_busy):
                    m.next = "PREPARE"
            with m.State("PREPARE"):
                m.d.comb += [
                    bus.request.eq(1),
                    bus.write.eq(1),
                    address.eq(registers[step]),
                    bus.w_data.eq(prepared[step]),
                ]
                with m.If(bus.acknowledge):
                    m.d.sync += step.eq(step + 1)
                    with m.If(step == len(_PREPARED) - 1):
                        m.next = "FIRST WORD"
            self._write(m)
            with m.State("START"):
                m.d.comb += [
                    bus.request.eq(1),
                    bus.write.eq(1),
                    address.eq(PLACE["control"]),
                    bus.w_data.eq(CONTROL.field["start"].mask),
                ]
                with m.If(bus.acknowledge):
                    m.next = "WAIT"
            with m.State("WAIT"):
                started = settled == _STARTED - 1
                with m.If(~started):
                    m.d.sync += settled.eq(settled + 1)
                with m.Elif(~self.engine_busy):
                    m.next = "FIND"
            self._send(m, number, place)
        return m

    def _write(self, m):
        """The state in which the words of the vector are written, group after group."""
        bus, offset, group, data = self.bus, Signal(18), Signal(8), Signal(layouts.BUS_BITS)
        in_all = self.groups == 0
        end_of_group = offset == (self.words - 1)[: len(offset)]
        end = end_of_group & (in_all | (group == (self.groups - 1)[: len(group)]))
        # The first word was asked for long ago, and each other one while that before was written.
        next_word = [data.eq(self.word), self.index.eq(self.index + 1)]
        with m.State("FIRST WORD"):
            m.d.sync += [*next_word, offset.eq(0), group.eq(0)]
            m.next = "WRITE"
        with m.State("WRITE"):
            m.d.comb += [
                bus.request.eq(1),
                bus.write.eq(1),
                bus.address.window.eq(Window.ACTIVATIONS),
                bus.address.unit.eq(Mux(in_all, layouts.ALL_UNITS, group)),
                bus.address.offset.eq(self.first + offset),
                bus.w_data.eq(data),
            ]
            with m.If(bus.acknowledge):
                m.d.sync += [*next_word, offset.eq(offset + 1)]
                with m.If(end_of_group):
                    m.d.sync += [offset.eq(0), group.eq(group + 1)]
                with m.If(end):
                    m.d.comb += self.take.eq(1)
                    m.next = "START"

    def _send(self, m, number, place):
        """The states in which the activations of the output are looked up, read and sent."""
        bus, item = self.bus, Signal(self.shape.config.activation_bits)
        last = number == (self.outputs - 1)[: len(number)]
        m.d.comb += [self.o.payload.data.eq(item), self.o.payload.last.eq(last)]
        with m.State("FIND"):
            m.next = "FOUND"
        with m.State("FOUND"):
            m.next = "READ"
        with m.State("READ"):
            m.d.comb += [
                bus.request.eq(1),
                bus.address.window.eq(Window.ACTIVATIONS),
                bus.address.unit.eq(place.group),
                bus.address.offset.eq(place.offset),
            ]
            m.d.sync += item.eq(bus.r_data.word_select(place.lane, len(item)))
            with m.If(bus.acknowledge):
                m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                m.d.sync += number.eq(Mux(last, 0, number + 1))
                m.next = "FIND"
                with m.If(last):
                    m.next = "IDLE"
