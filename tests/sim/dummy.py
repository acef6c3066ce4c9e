"""Small designs with which the simulation itself is tested."""

from amaranth.hdl import Assert, Const, Module, Mux, Print, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.bus import BusSignature
from hw.link.uart import UartReceiver, UartTransmitter
from sim.verilog import DEEP

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


class DeepDummy(wiring.Component):
    """A bus target of two memories: a deep one of 20 bits; from word 2 * DEEP on, 16 of 32.

    Members
    -------
    bus : In(BusSignature())
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.deep = deep = Memory(shape=20, depth=DEEP, init=[])
        m.submodules.ram = ram = Memory(shape=32, depth=16, init=range(16))
        bus, place = self.bus, self.bus.address.offset
        m.d.sync += bus.acknowledge.eq(bus.request & ~bus.acknowledge)
        for memory, first in ((deep, 0), (ram, 2 * DEEP)):
            store, load = memory.write_port(), memory.read_port()
            here = (place >= first) & (place < first + memory.depth)
            m.d.comb += [
                store.addr.eq(place),
                store.data.eq(bus.w_data),
                store.en.eq(bus.acknowledge & bus.write & here),
                load.addr.eq(place),
            ]
            with m.If(here):
                m.d.comb += bus.r_data.eq(load.data)
        return m


class StreamDummy(wiring.Component):
    """A buffer of four words, with a fault on demand.

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
        taken, beat = Signal(16), Signal(4)
        m.d.sync += beat.eq(beat + 1)
        m.d.sync += taken.eq(taken + (self.i.valid & self.i.ready))
        # The faults: the 300th word is lost or comes twice, all words are kept back, or valid
        # falls or the payload changes from time to time.
        last = taken == 299
        loses, repeats, blocks, retracts, changes = (
            self.fault == name for name in ("loses", "repeats", "blocks", "retracts", "changes")
        )
        repeated = Signal()
        m.d.sync += repeated.eq(repeated | (last & fifo.w_en & fifo.w_rdy))
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid & ~(loses & last)),
            self.i.ready.eq(fifo.w_rdy & (repeated | ~(repeats & last))),
            self.o.payload.eq(fifo.r_data ^ (changes & beat[3])),
            self.o.valid.eq(fifo.r_rdy & ~(retracts & beat.all()) & ~Const(blocks)),
            fifo.r_en.eq(self.o.ready & self.o.valid),
        ]
        return m


class OpenStreams(wiring.Component):
    """Streams without stalls and without payload: a register, and a pulse for each of its words.

    Members
    -------
    i : In(stream.Signature(8, always_ready=True))
    o : Out(stream.Signature(8, always_ready=True))
    pulse : Out(stream.Signature(0, always_ready=True))
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(8, always_ready=True)),
                "pulse": Out(stream.Signature(0, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(self.i.valid)]
        m.d.comb += self.pulse.valid.eq(self.o.valid)
        return m


class EchoBoard(wiring.Component):
    """Sends back every byte, plus one.

    Members
    -------
    rx : In(1)
    tx : Out(1)
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8, depth=32)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            fifo.w_data.eq(receiver.o.payload + 1),
            fifo.w_en.eq(receiver.o.valid),
            receiver.o.ready.eq(fifo.w_rdy),
            transmitter.i.payload.eq(fifo.r_data),
            transmitter.i.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(transmitter.i.ready),
            self.tx.eq(transmitter.tx),
        ]
        return m
