"""cocotb bench of a whole board: the real driver, through the pins of its UART."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge

from hw.config import PRESETS
from sim import golden
from sim.bench.streams import parameters, start
from sim.bench.uart import SimulatedUart
from sim.random_network import Recipe, random_inputs, random_network
from sim.walk import walk
from sw.driver import Accelerator
from sw.image import Image
from sw.pack import pack
from sw.uartbone import UartBone

__all__ = ["CLOCK_HZ", "DIVISOR", "RECIPE", "packed"]

DIVISOR = 4
CLOCK_HZ = 100_000
RECIPE = Recipe(sizes=[16, 12, 8], density=0.3)
_SEED = 3
_BAUD = CLOCK_HZ // DIVISOR
_TIMEOUT = CLOCK_HZ * 3 // 20  # more than the 100 ms after which the bridge forgets a command
_VECTORS = 3
_SPOILED = 1000  # bytes among which one is spoiled: most of an image


def packed() -> Image:
    """The image with which the bench works."""
    return pack(random_network(RECIPE, _SEED), PRESETS["tiny"])


class _SpoiledStream:
    """Once it is armed: loses, repeats or changes one of the bytes to the board."""

    def __init__(self, uart: SimulatedUart, place: int, spoil: Callable[[int], bytes]) -> None:
        self._uart = uart
        self._place, self._left = place, -1
        self._spoil = spoil
        self.read = uart.read
        self.close = uart.close

    def arm(self) -> None:
        self._left = self._place

    def write(self, data: bytes, /) -> None:
        if 0 <= self._left < len(data):
            at = self._left
            data, self._left = data[:at] + self._spoil(data[at]) + data[at + 1 :], -1
        elif self._left >= 0:
            self._left -= len(data)
        self._uart.write(data)


async def _open(dut: Any) -> SimulatedUart:
    uart = SimulatedUart(dut, DIVISOR, timeout=_TIMEOUT)
    await start(dut)
    return uart


def _bone(stream: Any) -> UartBone:
    return UartBone(stream, port="simulated", baud=_BAUD)


def _check_runs(bone: UartBone) -> None:
    """The image that is there agrees with the golden model, and its counters with the walk."""
    network, image = random_network(RECIPE, _SEED), packed()
    accelerator = Accelerator(bone)
    accelerator.attach(image)
    x = random_inputs(RECIPE, _VECTORS, _SEED)
    np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])
    counted = accelerator.counters()
    for counts, layer in zip(counted, walk(image, x), strict=True):
        assert counts.busy == layer.entries.sum()
        assert counts.activations == layer.tokens.sum()
    overhead = accelerator.cycles - sum(counts.cycles for counts in counted)
    assert 0 < overhead <= 4 * len(counted)
    one = accelerator.run(x[:1])
    np.testing.assert_array_equal(one, golden.run(network, x[:1])[-1])


@cocotb.test()
async def loads_and_runs(dut: Any) -> None:
    uart = await _open(dut)

    def host() -> None:
        shares: list[float] = []
        bone = _bone(uart)
        accelerator = Accelerator(bone)
        assert accelerator.config_digest == PRESETS["tiny"].digest
        assert accelerator.image_id == 0
        accelerator.load(packed(), shares.append)
        assert shares[-1] == 1.0
        assert accelerator.image_id == packed().id
        _check_runs(bone)

    await bridge(host)()
    assert not int(dut.busy.value)


@cocotb.test()
async def runs_what_it_was_built_with(dut: Any) -> None:
    uart = await _open(dut)

    await bridge(lambda: _check_runs(_bone(uart)))()


@cocotb.test()
async def recovers_from_a_bad_line(dut: Any) -> None:
    """Whatever happens to one byte while an image is loaded: it is loaded all the same."""
    uart = await _open(dut)
    dice = random.Random(parameters()["seed"])
    spoilers: list[Callable[[int], bytes]] = [
        lambda byte: b"",
        lambda byte: bytes([byte, byte]),
        lambda byte: bytes([byte ^ 1 << dice.randrange(8)]),
    ]

    def host() -> None:
        for spoil in spoilers:
            stream = _SpoiledStream(uart, dice.randrange(_SPOILED), spoil)
            accelerator = Accelerator(_bone(stream))
            stream.arm()
            accelerator.load(packed(), whole=True)
            assert accelerator.repeated == 1
            _check_runs(_bone(uart))

    await bridge(host)()
