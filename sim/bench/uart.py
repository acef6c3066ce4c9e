"""A serial line to a simulated board: bits on its pins in cocotb, bytes for the real driver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.task import resume
from cocotb.triggers import Event, FallingEdge, SimTimeoutError, Timer, with_timeout

from sim.bench.streams import PERIOD_NS

__all__ = ["SimulatedUart"]

_DATA_BITS = 8


class SimulatedUart:
    """The host's end of a UART of 8 data bits, no parity and one stop bit.

    A `sw.transport.ByteStream` for blocking code that runs under `cocotb.task.bridge`; `send` and
    `receive` are the same for coroutines. Time passes in the simulation only: a time-out counts
    clock cycles. Bits are timed without Python at work in every cycle.

    Parameters
    ----------
    dut : handle
        The board; its clock must have the period that `sim.bench.streams.start` gives it.
    divisor : int
        Clock cycles per bit.
    timeout : int
        Clock cycles without a byte after which `read` returns what there is.
    rx, tx : str
        Ports of the board: its receiver's and its transmitter's pin.
    """

    def __init__(
        self, dut: Any, divisor: int, *, timeout: int, rx: str = "rx", tx: str = "tx"
    ) -> None:
        self._rx = getattr(dut, rx)
        self._tx = getattr(dut, tx)
        self._bit_ns = divisor * PERIOD_NS
        self._timeout_ns = timeout * PERIOD_NS
        self._received = bytearray()
        self._arrived = Event()
        self._rx.value = 1
        self._listener = cocotb.start_soon(self._listen())

    async def send(self, data: Iterable[int]) -> None:
        """Send bytes back to back; returns after the last stop bit."""
        for byte in data:
            frame = byte << 1 | 1 << (_DATA_BITS + 1)
            for place in range(_DATA_BITS + 2):
                self._rx.value = frame >> place & 1
                await Timer(self._bit_ns, unit="ns")

    async def receive(self, count: int) -> bytes:
        """The next `count` bytes, or fewer if none comes for the length of the time-out."""
        while len(self._received) < count:
            self._arrived.clear()
            try:
                await with_timeout(self._arrived.wait(), self._timeout_ns, "ns")
            except SimTimeoutError:
                break
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def write(self, data: bytes, /) -> None:
        """`send` for blocking code."""
        resume(self.send)(data)

    def read(self, count: int, _seconds: float, /) -> bytes:
        """`receive` for blocking code, with its own time-out: seconds are of the wall."""
        return resume(self.receive)(count)

    def close(self) -> None:
        """Stop listening; the line stays idle."""
        self._listener.cancel()

    async def _listen(self) -> None:
        """Take bytes from the line for as long as the test runs.

        Raises
        ------
        AssertionError
            At a byte without a stop bit, or a start bit that is shorter than half a bit.
        """
        while True:
            await FallingEdge(self._tx)
            await Timer(self._bit_ns // 2, unit="ns")
            assert not int(self._tx.value), "uart: a start bit is over before its middle"
            byte = 0
            for place in range(_DATA_BITS):
                await Timer(self._bit_ns, unit="ns")
                byte |= int(self._tx.value) << place
            await Timer(self._bit_ns, unit="ns")
            assert int(self._tx.value), f"uart: byte 0x{byte:02x} has no stop bit"
            self._received.append(byte)
            self._arrived.set()
