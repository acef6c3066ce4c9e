"""Opening serial ports and sockets, and what is no port."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import tty

import numpy as np
import pytest
from devices import BAUD, TIMEOUT, Device, address_as_data, opened

from sw import serial_port, transport
from sw.errors import BadInput

NOBODY = 65534
# What the system says of it depends on the moment.
LOST = (
    r"^{port}: the port was lost( \([\w/ ]+\))?; is the board still connected, and does no other "
    r"program read from the port\?$"
)


def test_port_that_another_program_has_open():
    with (
        opened() as (_, device),
        pytest.raises(transport.PortError, match="another program has this port open"),
    ):
        serial_port.open_serial(device.port, BAUD)


def test_missing_port():
    with pytest.raises(transport.PortError) as error:
        serial_port.open_serial("/dev/ttyNONE7", BAUD)
    assert str(error.value).startswith("/dev/ttyNONE7: there is no such port; serial ports here: ")
    assert isinstance(error.value, BadInput)


@pytest.fixture
def anyone():
    """As a user who may not do everything: root may open every port."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


@pytest.fixture
def closed_port(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch(0o000)
    return port


@pytest.mark.usefixtures("closed_port", "anyone")
def test_port_without_permission(tmp_path):
    port = tmp_path / "ttyUSB0"
    with pytest.raises(transport.PortError, match="you may not open this port"):
        serial_port.open_serial(str(port), BAUD)


def test_file_that_is_no_port(tmp_path):
    port = tmp_path / "network.npz"
    port.touch()
    with pytest.raises(transport.PortError, match="this is no serial port"):
        serial_port.open_serial(str(port), BAUD)


@pytest.mark.parametrize("port", ["", "nowhere://x", "socket://", "socket://127.0.0.1:1"])
def test_name_that_is_no_port(port):
    with pytest.raises(transport.PortError, match=f"^{port}: .*; serial ports here: "):
        serial_port.open_serial(port, BAUD)


@pytest.mark.parametrize("baud", [-1, 0, 1999, 10**12])
def test_impossible_baud_rate(baud):
    device = Device()
    try:
        with pytest.raises(transport.PortError, match=str(baud)):
            serial_port.open_serial(device.port, baud)
    finally:
        device.unplug()


def test_opening_outlasts_a_command_that_somebody_left_unfinished():
    started = time.monotonic()
    with opened() as (_, device):
        assert time.monotonic() - started > 0.1
        assert device.received == b""


def test_other_side_that_takes_nothing(monkeypatch):
    monkeypatch.setattr(serial_port, "_WRITE_SECONDS", 0.3)
    master, slave = os.openpty()  # that nobody reads from
    tty.setraw(slave)
    port = os.ttyname(slave)
    try:
        with (
            contextlib.closing(serial_port.open_serial(port, BAUD)) as bone,
            pytest.raises(transport.PortError, match=rf"^{port}: nothing was taken for 0.3 s; "),
        ):
            bone.write(0, np.zeros(100_000, np.uint32))
    finally:
        os.close(master)
        os.close(slave)


def test_socket():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        bone = serial_port.open_serial(port, BAUD, timeout=TIMEOUT)
        peer, _ = server.accept()
        with contextlib.closing(bone), peer:
            peer.sendall(b"hello")
            time.sleep(0.05)
            thread = threading.Thread(target=lambda: peer.sendall(address_as_data(peer.recv(6))))
            thread.start()
            assert bone.read(5, 2).tolist() == [5, 6]
            thread.join()
            with pytest.raises(transport.DeviceSilent):
                bone.read(5, 2)
            peer.close()
            with pytest.raises(transport.PortError, match=LOST.format(port=port)):
                bone.read(5, 2)


def test_port_that_is_lost_while_it_is_read():
    master, slave = os.openpty()
    tty.setraw(slave)
    port = os.ttyname(slave)

    def vanish():
        os.read(master, 6)
        time.sleep(0.1)
        os.close(master)

    thread = threading.Thread(target=vanish)
    with contextlib.closing(serial_port.open_serial(port, BAUD)) as bone:
        thread.start()
        with pytest.raises(transport.PortError, match=LOST.format(port=port)):
            bone.read(5, 2)
    thread.join()
    os.close(slave)
