"""What a board shows: the heartbeat on LED 0, and on LED 1 that the engine runs."""

import dataclasses

import numpy as np
import pytest
from amaranth.hdl import Fragment
from amaranth.lib import io
from amaranth.sim import Simulator

from hw.boards import find
from hw.config import PRESETS
from hw.regmap import REGISTERS
from hw.top import Top

DIVISOR = 4
CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=1)
CLEARED = 2 * CONFIG.accumulator_depth  # at power-up, the engine clears both buffers first
CONTROL = [register.name for register in REGISTERS].index("control")


class Pins:
    """A platform with the pins that `Top` asks for."""

    def __init__(self):
        self.rx, self.tx = io.SimulationPort("i", 1), io.SimulationPort("o", 1)
        self.leds = [io.SimulationPort("o", 1) for _ in range(2)]

    def request(self, name, number, *, dir):
        return self if name == "uart" else self.leds[number]


def watch(clock_hz, cycles, sent=b""):
    """Both LEDs in every cycle, while bytes come in."""
    pins = Pins()
    board = dataclasses.replace(find("arty"), clock_hz=clock_hz, baud=clock_hz // DIVISOR)
    simulator = Simulator(Fragment.get(Top(CONFIG, board), pins))
    simulator.add_clock(1e-6)
    seen = []
    bits = [bit for byte in sent for bit in (0, *(byte >> n & 1 for n in range(8)), 1)]
    line = [1] * DIVISOR + [bit for bit in bits for _ in range(DIVISOR)]

    async def drive(context):
        for cycle in range(cycles):
            context.set(pins.rx.i, line[cycle] if cycle < len(line) else 1)
            seen.append([int(context.get(led.o)) for led in pins.leds])
            await context.tick()

    simulator.add_testbench(drive)
    simulator.run()
    return np.array(seen).T


def test_heart_beats():
    heartbeat, busy = watch(100, 200)
    edges = np.flatnonzero(np.diff(heartbeat))
    assert np.diff(edges).tolist() == [32] * (len(edges) - 1)  # half of the greatest power of two
    assert len(edges) >= 5
    assert not busy[CLEARED:].any()


@pytest.mark.parametrize("started", [0, 1])
def test_busy(started):
    """Once the host has started it, by a write to `control`."""
    command = bytes([1, 1]) + CONTROL.to_bytes(4, "big") + started.to_bytes(4, "big")
    # A second is so long that the command comes within a tenth of it.
    _, busy = watch(10_000, len(command) * 10 * DIVISOR + 60, command)
    assert busy[CLEARED:].any() == started
    assert not busy[CLEARED : 9 * 10 * DIVISOR].any()  # the command is not yet whole
