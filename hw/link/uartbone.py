"""The UARTBone bridge: a host reads and writes the internal bus over a serial line.

The wire format is the one of LiteX (`litex/soc/cores/uart.py`, ``Stream2Wishbone``), so that
``litex_server`` and ``litex_cli`` work unchanged. A command is

====== ===================================================================================
byte   meaning
====== ===================================================================================
0      1 write, 2 read, both to successive addresses; 3 write, 4 read, at one fixed address
1      number of 32-bit words, 1 to 255
2-5    word address (byte address / 4), most significant byte first
6-     for a write: the words, most significant byte first
====== ===================================================================================

A read is answered by the words, most significant byte first; a write is not answered.
"""

import contextlib

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..wire import Opcode
from .uart import UartReceiver, UartTransmitter

__all__ = ["BusBridge", "UartBone"]


class _Command:
    """What is kept of a command that is under way."""

    def __init__(self, timeout):
        self.write = Signal()
        self.fixed = Signal()
        self.count = Signal(8)
        self.address = Signal(layouts.BUS_ADDRESS_BITS)
        self.word = Signal(layouts.BUS_BITS)
        self.place = Signal(2)  # of a byte within the address or the word
        self.last_byte = self.place == 3
        self.timer = Signal(range(1 - timeout, 1))  # up to 0, so that the sign alone tells the end
        self.expired = ~self.timer[-1]

    def shift(self, register, byte):
        """A byte goes into the low end of the address or the word."""
        return [register.eq(Cat(byte, register)), self.place.eq(self.place + 1)]


class BusBridge(wiring.Component):
    """UARTBone commands on a stream of bytes, whatever carries it.

    A byte that is no command where one is expected is ignored, and so is a command for 0 words.
    Bits 31 and 30 of an address are ignored.

    A command that is not finished `timeout` cycles after its first byte was taken is forgotten,
    and the next byte is taken for a command. A bus transfer, or a byte of the answer, that is
    under way at that moment is still finished.

    No byte is taken while a bus transfer or an answer is under way.

    Parameters
    ----------
    timeout : int
        Clock cycles, 2 or more.

    Members
    -------
    i : In(stream.Signature(8))
        Commands.
    o : Out(stream.Signature(8))
        Answers.
    bus : Out(BusSignature())
        One transfer a word, in the order of the words.
    """

    def __init__(self, timeout: int) -> None:
        if timeout < 2:
            raise ValueError(f"timeout is {timeout}; it must be 2 cycles or more")
        self.timeout = timeout
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        command = _Command(self.timeout)
        with m.If(~command.expired):
            m.d.sync += command.timer.eq(command.timer + 1)

        m.d.comb += [
            Value.cast(self.bus.address).eq(command.address),
            self.bus.write.eq(command.write),
            self.bus.w_data.eq(command.word),
            self.o.payload.eq(command.word[-8:]),
        ]

        with m.FSM():
            self._begin(m, command)
            self._receive(m, command)
            self._answer(m, command)
        return m

    def _begin(self, m, command):
        """The states in which a command is awaited, and the number of its words."""
        with m.State("COMMAND"):
            m.d.comb += self.i.ready.eq(1)
            m.d.sync += [
                command.timer.eq(1 - self.timeout),
                command.place.eq(0),
                command.write.eq(self.i.payload[0]),
                command.fixed.eq(self.i.payload >= Opcode.WRITE_FIXED.value),
            ]
            first, *_, last = (opcode.value for opcode in Opcode)
            with m.If(self.i.valid & (self.i.payload >= first) & (self.i.payload <= last)):
                m.next = "COUNT"
        with m.State("COUNT"):
            m.d.sync += command.count.eq(self.i.payload)
            with self._byte(m, command):
                m.next = "ADDRESS"

    def _receive(self, m, command):
        """The states in which the address comes in, and a word that is to be written."""
        with m.State("ADDRESS"), self._byte(m, command):
            m.d.sync += command.shift(command.address, self.i.payload)
            with m.If(command.last_byte & (command.count == 0)):
                m.next = "COMMAND"
            with m.Elif(command.last_byte & command.write):
                m.next = "RECEIVE"
            with m.Elif(command.last_byte):
                m.next = "TRANSFER"
        with m.State("RECEIVE"), self._byte(m, command):
            m.d.sync += command.shift(command.word, self.i.payload)
            with m.If(command.last_byte):
                m.next = "TRANSFER"

    def _answer(self, m, command):
        """The states of a transfer on the bus, and of sending a word that was read."""
        with m.State("TRANSFER"):
            m.d.comb += self.bus.request.eq(1)
            with m.If(self.bus.acknowledge):
                m.d.sync += [
                    command.word.eq(self.bus.r_data),
                    command.address.eq(command.address + ~command.fixed),
                    command.count.eq(command.count - 1),
                ]
                with m.If(~command.write):
                    m.next = "SEND"
                with m.Elif(command.count == 1):
                    m.next = "COMMAND"
                with m.Else():
                    m.next = "RECEIVE"
        with m.State("SEND"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                m.d.sync += command.shift(command.word, self.i.payload)
                with m.If(command.expired | (command.last_byte & (command.count == 0))):
                    m.next = "COMMAND"
                with m.Elif(command.last_byte):
                    m.next = "TRANSFER"

    @contextlib.contextmanager
    def _byte(self, m, command):
        """What is done with the next byte of a command, unless its time is over."""
        m.d.comb += self.i.ready.eq(~command.expired)
        with m.If(command.expired):
            m.next = "COMMAND"
        with m.Elif(self.i.valid):
            yield


class UartBone(wiring.Component):
    """The internal bus at the end of a serial line of 8 data bits, no parity, one stop bit.

    See `BusBridge` for what a command is and when one is forgotten. A command that comes before
    the answer to a read has been sent is lost.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 4 or more.
    clock_hz : float
        Clock frequency.
    timeout : int, optional
        Clock cycles that a command may take; 100 ms by default, as in LiteX.

    Members
    -------
    rx : In(1)
        From the host, not synchronised to any clock.
    tx : Out(1)
        To the host.
    bus : Out(BusSignature())
        The accelerator.
    """

    def __init__(self, divisor: int, clock_hz: float, *, timeout: int | None = None) -> None:
        self.divisor = divisor
        self.clock_hz = clock_hz
        self.timeout = round(0.1 * clock_hz) if timeout is None else timeout
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "bus": Out(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.bridge = bridge = BusBridge(self.timeout)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)

        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        wiring.connect(m, receiver.o, bridge.i)
        wiring.connect(m, bridge.o, transmitter.i)
        wiring.connect(m, bridge.bus, wiring.flipped(self.bus))
        return m
