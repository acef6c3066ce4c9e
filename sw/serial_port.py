"""Serial ports as streams of bytes."""

from __future__ import annotations

import errno
import os
import re
import time
import urllib.parse
from typing import Any

import serial
from serial.tools import list_ports

from .transport import PortError
from .uartbone import FORGET_SECONDS, UartBone, burst_or_refuse

__all__ = ["open_serial"]

_LOOK_SECONDS = 0.05  # between two looks at the clock
_WRITE_SECONDS = 30.0  # for a burst to be taken: a port that is stuck takes none

_REASONS: dict[int | None, str] = {
    errno.ENOENT: "there is no such port",
    errno.EACCES: "you may not open this port; on Linux, join the group that owns it",
    errno.EAGAIN: "another program has this port open",
    errno.EBUSY: "another program has this port open",
    errno.EISDIR: "this is a folder, no serial port",
    errno.ENOTTY: "this is no serial port",
    errno.ENXIO: "there is no device behind this port",
    errno.ECONNREFUSED: "nothing listens at this address",
}


def open_serial(port: str, baud: int, *, timeout: float = 1.0) -> UartBone:
    """Open a serial port that leads to the bridge.

    Waits until a command that someone else left unfinished is forgotten.

    Parameters
    ----------
    port : str
        A serial port, or a URL that pyserial knows, such as ``socket://localhost:1234``.
    baud : int
        Bits per second.
    timeout : float
        Of an answer, in seconds (see `UartBone`).

    Raises
    ------
    PortError
        If there is no such port, it may not be opened, or it does not know this baud rate.
    """
    burst_or_refuse(baud, port)
    try:
        connection = serial.serial_for_url(
            port, baud, timeout=_LOOK_SECONDS, write_timeout=_WRITE_SECONDS, exclusive=True
        )
    except (OSError, ValueError, OverflowError, KeyError, re.error) as error:
        ports = ", ".join(sorted(info.device for info in list_ports.comports())) or "none"
        raise PortError(
            f"{port}: {_why_not_open(error, port, baud)}; serial ports here: {ports}"
        ) from error
    time.sleep(1.2 * FORGET_SECONDS)
    return UartBone(_SerialStream(connection, port), port=port, baud=baud, timeout=timeout)


class _SerialStream:
    """A pyserial port whose every failure is a `PortError`."""

    def __init__(self, connection: Any, port: str) -> None:
        self._connection = connection
        self._port = port

    def write(self, data: bytes, /) -> None:
        try:
            # What came before a command was sent is not an answer to it.
            if self._connection.in_waiting:
                self._connection.reset_input_buffer()
            self._connection.write(data)
        except serial.SerialTimeoutException as error:
            raise PortError(
                f"{self._port}: nothing was taken for {self._connection.write_timeout:g} s; "
                "does the other side of the port still run?"
            ) from error
        except OSError as error:
            raise self._lost(error) from error

    def read(self, count: int, seconds: float, /) -> bytes:
        data = bytearray()
        heard = time.monotonic()
        try:
            while len(data) < count and time.monotonic() < heard + seconds:
                if more := self._connection.read(count - len(data)):
                    data += more
                    heard = time.monotonic()
        except OSError as error:
            raise self._lost(error) from error
        return bytes(data)

    def close(self) -> None:
        socket = getattr(self._connection, "_socket", None)
        try:
            self._connection.close()
        finally:
            if socket is not None:  # pyserial leaves one open whose peer went first
                socket.close()

    def _lost(self, error: OSError) -> PortError:
        number = _number(error)  # pyserial's own words are guesses
        why = "" if number is None else f" ({os.strerror(number)})"
        return PortError(
            f"{self._port}: the port was lost{why}; is the board still connected, and does no "
            "other program read from the port?"
        )


def _why_not_open(error: Exception, port: str, baud: int) -> str:
    reason = _REASONS.get(_number(error))
    if reason is not None:
        return reason
    if "://" in port:
        return f"this URL cannot be opened, as socket://HOST:PORT can ({_fault_of(port, error)})"
    if not isinstance(error, OSError):
        return f"not a port that can be opened at {baud} baud ({error})"
    return f"this port cannot be opened ({error})"


def _fault_of(url: str, error: Exception) -> str:
    try:
        port = urllib.parse.urlsplit(url).port
    except ValueError:
        return "its host cannot be read, or its port is no number from 0 to 65535"
    cause = error.__context__
    if port is None and isinstance(cause, TypeError):  # which pyserial makes of a port left out
        return "it names no port"
    if KeyError in (type(cause), type(error)):  # and this, of options that it does not know
        return "its options are not pyserial's"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).removeprefix(f"Could not open port {url}: ")


def _number(error: BaseException | None) -> int | None:
    """The system's number of an error; pyserial keeps it in the exception that it caught."""
    while error is not None:
        for number in (getattr(error, "errno", None), *error.args[:1]):
            if isinstance(number, int):
                return number
        error = error.__cause__ or error.__context__
    return None
