"""The wire format of LiteX's UARTBone, as the host speaks it (see `hw.link.uartbone`)."""

from __future__ import annotations

import secrets
import struct
import time

import numpy as np
from numpy.typing import NDArray

from hw.regmap import PLACE, REGISTERS
from hw.wire import Opcode

from .transport import ByteStream, DeviceSilent, LinkError, PortError

__all__ = ["FORGET_SECONDS", "UartBone", "burst_or_refuse", "burst_words"]

# The gateware forgets a command that takes longer than this.
FORGET_SECONDS = 0.1
# How long a command may take by the baud rate: half of it is left for gaps that USB makes.
_COMMAND_SECONDS = FORGET_SECONDS / 2

_BITS_PER_BYTE = 10  # with start and stop bit
_HEADER_BYTES = 6
_WORD_BYTES = 4
_BURST_MAX = 255
_COMMAND_BYTES_MAX = _HEADER_BYTES + _BURST_MAX * _WORD_BYTES

_RECENT_BYTES = 4096.0  # by which the line's speed is known
_FIRST_BYTES = 64.0  # as many, before anything was sent, are taken to have gone at the baud rate
# An answer is waited for a second, say; once there was one, this or so many times as long as the
# quickest took: on a bad line many bytes are waited for that never come.
_LEAST_SECONDS = 0.3
_LATENCIES = 10
_PATIENCE = 4  # times as long as what was sent should take
_RESYNCHRONISE_MAX = 6
# On a line that spoils one byte in 500, one question in 40 gets no answer, and a load asks some
# hundred times: two in a row are no sign that the device has gone.
_SILENT_MAX = 3


class UartBone:
    """A `Transport` in the wire format of LiteX's UARTBone (see `hw.link.uartbone`).

    The format carries no checksum: a damaged byte shows only in what was read or written.

    Parameters
    ----------
    stream : ByteStream
        The bytes; `close` closes it.
    port : str
        What messages call it.
    baud : int
        Bits per second. It bounds a burst, for the gateware forgets a command that takes 100 ms.
    timeout : float
        Seconds that an answer is waited for; longer if what was sent before takes long, or did
        lately, and less long, but 0.3 s, once a device has answered quickly.

    Attributes
    ----------
    port : str
    bytes : int
        Sent and heard so far.

    Raises
    ------
    PortError
        If `baud` is so low that a command for one word would take too long.
    """

    def __init__(self, stream: ByteStream, *, port: str, baud: int, timeout: float = 1.0) -> None:
        self._stream = stream
        self.port = port
        self.bytes = 0
        self._baud = baud
        self._timeout = timeout
        self._burst = burst_or_refuse(baud, port)
        # What was sent and heard lately, to know how long that takes beside the time of an answer.
        self._known_bytes = _FIRST_BYTES
        self._known_seconds = _FIRST_BYTES * _BITS_PER_BYTE / baud
        self._latency = timeout
        self._unanswered = 0  # bytes that were sent since the last whole answer
        self._since = 0.0  # when the first of them was
        self._at_rest = False  # whether the last answer was whole, and nothing was sent since
        self._in_time = True  # whether no answer was waited for in vain since

    def write(self, address: int, words: NDArray[np.uint32], *, fixed: bool = False) -> None:
        """Write words; returns when they are on their way, for a write is not answered.

        Parameters
        ----------
        address : int
            Word address of the first.
        words : (n,) uint32
            Any number of words; sent in as many commands as it takes.
        fixed : bool
            Write all to `address` instead of to successive addresses.

        Raises
        ------
        LinkError
            If the port does not take the bytes.
        """
        for start in range(0, len(words), self._burst):
            burst = words[start : start + self._burst]
            header = (
                _header(Opcode.WRITE_FIXED, len(burst), address)
                if fixed
                else _header(Opcode.WRITE, len(burst), address + start)
            )
            self._send(header + burst.astype(">u4").tobytes())

    def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """Read words from successive addresses.

        Parameters
        ----------
        address : int
            Word address of the first.
        count : int
            Any number of words; read in as many commands as it takes.

        Returns
        -------
        (count,) uint32

        Raises
        ------
        DeviceSilent
            If there is no answer at all.
        LinkError
            If the answer is too short; `resynchronise` before the next command.
        """
        answers = [
            self._read_burst(address + start, min(self._burst, count - start))
            for start in range(0, count, self._burst)
        ]
        return np.frombuffer(b"".join(answers), ">u4").astype(np.uint32)

    def _read_burst(self, address: int, count: int) -> bytes:
        self._send(_header(Opcode.READ, count, address))
        wanted = count * _WORD_BYTES
        answer, patience = self._hear(wanted)
        if not answer:
            raise DeviceSilent(
                f"{self.port}: no answer to a read of {_name(address)} within {patience:.2g} s;"
                f" is the board programmed and is {self._baud} its baud rate?"
            )
        if len(answer) < wanted:
            raise LinkError(
                f"{self.port}: only {len(answer)} of {wanted} bytes came within {patience:.2g}"
                f" s in answer to a read of {_name(address)}; is {self._baud} its baud rate?"
            )
        self._at_rest = True
        return answer

    def _send(self, data: bytes) -> None:
        if not self._unanswered:
            self._since = time.monotonic()
        self._unanswered += len(data)
        self._at_rest = False
        self.bytes += len(data)
        self._stream.write(data)

    def _hear(self, wanted: int, times: int = 0) -> tuple[bytes, float]:
        """An answer of so many bytes, or what came of it; how long the device was waited for.

        That is so many times the time-out, or where that is 0 what the quickest answers suggest.
        """
        sent = self._unanswered
        lately = max(_LEAST_SECONDS, _LATENCIES * self._latency)
        silence = self._timeout if times else min(self._timeout, lately)
        sending = _PATIENCE * sent * self._known_seconds / self._known_bytes
        patience = max(1, times) * (silence + sending)
        answer = self._stream.read(wanted, patience)
        self.bytes += len(answer)
        if len(answer) < wanted:
            self._in_time = self._at_rest = False
            # Else a line that has become slower would never be waited for long enough again.
            self._latency = min(self._timeout, 2 * self._latency)
            return answer, patience
        if sent and self._in_time:
            self._learn(sent + wanted, time.monotonic() - self._since)
        self._unanswered, self._in_time = 0, True
        return answer, patience

    def _learn(self, count: int, seconds: float) -> None:
        """So many bytes to the device and from it took so long."""
        self._latency = min(self._latency, seconds)
        self._known_bytes += count
        self._known_seconds += seconds - self._latency
        forget = max(1.0, self._known_bytes / _RECENT_BYTES)
        self._known_bytes, self._known_seconds = (
            self._known_bytes / forget,
            self._known_seconds / forget,
        )

    def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """Read one word again and again until ``word & mask == value``.

        Parameters
        ----------
        address : int
            Word address.
        mask, value : int
            32 bits each.
        timeout : float
            Seconds. The word is read at least once.

        Returns
        -------
        bool
            False if it was not so in time.

        Raises
        ------
        LinkError
            As `read`.
        """
        deadline = time.monotonic() + timeout
        while True:
            if int(self.read(address, 1)[0]) & mask == value:
                return True
            if time.monotonic() >= deadline:
                return False

    def resynchronise(self) -> None:
        """Bring a bridge that is in the middle of a command back to its start.

        It is sent zeros: they end whatever command it is in, and are none themselves. What it may
        write by them is at an address at which something was written just now. Then it must answer
        to what nobody has asked before; all that it says until then is thrown away. If its last
        answer was whole, it is hardly in a command, and is asked without zeros first.

        Raises
        ------
        DeviceSilent
            If it does not answer at all.
        LinkError
            If it answers something else.
        """
        silent = 0
        for attempt in range(0 if self._at_rest else 1, _RESYNCHRONISE_MAX + 1):
            word = secrets.token_bytes(_WORD_BYTES)
            if attempt:
                self._send(bytes(_COMMAND_BYTES_MAX))
            self._send(_header(Opcode.WRITE, 1, PLACE["scratch"]) + word)
            self._send(_header(Opcode.READ, 1, PLACE["scratch"]))
            heard = b""
            # Longer and longer: what is sent too early makes it later still.
            while byte := self._hear(1, attempt if attempt > 1 else 0)[0]:
                heard += byte
                if heard.endswith(word):
                    self._at_rest = True
                    return
                if len(heard) > 2 * _COMMAND_BYTES_MAX:  # more than all answers there may be
                    raise LinkError(
                        f"{self.port}: the device keeps sending although it was asked nothing;"
                        f" is this the port of the board and is {self._baud} its baud rate?"
                    )
            silent = 0 if heard or not attempt else silent + 1
            if silent == _SILENT_MAX:
                raise DeviceSilent(f"{self.port}: the device has stopped answering")
        raise LinkError(
            f"{self.port}: the device does not answer as it should; is this the port of the board"
            f" and is {self._baud} its baud rate?"
        )

    @property
    def line_seconds(self) -> float:
        """How long all bytes so far take at the baud rate, one after the other."""
        return self.bytes * _BITS_PER_BYTE / self._baud

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def burst_words(baud: int) -> int:
    """Words that one command may carry at `baud` bits per second; 0 if it is too slow for any."""
    command_bytes = int(baud * _COMMAND_SECONDS) // _BITS_PER_BYTE
    return min(_BURST_MAX, max(0, command_bytes - _HEADER_BYTES) // _WORD_BYTES)


def burst_or_refuse(baud: int, port: str) -> int:
    burst = burst_words(baud)
    if burst < 1:
        least = round(_BITS_PER_BYTE * (_HEADER_BYTES + _WORD_BYTES) / _COMMAND_SECONDS)
        raise PortError(f"{port}: baud rate {baud} is too low; it must be {least} or more")
    return burst


def _header(command: int, count: int, address: int) -> bytes:
    return struct.pack(">BBI", command, count, address)


def _name(address: int) -> str:
    if address < len(REGISTERS):
        return f"register {REGISTERS[address].name}"
    return f"word 0x{address:08x}"
