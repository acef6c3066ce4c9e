"""Small designs with which the simulation itself is tested."""

from amaranth.hdl import Assert, Module, Mux, Print, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.bus import BusSignature

RAM = 0  # 16 words
BUSY = 16  # write N: reads 1 for N cycles
COUNT = 17  # transfers that were acknowledged
SILENT = 18  # never acknowledges
FATAL = 19  # a write fails an assertion
LOUD = 20  # a write prints a line


class BusDummy(wiring.Component):
    """A bus target with memory, a register that is busy for a while, and bad manners on demand.

    Members
    -------
    bus : In(BusSignature())
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        super().__init__({"bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = ram = Memory(shape=32, depth=16, init=range(self.start, self.start + 16))
        store, load = ram.write_port(), ram.read_port()
        bus = self.bus
        place = bus.address.offset
        count, remaining = Signal(32), Signal(32)
        write = Signal()
        m.d.sync += bus.acknowledge.eq(bus.request & ~bus.acknowledge & (place != SILENT))
        m.d.comb += [
            write.eq(bus.acknowledge & bus.write),
            store.addr.eq(place),
            store.data.eq(bus.w_data),
            store.en.eq(write & (place < BUSY)),
            load.addr.eq(place),
            bus.r_data.eq(load.data),
        ]
        with m.If(place == BUSY):
            m.d.comb += bus.r_data.eq(remaining != 0)
        with m.If(place == COUNT):
            m.d.comb += bus.r_data.eq(count)
        m.d.sync += [
            remaining.eq(Mux(remaining != 0, remaining - 1, 0)),
            count.eq(count + bus.acknowledge),
        ]
        with m.If(write & (place == BUSY)):
            m.d.sync += remaining.eq(bus.w_data)
        with m.If(write & (place == LOUD)):
            m.d.sync += Print("loud")
        m.d.sync += Assert(~(write & (place == FATAL)), "the dummy was told to fail")
        return m


class StreamDummy(wiring.Component):
    """A buffer of four words, which breaks the rules of streams on demand.

    Members
    -------
    i : In(stream.Signature(8))
    o : Out(stream.Signature(8))
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8, depth=4)
        beat = Signal(4)
        m.d.sync += beat.eq(beat + 1)
        stuck = beat.all() if self.fault == "retracts" else 0
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data ^ (beat[3] if self.fault == "changes" else 0)),
            self.o.valid.eq(fifo.r_rdy & ~stuck),
            fifo.r_en.eq(self.o.ready & self.o.valid),
        ]
        if self.fault == "blocks":
            m.d.comb += [self.o.valid.eq(0), fifo.r_en.eq(0)]
        return m
