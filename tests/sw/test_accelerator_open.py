"""How the driver finds its device."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import re
import tty

import numpy as np
import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from test_cli_device import board_with
from two_networks import EXPECTED, IMAGE, NETWORK, TINY, WHOLE, X

from hw.regmap import PLACE
from sim.engine import open_engine
from sw import ports
from sw.async_driver import AsyncAccelerator
from sw.driver import Accelerator, OtherConfiguration, UnknownConfiguration
from sw.transport import PortError

OTHER = dataclasses.replace(TINY, queue_depth=7)


def usb_port(name, vendor=0x0403):
    """As pyserial lists it; None: none of USB's."""
    port = ListPortInfo(name)
    port.vid = vendor
    return port


class TestOpen:
    @pytest.fixture
    def port(self, device):
        with board_with(device) as name:
            yield name

    @pytest.fixture
    def silent(self):
        master, slave = os.openpty()
        tty.setraw(slave)
        yield os.ttyname(slave)
        os.close(master)
        os.close(slave)

    def test_by_name(self, port):
        with Accelerator.open(port) as accelerator:
            accelerator.load(NETWORK)
            np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
            info = accelerator.info()
        assert (info.port, info.config, info.boards) == (port, TINY, ())
        assert info.image_id == f"{IMAGE.id:08x}"
        assert not info.registers.busy

    def test_auto(self, port, silent, monkeypatch, capsys):
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setenv(ports.PORTS_VARIABLE, f"/dev/ttyNONE7, {silent},{port}")
        with Accelerator.open("auto") as accelerator:
            assert accelerator.port == port
            assert repr(accelerator) == f"<Accelerator at {port}>"
        assert capsys.readouterr().err == f"found an accelerator at {port}, 1,000,000 baud\n"

    @pytest.mark.parametrize(
        ("listed", "usb", "said"),
        [
            (
                "/dev/ttyNONE7,{silent},,",
                [],
                "no accelerator answers at the ports that THRESHER_PORTS lists: /dev/ttyNONE7 "
                "(there is no such port), {silent} (no answer to a read of register magic within "
                "0.5 s); and there is no USB serial port; correct THRESHER_PORTS, or name the port",
            ),
            (
                "/dev/ttyNONE7",
                ["/dev/ttyUSB77"],
                "no accelerator answers at the ports that THRESHER_PORTS lists: /dev/ttyNONE7 "
                "(there is no such port); nor at any USB serial port: /dev/ttyUSB77 (there is no "
                "such port); correct THRESHER_PORTS, or name the port",
            ),
            (
                "",
                ["/dev/ttyUSB77"],
                "no accelerator answers at any USB serial port: /dev/ttyUSB77 (there is no such "
                "port); name the port, also by the environment variable THRESHER_PORTS",
            ),
            (
                ", ,",
                [],
                "there is no USB serial port; name the port, also by the environment variable "
                "THRESHER_PORTS",
            ),
        ],
    )
    def test_auto_finds_none(self, silent, monkeypatch, listed, usb, said):
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(name) for name in usb])
        monkeypatch.setenv(ports.PORTS_VARIABLE, listed.format(silent=silent))
        with pytest.raises(PortError) as error:
            Accelerator.open()
        assert str(error.value) == said.format(silent=silent)

    def test_ports_of_usb_alone_and_ftdi_s_first(self, monkeypatch):
        found = [
            usb_port("/dev/ttyACM7", 0x1209),
            usb_port("/dev/ttyS7", None),
            usb_port("/dev/ttyUSB7", 0x0403),
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        monkeypatch.delenv(ports.PORTS_VARIABLE, raising=False)
        with pytest.raises(PortError) as error:
            Accelerator.open()
        assert re.findall(r"/dev/\w+", str(error.value)) == ["/dev/ttyUSB7", "/dev/ttyACM7"]

    def test_the_port_is_free_again(self, port):
        for _ in range(2):
            with Accelerator.open(port) as accelerator:
                accelerator.load(NETWORK)

    def test_async(self, port, monkeypatch, capsys):
        """It says of itself, and of the port that it chose, what the blocking face does."""
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setenv(ports.PORTS_VARIABLE, port)

        async def main():
            async with await AsyncAccelerator.open() as accelerator:
                await accelerator.load(NETWORK)
                found = (
                    repr(accelerator),
                    accelerator.config_digest,
                    await accelerator.image_id(),
                    accelerator.line_seconds,
                )
                return await accelerator.predict(X), found

        outputs, found = asyncio.run(main())
        np.testing.assert_array_equal(outputs, EXPECTED)
        assert capsys.readouterr().err == f"found an accelerator at {port}, 1,000,000 baud\n"
        with Accelerator.open(port) as accelerator:
            before = accelerator.line_seconds
            accelerator.load(NETWORK, whole=True)
            took = accelerator.line_seconds - before
            digest, image_id = accelerator.config_digest, accelerator.image_id
        assert found[:3] == (f"<AsyncAccelerator at {port}>", digest, image_id)
        assert (digest, image_id) == (TINY.digest, IMAGE.id)
        assert found[3] > took > 10 * 4 * WHOLE / 1_000_000


@pytest.fixture(scope="module")
def other():
    with open_engine(OTHER) as transport:
        yield transport


class TestConfiguration:
    """Of an engine that no preset has."""

    def test_is_named_by_an_argument(self, other):
        accelerator = Accelerator(other)
        assert accelerator.info().config is None
        with pytest.raises(UnknownConfiguration) as error:
            accelerator.load(NETWORK)
        assert str(error.value) == (
            f"the device was built for configuration {OTHER.digest:08x}, which no preset has; name "
            "it by the argument config"
        )
        copy = pickle.loads(pickle.dumps(error.value))
        assert (str(copy), copy.found) == (str(error.value), OTHER.digest)
        accelerator = Accelerator(other, config=OTHER)
        accelerator.load(NETWORK)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_another_is_refused(self, other):
        """At once, and the device may be written to by others as before."""
        with Accelerator(other) as accelerator:
            accelerator.release()
        with pytest.raises(OtherConfiguration) as error:
            Accelerator(other, config=TINY)
        assert str(error.value) == (
            f"the device was built for configuration {OTHER.digest:08x}, the argument config is "
            f"{TINY.digest:08x}"
        )
        copy = pickle.loads(pickle.dumps(error.value))
        assert (copy.found, copy.expected) == (OTHER.digest, TINY.digest)
        assert other.read(PLACE["write_first"], 2).tolist() == [0, 2**30 - 1]
