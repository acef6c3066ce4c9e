"""What the benches of single blocks share: values in layouts, loaded memories, recorded signals."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from amaranth.hdl import Shape
from amaranth.lib.data import StructLayout
from cocotb.triggers import RisingEdge

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window, window_items
from sim.bench.streams import parameters

__all__ = [
    "RoomDriver",
    "Trace",
    "bits_of",
    "configuration",
    "drive",
    "fields_of",
    "load",
    "load_word",
    "random_signed",
    "signed",
    "wait_until",
]

_WATCHDOG = 2000


def configuration() -> AcceleratorConfig:
    """The configuration that the component was built for."""
    return AcceleratorConfig(**parameters()["config"])


def bits_of(layout: StructLayout, **fields: Any) -> int:
    """Fields, structures as mappings, as the bits of a port."""
    return int(layout.const(fields).as_bits())


def fields_of(layout: StructLayout, bits: int) -> dict[str, Any]:
    """The bits of a port as fields, structures as dictionaries."""
    fields: dict[str, Any] = {}
    for name, field in layout:
        value = bits >> field.offset & (1 << field.width) - 1
        if isinstance(field.shape, StructLayout):
            fields[name] = fields_of(field.shape, value)
        else:
            is_signed = Shape.cast(field.shape).signed
            fields[name] = signed(value, field.width) if is_signed else value
    return fields


def signed(bits: int, width: int) -> int:
    """Bits as a two's complement number."""
    sign = 1 << width - 1
    return (bits & (1 << width) - 1 ^ sign) - sign


def random_signed(numbers: random.Random, width: int) -> int:
    """A number of `width` bits, every fifth time one of the two extremes."""
    high = (1 << width - 1) - 1
    if numbers.random() < 0.2:
        return numbers.choice((-high - 1, high))
    return numbers.randint(-high - 1, high)


def drive(dut: Any, **values: int) -> None:
    """Set input ports by name."""
    for name, value in values.items():
        getattr(dut, name).value = value


async def load_word(dut: Any, window: Window, unit: int, offset: int, word: int) -> None:
    """Write one bus word through the `load` port; returns when it is written."""
    address = bits_of(layouts.address, window=window, unit=unit, offset=offset)
    drive(dut, load__windows=1 << window, load__address=address, load__data=word)
    await RisingEdge(dut.clk)
    drive(dut, load__windows=0)
    await RisingEdge(dut.clk)


async def load(dut: Any, window: Window, unit: int, items: Iterable[int], first: int = 0) -> None:
    """Write the items of a memory through the `load` port, from item `first` on."""
    width = window_items(window, configuration())[2]
    for place, item in enumerate(items, first):
        bits = item & (1 << width) - 1
        for part in range(-(-width // layouts.BUS_BITS)):
            word = bits >> part * layouts.BUS_BITS & (1 << layouts.BUS_BITS) - 1
            await load_word(dut, window, unit, place * layouts.stride(width) + part, word)


class Trace:
    """Signals of a component in every cycle, from its construction on.

    Attributes
    ----------
    cycles : list of dict
        By name, what each signal was when the cycle ended. To a test that goes on at the end of a
        cycle, that cycle may be missing yet.
    """

    def __init__(self, dut: Any, *names: str) -> None:
        self.cycles: list[dict[str, int]] = []
        self._signals = {name: getattr(dut, name) for name in names}
        cocotb.start_soon(self._watch(dut.clk))

    def times(self, condition: Callable[[dict[str, int]], Any]) -> list[int]:
        """The cycles in which a condition is met."""
        return [time for time, cycle in enumerate(self.cycles) if condition(cycle)]

    async def _watch(self, clock: Any) -> None:
        while True:
            await RisingEdge(clock)
            self.cycles.append({name: int(s.value) for name, s in self._signals.items()})


class RoomDriver:
    """The source of the stream `i` of a component that is always ready and says `room` instead.

    Parameters
    ----------
    age : int
        Cycles after which the source knows of `room`.
    stalls : float
        Share of the cycles in which nothing is sent although there is room.
    """

    def __init__(self, dut: Any, *, age: int, stalls: float = 0.0) -> None:
        self._dut = dut
        self._age = age
        self._stalls = stalls
        self._random = random.Random(1)
        drive(dut, i__valid=0)

    async def send(self, payloads: Iterable[int]) -> None:
        """Send payloads in order; returns in the cycle after the last one."""
        dut = self._dut
        room = deque([False] * self._age, self._age)
        for payload in payloads:
            for _ in range(_WATCHDOG):
                await RisingEdge(dut.clk)
                room.append(bool(int(dut.room.value)))
                if room[0] and self._random.random() >= self._stalls:
                    break
                drive(dut, i__valid=0)
            else:
                raise AssertionError(f"no room for {payload:#x} within {_WATCHDOG} cycles")
            drive(dut, i__valid=1, i__payload=payload)
        await RisingEdge(dut.clk)
        drive(dut, i__valid=0)


async def wait_until(clock: Any, condition: Callable[[], Any], watchdog: int = _WATCHDOG) -> None:
    """Return at the end of the first cycle in which a condition is met."""
    for _ in range(watchdog):
        await RisingEdge(clock)
        if condition():
            return
    raise AssertionError(f"nothing happened for {watchdog} cycles")
