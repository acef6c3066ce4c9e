"""Drives and watches the streams of a component in cocotb, with stalls, and checks their rules."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

__all__ = ["PERIOD_NS", "StreamDriver", "StreamMonitor", "parameters", "start"]

PERIOD_NS = 10
_WATCHDOG = 2000


def parameters() -> dict[str, Any]:
    """What `run_bench` was given as `env`."""
    values: dict[str, Any] = json.loads(os.environ["THRESHER_BENCH"])
    return values


async def start(dut: Any, cycles: int = 2) -> None:
    """Start the clock and hold the component in reset for `cycles` cycles."""
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, cycles)
    dut.rst.value = 0


class _Ports:
    """The ports of a stream; one that it has not, for it is constant or empty, is None."""

    def __init__(self, dut: Any, name: str) -> None:
        self.payload = getattr(dut, f"{name}__payload", None)
        self.valid = getattr(dut, f"{name}__valid", None)
        self.ready = getattr(dut, f"{name}__ready", None)
        if self.payload is None and self.valid is None:
            raise AttributeError(f"the component has no stream {name}")


class _Stalls:
    """Decides, cycle by cycle and from a seed, whether to stall."""

    def __init__(self, share: float, seed: int) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"stalls is {share}; it must be from 0 to less than 1")
        self._share = share
        self._random = random.Random(seed)

    def __call__(self) -> bool:
        return self._random.random() < self._share


class StreamDriver:
    """The source of a component's input stream.

    Parameters
    ----------
    dut : handle
        The component.
    name : str
        The stream's member, for instance ``"i"``.
    clock : handle
        ``dut.clk``.
    stalls : float
        Share of the cycles in which nothing new is offered; an offer once made stands.
    seed : int
        Of the stalls.
    watchdog : int
        Cycles after which an offer that is not taken is a failure.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        clock: Any,
        *,
        stalls: float = 0.0,
        seed: int = 0,
        watchdog: int = _WATCHDOG,
    ) -> None:
        self._name = name
        self._clock = clock
        self._stalled = _Stalls(stalls, seed)
        self._watchdog = watchdog
        self._ports = _Ports(dut, name)
        if self._ports.valid is not None:
            self._ports.valid.value = 0
        elif stalls:
            raise ValueError(f"{name} is always valid; its source cannot stall")

    async def send(self, payloads: Iterable[int]) -> None:
        """Send payloads in order; returns in the cycle after the last one was taken.

        To go on meanwhile: ``cocotb.start_soon(driver.send(payloads))``.
        """
        for number, payload in enumerate(payloads):
            while self._stalled():
                await RisingEdge(self._clock)
            self._offer(payload)
            for _ in range(self._watchdog):
                await RisingEdge(self._clock)
                if _level(self._ports.ready):
                    break
            else:
                raise AssertionError(
                    f"{self._name}: payload {number} ({payload:#x}) was not taken "
                    f"within {self._watchdog} cycles"
                )
            if self._ports.valid is not None:
                self._ports.valid.value = 0

    def _offer(self, payload: int) -> None:
        if self._ports.payload is not None:
            self._ports.payload.value = payload
        if self._ports.valid is not None:
            self._ports.valid.value = 1


class StreamMonitor:
    """The sink of a component's output stream, and the checker of its rules.

    From its construction on, every cycle, until the test ends: once `valid` is high it stays so,
    and the payload stays what it is, until `ready` is high too. A breach fails the test.

    Parameters
    ----------
    dut, name, clock, seed
        As for `StreamDriver`.
    stalls : float
        Share of the cycles in which the sink is not ready.
    watchdog : int
        Cycles without a payload after which `receive` fails.

    Attributes
    ----------
    payloads : list of int
        All that was transferred so far, and was not yet returned by `receive`.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        clock: Any,
        *,
        stalls: float = 0.0,
        seed: int = 0,
        watchdog: int = _WATCHDOG,
    ) -> None:
        self.payloads: list[int] = []
        self._name = name
        self._clock = clock
        self._stalled = _Stalls(stalls, seed)
        self._watchdog = watchdog
        self._ports = _Ports(dut, name)
        if self._ports.ready is None and stalls:
            raise ValueError(f"{name} is always ready; its sink cannot stall")
        cocotb.start_soon(self._watch())

    async def receive(self, count: int) -> list[int]:
        """The next `count` payloads, in order."""
        idle = 0
        while len(self.payloads) < count:
            before = len(self.payloads)
            await RisingEdge(self._clock)
            idle = 0 if len(self.payloads) > before else idle + 1
            if idle > self._watchdog:
                raise AssertionError(
                    f"{self._name}: {before} of {count} payloads came, then none "
                    f"for {self._watchdog} cycles"
                )
        received, self.payloads = self.payloads[:count], self.payloads[count:]
        return received

    async def silent(self, cycles: int) -> None:
        """Wait, and fail if there is any payload that was not received, or one comes."""
        await ClockCycles(self._clock, cycles)
        if self.payloads:
            raise AssertionError(
                f"{self._name}: {len(self.payloads)} payloads too many, "
                f"the first of them {self.payloads[0]:#x}"
            )

    async def _watch(self) -> None:
        ready = self._be_ready(False)
        held: int | None = None
        while True:
            await RisingEdge(self._clock)
            valid = _level(self._ports.valid)
            payload = 0 if self._ports.payload is None else int(self._ports.payload.value)
            if held is not None:
                self._check_held(held, valid, payload)
            held = payload if valid and not ready else None
            if valid and ready:
                self.payloads.append(payload)
            ready = self._be_ready(not self._stalled())

    def _be_ready(self, ready: bool) -> bool:
        if self._ports.ready is None:
            return True
        self._ports.ready.value = int(ready)
        return ready

    def _check_held(self, held: int, valid: bool, payload: int) -> None:
        if not valid:
            raise AssertionError(f"{self._name}: valid fell before {held:#x} was taken")
        if payload != held:
            raise AssertionError(
                f"{self._name}: the payload went from {held:#x} to {payload:#x} before it was taken"
            )


def _level(port: Any) -> bool:
    """Whether a signal is high; one that has no port always is."""
    return port is None or bool(int(port.value))
