"""A UART of 8 data bits, no parity and one stop bit, as a stream of bytes each way."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["DIVISOR_MIN", "TOLERANCE", "UartReceiver", "UartTransmitter"]

DIVISOR_MIN = 4
"""The receiver needs this many samples of a bit to place one near its middle."""
TOLERANCE = 0.02
"""How far off the speed of a line may be, as a share of it."""


def _checked(divisor: int) -> int:
    if divisor < DIVISOR_MIN:
        raise ValueError(f"divisor is {divisor}; it must be {DIVISOR_MIN} or more")
    return divisor


class UartReceiver(wiring.Component):
    """Bytes from a serial line that may be off in speed by `TOLERANCE`.

    Each bit is sampled once, near its middle. A start bit that is over by its middle is taken for
    noise and leaves no trace. A byte without a stop bit is dropped with a pulse of `error`, and
    the line must be idle again before the next start bit counts, so that a break is one error.

    A byte is offered from the middle of its stop bit and waits until the middle of the next one;
    if it has not been taken by then, the newer byte is dropped with a pulse of `error`.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 4 or more.

    Members
    -------
    rx : In(1)
        The serial line, not synchronised to any clock.
    o : Out(stream.Signature(8))
        The bytes.
    error : Out(1)
        High for one cycle for each byte that is dropped.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8)), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)

        timer = Signal(range(1 - self.divisor, 1))  # up to 0, so that the sign alone tells the end
        place = Signal(range(10))  # 0: start bit; 1 to 8: data, least significant first; 9: stop
        data = Signal(8)

        m.d.sync += self.error.eq(0)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        with m.FSM():
            with m.State("IDLE"):
                # A start bit is seen half a cycle late on average, and the timer takes one more.
                m.d.sync += [timer.eq(-((self.divisor - 3) // 2)), place.eq(0)]
                with m.If(~rx):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += timer.eq(timer + 1)
                with m.If(~timer[-1]):
                    m.d.sync += [timer.eq(1 - self.divisor), place.eq(place + 1)]
                    with m.If(place != 9):
                        m.d.sync += data.eq(Cat(data[1:], rx))
                    with m.If((place == 0) & rx):
                        m.next = "IDLE"
                    with m.Elif(place == 9):
                        m.next = "IDLE"
                        with m.If(~rx):
                            m.d.sync += self.error.eq(1)
                            m.next = "BREAK"
                        with m.Elif(self.o.valid & ~self.o.ready):
                            m.d.sync += self.error.eq(1)
                        with m.Else():
                            m.d.sync += [self.o.payload.eq(data), self.o.valid.eq(1)]
            with m.State("BREAK"):
                with m.If(rx):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line: one byte every ``10 * divisor`` cycles when they are waiting.

    The start bit begins in the cycle after a byte is taken.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 4 or more.

    Members
    -------
    i : In(stream.Signature(8))
        The bytes.
    tx : Out(1)
        The serial line, straight from a flip-flop.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = _checked(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        timer = Signal(range(1 - self.divisor, 1))  # up to 0, so that the sign alone tells the end
        later = Signal(9, init=~0)  # the bits after the one on the line
        left = Signal(range(10))  # how many of them are still to be sent

        with m.If(timer[-1]):
            m.d.sync += timer.eq(timer + 1)
        with m.Else():
            m.d.sync += Cat(self.tx, later).eq(Cat(later, Const(1, 1)))
            with m.If(left != 0):
                m.d.sync += [left.eq(left - 1), timer.eq(1 - self.divisor)]
            with m.Else():
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        Cat(self.tx, later).eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))),
                        left.eq(9),
                        timer.eq(1 - self.divisor),
                    ]
        return m
