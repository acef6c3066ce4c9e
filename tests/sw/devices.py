"""Devices behind pseudo-terminals, opened through real pyserial, for tests."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty

import numpy as np

from hw.wire import Opcode
from sw import serial_port

__all__ = [
    "BAUD",
    "TIMEOUT",
    "Device",
    "address_as_data",
    "board_with",
    "command_size",
    "memory",
    "opened",
]

BAUD = 115_200
TIMEOUT = 0.25


class Device:
    """The far end of a pseudo-terminal; answers each whole command by ``answer(command)``."""

    def __init__(self, answer=lambda command: b""):
        self._answer = answer
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.received = bytearray()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        pending = bytearray()
        while not self._stop.is_set():
            if select.select([self._master], [], [], 0.01)[0]:
                data = os.read(self._master, 4096)
                self.received += data
                pending += data
            while pending and not pending[0]:
                del pending[0]
            while len(pending) >= 6 and len(pending) >= (size := command_size(pending)):
                self.say(self._answer(bytes(pending[:size])))
                del pending[:size]

    def say(self, data):
        os.write(self._master, data)

    def await_bytes(self, count):
        deadline = time.monotonic() + 10
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return bytes(self.received)

    def unplug(self):
        self._stop.set()
        self._thread.join()
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(end)


def command_size(header):
    return 6 + (4 * header[1] if header[0] in (1, 3) else 0)


def memory():
    """A device in which every word holds its own address until it is written to."""
    words = {}

    def answer(command):
        first = int.from_bytes(command[2:6], "big")
        if command[0] == 1:
            words[first] = command[6:10]
        if command[0] != 2:
            return b""
        places = range(first, first + command[1])
        return b"".join(words.get(n, n.to_bytes(4, "big")) for n in places)

    return answer


@contextlib.contextmanager
def opened(answer=lambda command: b""):
    device = Device(answer)
    try:
        with contextlib.closing(
            serial_port.open_serial(device.port, BAUD, timeout=TIMEOUT)
        ) as bone:
            yield bone, device
    finally:
        device.unplug()


def address_as_data(command):
    """A device in which every word holds its own address."""
    first = int.from_bytes(command[2:6], "big")
    if command[0] != 2:
        return b""
    return b"".join((first + n).to_bytes(4, "big") for n in range(command[1]))


@contextlib.contextmanager
def board_with(transport):
    """The port of a device whose far end hands UARTBone commands to a transport."""

    def answer(command):
        address = int.from_bytes(command[2:6], "big")
        if command[0] == Opcode.WRITE:
            transport.write(address, np.frombuffer(command[6:], ">u4").astype(np.uint32))
            return b""
        assert command[0] == Opcode.READ
        return transport.read(address, command[1]).astype(">u4").tobytes()

    device = Device(answer)
    try:
        yield device.port
    finally:
        device.unplug()
