"""How the driver finds its device."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tty

import numpy as np
import pytest
from serial.tools import list_ports
from test_cli_device import board_with
from two_networks import EXPECTED, IMAGE, NETWORK, TINY, X

from sim.engine import open_engine
from sw import ports
from sw.async_driver import AsyncAccelerator
from sw.driver import Accelerator, DeviceError
from sw.transport import PortError


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

    def test_auto_finds_none(self, silent, monkeypatch):
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setenv(ports.PORTS_VARIABLE, f"/dev/ttyNONE7,{silent}")
        with pytest.raises(PortError) as error:
            Accelerator.open()
        assert str(error.value) == (
            f"no accelerator answers at any USB serial port: /dev/ttyNONE7 (there is no such "
            f"port), {silent} (no answer to a read of register magic within 0.5 s); name the port, "
            "also by the environment variable THRESHER_PORTS"
        )

    def test_ports_of_usb_alone_and_ftdi_s_first(self, monkeypatch):
        def info(device, vid):
            found = list_ports.comports.__globals__["list_ports_common"].ListPortInfo(device)
            found.vid = vid
            return found

        found = [
            info("/dev/ttyACM0", 0x1209),
            info("/dev/ttyS0", None),
            info("/dev/ttyUSB1", 0x0403),
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        monkeypatch.delenv(ports.PORTS_VARIABLE, raising=False)
        assert ports.candidates() == ["/dev/ttyUSB1", "/dev/ttyACM0"]

    def test_the_port_is_free_again(self, port):
        for _ in range(2):
            with Accelerator.open(port) as accelerator:
                accelerator.load(NETWORK)

    def test_async(self, port):
        async def main():
            async with await AsyncAccelerator.open(port) as accelerator:
                await accelerator.load(NETWORK)
                return await accelerator.predict(X)

        np.testing.assert_array_equal(asyncio.run(main()), EXPECTED)


def test_a_configuration_that_no_preset_has():
    config = dataclasses.replace(TINY, queue_depth=7)
    with open_engine(config) as device:
        accelerator = Accelerator(device)
        assert accelerator.info().config is None
        with pytest.raises(DeviceError, match="built for a configuration that no preset has"):
            accelerator.load(NETWORK)
        accelerator = Accelerator(device, config=config)
        accelerator.load(NETWORK)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
