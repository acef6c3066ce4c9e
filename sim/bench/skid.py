"""Bench of `hw.stream.Skid`."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.bench.blocks import Trace, drive
from sim.bench.streams import StreamDriver, StreamMonitor, parameters, start

WIDTH: int = parameters()["width"]
SIGNALS = ("i__valid", "i__ready", "o__valid", "o__ready")


def random_payloads(count: int) -> list[int]:
    numbers = random.Random(3)
    return [numbers.getrandbits(WIDTH) for _ in range(count)]


async def begin(
    dut: Any, stalls_in: float = 0.0, stalls_out: float = 0.0
) -> tuple[Trace, StreamDriver, StreamMonitor]:
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls_in, seed=1)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls_out, seed=2)
    await start(dut)
    return Trace(dut, *SIGNALS), driver, monitor


def check_every_cycle(trace: Trace) -> None:
    """It holds a payload at most, is ready while it holds none, and offers what there is."""
    held = 0
    for cycle in trace.cycles:
        assert cycle["i__ready"] == (not held), "ready does not depend on who takes it next"
        assert cycle["o__valid"] == (held or cycle["i__valid"]), "no latency"
        held = int(cycle["o__valid"] and not cycle["o__ready"])


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls_in=[0.0, 0.5], stalls_out=[0.0, 0.5, 0.9])
async def agrees(dut: Any, stalls_in: float, stalls_out: float) -> None:
    payloads = random_payloads(200)
    trace, driver, monitor = await begin(dut, stalls_in, stalls_out)
    cocotb.start_soon(driver.send(payloads))
    assert await monitor.receive(len(payloads)) == payloads
    await monitor.silent(10)
    check_every_cycle(trace)
    if not stalls_in and not stalls_out:
        taken = trace.times(lambda c: c["o__valid"])
        assert taken == list(range(taken[0], taken[0] + len(payloads))), "one per cycle"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_forgets_what_is_kept(dut: Any) -> None:
    drive(dut, i__valid=0, o__ready=0)
    await start(dut)
    drive(dut, i__valid=1, i__payload=1)
    await RisingEdge(dut.clk)
    drive(dut, i__valid=0, rst=1)
    await RisingEdge(dut.clk)
    drive(dut, rst=0)
    trace = Trace(dut, *SIGNALS)
    for _ in range(3):
        await RisingEdge(dut.clk)
    assert not trace.times(lambda c: c["o__valid"] or not c["i__ready"])
