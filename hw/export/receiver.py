"""Input vectors from a stream, checked for their length and held as words of the bus."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..memory import read_register
from .stream_map import StreamSettings, StreamShape
from .stream_registers import TableLoad, look_up

__all__ = ["VectorReceiver", "item_layout"]


def item_layout(shape: StreamShape) -> StructLayout:
    """An item of a stream of vectors: an activation, and whether it is its vector's last."""
    return StructLayout({"data": shape.config.activation_bits, "last": 1})


class VectorReceiver(wiring.Component):
    """Takes input vectors, one activation per cycle, and holds each as words of the bus.

    A vector whose last activation is not marked as such, or whose marker comes before it, is
    dropped up to its marker. While a vector is held, none is taken; the next may be, from the cycle
    after `take`, unless words are to be cleared.

    When `enable` goes low, the vector that is coming in is dropped, all of it, a vector that is
    whole is kept. After `enable` has gone high, and such a vector was taken, the words are cleared
    first, one a cycle, since a vector fills no gaps.

    Members
    -------
    i : In(stream.Signature(item_layout))
    enable : In(1)
    inputs : In(32)
        Activations of a vector, 1 or more.
    inputs_at : In(TableLoad)
    early, missing : Out(1)
        One cycle for every vector that is dropped for its marker.
    held : Out(1)
        A vector has come in whole.
    full : Out(1)
        So it has, and `word` is its.
    take : In(1)
        It was used.
    index : In(range(room))
    word : Out(32)
        At the index two cycles ago.
    """

    def __init__(self, shape: StreamShape, settings: StreamSettings):
        self.shape = shape
        self.settings = settings
        super().__init__(
            {
                "i": In(stream.Signature(item_layout(shape))),
                "enable": In(1),
                "inputs": In(32),
                "inputs_at": In(TableLoad(shape.items, shape.input_place)),
                "early": Out(1),
                "missing": Out(1),
                "held": Out(1),
                "full": Out(1),
                "take": In(1),
                "index": In(bits_for(shape.room - 1)),
                "word": Out(layouts.BUS_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        payload = self.i.payload
        count, taken, stored = Signal(range(self.shape.items)), Signal(), Signal()
        last, clearing = Signal(), Signal()
        within = Signal()  # a vector whose marker has not come yet
        stale = Signal()  # the words are to be cleared: gaps may be elsewhere from now on
        clear = clearing, Signal.like(self.index)
        m.d.comb += [
            taken.eq(self.i.valid & self.i.ready),
            last.eq(count == (self.inputs - 1)[: len(count)]),
        ]
        with m.If(taken):
            m.d.sync += within.eq(~payload.last)
        self._store(m, (stored, count), clear)
        with m.FSM():
            self._clear(m, clear, within, stale)
            with m.State("RECEIVE"):
                m.d.comb += [self.i.ready.eq(self.enable), stored.eq(taken)]
                with m.If(~self.enable):
                    m.d.sync += count.eq(0)
                    m.next = "OFF"
                with m.If(taken):
                    m.d.sync += count.eq(Mux(payload.last | last, 0, count + 1))
                    m.d.comb += [
                        self.early.eq(payload.last & ~last),
                        self.missing.eq(last & ~payload.last),
                    ]
                    with m.If(self.missing):
                        m.next = "DROP"
                    with m.If(payload.last & last):
                        m.next = "SETTLE"
            with m.State("DROP"):
                m.d.comb += self.i.ready.eq(self.enable)
                with m.If(~self.enable):
                    m.next = "OFF"
                with m.If(taken & payload.last):
                    m.next = "RECEIVE"
            self._hold(m, stale)
        with m.If(~self.enable):
            m.d.sync += stale.eq(1)
        return m

    def _hold(self, m, stale):
        """The states after a vector has come in whole, until it is used."""
        settled = Signal(2)
        with m.State("SETTLE"):  # until the last activation is where it belongs
            m.d.comb += self.held.eq(1)
            m.d.sync += settled.eq(settled + 1)
            with m.If(settled.all()):
                m.next = "FULL"
        with m.State("FULL"):
            m.d.comb += [self.held.eq(1), self.full.eq(1)]
            with m.If(self.take):
                m.next = "RECEIVE"
                with m.If(stale | ~self.enable):
                    m.next = "OFF"

    def _clear(self, m, clear, within, stale):
        """The states before vectors are taken: switched off, and clearing word after word."""
        clearing, clear_at = clear
        with m.State("OFF"):
            m.d.sync += clear_at.eq(0)
            with m.If(self.enable):
                m.next = "CLEAR"
        with m.State("CLEAR"):
            m.d.comb += clearing.eq(1)
            m.d.sync += [clear_at.eq(clear_at + 1), stale.eq(0)]
            with m.If(clear_at == self.shape.room - 1):
                m.next = "RECEIVE"
                with m.If(within):
                    m.next = "DROP"

    def _store(self, m, activation, clear):
        """What is written into the words of the vector, which are read at `index`.

        Parameters
        ----------
        activation : whether the payload is to be stored, and its number
        clear : whether a word is to be cleared instead, and which
        """
        data, (clearing, clear_at) = self.i.payload.data, clear
        m.submodules.words = words = Memory(
            shape=unsigned(layouts.BUS_BITS), depth=self.shape.room, init=[]
        )
        read = words.read_port()
        write = words.write_port(granularity=len(data))
        at = look_up(m, self.inputs_at, activation[1], self.settings.inputs_at)
        # An activation goes into its word two cycles after it was taken, its place known by then.
        stages = [(activation[0], data)]
        for age in range(1, 3):
            stage = Signal(name=f"valid_{age}"), Signal.like(data, name=f"data_{age}")
            m.d.sync += [stage[0].eq(stages[-1][0]), stage[1].eq(stages[-1][1])]
            stages.append(stage)
        valid, data = stages[-1]
        parts = self.shape.per_word
        m.d.comb += [
            read.addr.eq(self.index),
            self.word.eq(read_register(m, read.data, name="word_read")),
            write.addr.eq(Mux(clearing, clear_at, at.word)),
            write.data.eq(Mux(clearing, 0, data.replicate(parts))),
            write.en.eq(Mux(clearing, (1 << parts) - 1, valid.replicate(parts) & (1 << at.lane))),
        ]
