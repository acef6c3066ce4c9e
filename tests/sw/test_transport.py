"""The transport through real pyserial, on pseudo-terminals and sockets.

How it and the gateware understand each other is in tests/hw/link/test_uartbone.py.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time

import numpy as np
import pytest
from devices import BAUD, TIMEOUT, Device, address_as_data, command_size, memory, opened

from sw import serial_port, transport, uartbone


def test_bytes_on_the_wire():
    with opened(address_as_data) as (bone, device):
        bone.write(0x01020304, np.array([0xDEADBEEF, 1], np.uint32))
        bone.write(0x3FFFFFFF, np.array([2, 3], np.uint32), fixed=True)
        assert bone.read(0x00ABCDEF, 2).tolist() == [0xABCDEF, 0xABCDF0]
        assert device.received == bytes.fromhex(
            "01 02 01020304 DEADBEEF 00000001  03 02 3FFFFFFF 00000002 00000003  02 02 00ABCDEF"
        )


def test_long_transfers_are_split_so_that_none_takes_50_ms():
    words = np.arange(300, dtype=np.uint32)
    with opened(address_as_data) as (bone, device):
        bone.write(0x1000, words)
        bone.write(0x2000, words, fixed=True)
        sent = device.await_bytes(2 * (3 * 6 + 4 * 300))
        heads = []
        while sent:
            heads.append((sent[0], sent[1], int.from_bytes(sent[2:6], "big")))
            sent = sent[command_size(sent) :]
        assert heads == [
            (1, 142, 0x1000),
            (1, 142, 0x1000 + 142),
            (1, 16, 0x1000 + 284),
            (3, 142, 0x2000),
            (3, 142, 0x2000),
            (3, 16, 0x2000),
        ]
        read = bone.read(0x1000, 300)
        assert read.dtype == np.uint32
        np.testing.assert_array_equal(read, words + 0x1000)


def test_nothing_to_transfer_sends_nothing():
    with opened() as (bone, device):
        bone.write(0, np.zeros(0, np.uint32))
        assert bone.read(0, 0).shape == (0,)
        time.sleep(0.05)
        assert device.received == b""


@pytest.mark.parametrize(
    ("baud", "words"),
    [(115200, 142), (9600, 10), (2000, 1), (1999, 0), (0, 0), (1_000_000, 255), (3_000_000, 255)],
)
def test_burst_fits_half_the_time_out(baud, words):
    assert uartbone.burst_words(baud) == words


def test_silent_device():
    with opened() as (bone, device), pytest.raises(transport.DeviceSilent) as error:
        bone.read(0, 1)
    assert str(error.value) == (
        f"{device.port}: no answer to a read of register magic within 0.25 s; "
        "is the board programmed and is 115200 its baud rate?"
    )


def test_silent_device_names_a_word_that_is_no_register():
    with opened() as (bone, _), pytest.raises(transport.DeviceSilent, match="word 0x08000001"):
        bone.read(0x08000001, 1)


def test_short_answer():
    with opened(lambda command: b"abc") as (bone, _), pytest.raises(transport.LinkError) as error:
        bone.read(0, 2)
    assert not isinstance(error.value, transport.DeviceSilent)
    assert "only 3 of 8 bytes came" in str(error.value)


def test_garbage_from_before_a_command_is_not_its_answer():
    device = Device(address_as_data)
    device.say(b"U-Boot 2020")
    try:
        with contextlib.closing(
            serial_port.open_serial(device.port, BAUD, timeout=TIMEOUT)
        ) as bone:
            assert bone.read(0x77, 1).tolist() == [0x77]
            device.say(b"xyz")
            time.sleep(0.05)
            assert bone.read(0x78, 2).tolist() == [0x78, 0x79]
    finally:
        device.unplug()


def test_resynchronise_throws_away_what_came():
    with opened(memory()) as (bone, device):
        device.say(b"xyz")
        bone.resynchronise()
        assert bone.read(0x78, 1).tolist() == [0x78]


def test_resynchronise_with_a_device_that_has_stopped_answering():
    with opened() as (bone, _), pytest.raises(transport.DeviceSilent, match="stopped answering"):
        bone.resynchronise()


def test_resynchronise_with_a_device_that_answers_something_else():
    with (
        opened(address_as_data) as (bone, _),
        pytest.raises(transport.LinkError, match="does not answer as it should; is this the port"),
    ):
        bone.resynchronise()


def test_zeros_are_no_commands():
    """What `resynchronise` sends to end whatever is there."""
    with opened(memory()) as (bone, device):
        bone.resynchronise()
        sent = device.await_bytes(1026 + 10 + 6)
        assert not any(sent[:1026])
        assert sent[1026:1032] == bytes.fromhex("01 01 0000000A")
        assert sent[1036:] == bytes.fromhex("02 01 0000000A")


def test_after_a_whole_answer_resynchronise_asks_without_zeros():
    with opened(memory()) as (bone, device):
        bone.read(0x78, 1)
        bone.resynchronise()
        assert len(device.await_bytes(6 + 16)) == 6 + 16


def test_resynchronise_sends_zeros_if_that_does_not_help():
    answers = iter([bytes(4), b""])  # the read before, and what is swallowed
    remembers = memory()

    def answer(command):
        found = remembers(command)
        return found if command[0] == 1 else next(answers, found)

    with opened(answer) as (bone, device):
        bone.read(0x78, 1)
        bone.resynchronise()
        assert len(device.await_bytes(6 + 16 + 1026 + 16)) == 6 + 16 + 1026 + 16


def test_a_device_that_becomes_slower_is_waited_for_again():
    """It answered at once, and after 0.4 s from then on."""
    seconds, remembers = [0.0], memory()

    def answer(command):
        time.sleep(seconds[0])
        return remembers(command)

    device = Device(answer)
    try:
        bone = serial_port.open_serial(device.port, BAUD, timeout=1.0)
        with contextlib.closing(bone):
            bone.read(0x78, 1)
            seconds[0] = 0.4
            for _ in range(12):
                with contextlib.suppress(transport.LinkError):
                    assert bone.read(0x79, 1).tolist() == [0x79]
                    break
                bone.resynchronise()
            else:
                pytest.fail("it was never waited for long enough")
            assert bone.read(0x7A, 1).tolist() == [0x7A]
    finally:
        device.unplug()


def test_a_device_that_has_answered_is_waited_for_less_long():
    answers = iter([bytes(4)])
    device = Device(lambda command: next(answers, b""))
    try:
        with contextlib.closing(serial_port.open_serial(device.port, BAUD, timeout=20)) as bone:
            bone.read(0x78, 1)
            with pytest.raises(transport.DeviceSilent) as error:
                bone.read(0x78, 1)
            assert 0.3 <= float(re.search("within (.+) s;", str(error.value))[1]) < 10
    finally:
        device.unplug()


def test_device_that_never_stops_sending():
    done = threading.Event()
    with opened() as (bone, device):

        def babble():
            while not done.wait(0.01):
                device.say(b"$GPGGA," * 10)

        thread = threading.Thread(target=babble)
        thread.start()
        try:
            with pytest.raises(transport.LinkError, match="keeps sending although"):
                bone.resynchronise()
        finally:
            done.set()
            thread.join()


def test_poll():
    answers = iter([0xF0, 0xF1, 0xF3, 0xF2])
    with opened(lambda command: next(answers).to_bytes(4, "big")) as (bone, device):
        assert bone.poll(6, 0x03, 2, timeout=30)
        assert len(device.received) == 4 * 6


def test_poll_gives_up():
    with opened(address_as_data) as (bone, _):
        started = time.monotonic()
        assert not bone.poll(6, 0xFF, 7, timeout=0.2)
        assert 0.2 <= time.monotonic() - started < 5


@pytest.mark.parametrize("use", ["read", "write"])
def test_lost_port(use):
    with opened() as (bone, device):
        device.unplug()
        with pytest.raises(transport.PortError, match=rf"^{device.port}: the port was lost"):
            bone.read(0, 1) if use == "read" else bone.write(0, np.zeros(1, np.uint32))
