"""Bench of `hw.pe.queue.ColumnQueue`."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.config import QUEUE_RESERVE
from sim.bench.blocks import RoomDriver, Trace, configuration, drive
from sim.bench.latencies import POINTERS
from sim.bench.streams import StreamMonitor, start

CONFIG = configuration()
WIDTH: int = layouts.column(CONFIG).size
SIGNALS = ("room", "i__valid", "i__payload", "o__valid", "o__ready", "o__payload")


def check_every_cycle(trace: Trace) -> int:
    """Compare each cycle with the reference, a deque; returns the most that it ever held."""
    held: deque[int] = deque()
    most = 0
    for cycle in trace.cycles:
        assert cycle["o__valid"] == bool(held)
        if held:
            assert cycle["o__payload"] == held[0]
        assert cycle["room"] == (CONFIG.queue_depth - len(held) >= QUEUE_RESERVE)
        full = len(held) == CONFIG.queue_depth
        if cycle["o__valid"] and cycle["o__ready"]:
            held.popleft()
        if cycle["i__valid"] and not full:
            held.append(cycle["i__payload"])
        most = max(most, len(held))
    return most


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, StreamMonitor]:
    drive(dut, i__valid=0)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls, seed=2)
    await start(dut)
    return Trace(dut, *SIGNALS), monitor


def random_payloads(count: int) -> list[int]:
    numbers = random.Random(3)
    return [numbers.getrandbits(WIDTH) for _ in range(count)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls_in=[0.0, 0.5], stalls_out=[0.0, 0.5, 0.9])
async def agrees(dut: Any, stalls_in: float, stalls_out: float) -> None:
    payloads = random_payloads(500)
    trace, monitor = await begin(dut, stalls_out)
    # A cycle until `room` is where columns come from, and those to look up their pointers.
    driver = RoomDriver(dut, age=1 + POINTERS, stalls=stalls_in)
    cocotb.start_soon(driver.send(payloads))
    assert await monitor.receive(len(payloads)) == payloads
    await monitor.silent(10)
    most = check_every_cycle(trace)
    if stalls_out > stalls_in:
        assert most == CONFIG.queue_depth, "no place is kept free"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_in_and_one_out_per_cycle_one_cycle_of_latency(dut: Any) -> None:
    payloads = random_payloads(100)
    trace, monitor = await begin(dut)
    await ClockCycles(dut.clk, 3)
    for payload in payloads:
        drive(dut, i__valid=1, i__payload=payload)
        await RisingEdge(dut.clk)
    drive(dut, i__valid=0)
    assert await monitor.receive(len(payloads)) == payloads
    entered = trace.times(lambda c: c["i__valid"])
    assert trace.times(lambda c: c["o__valid"]) == [time + 1 for time in entered]
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def what_a_full_queue_is_sent_is_lost_and_nothing_else(dut: Any) -> None:
    payloads = random_payloads(CONFIG.queue_depth + 3)
    drive(dut, i__valid=0, o__ready=0)
    await start(dut)
    trace = Trace(dut, *SIGNALS)
    for payload in payloads:
        drive(dut, i__valid=1, i__payload=payload)
        await RisingEdge(dut.clk)
    drive(dut, i__valid=0, o__ready=1)
    await ClockCycles(dut.clk, CONFIG.queue_depth + 5)
    received = [c["o__payload"] for c in trace.cycles if c["o__valid"] and c["o__ready"]]
    assert received == payloads[: CONFIG.queue_depth]
    check_every_cycle(trace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_empties_it(dut: Any) -> None:
    drive(dut, i__valid=0, o__ready=0)
    await start(dut)
    for payload in random_payloads(3):
        drive(dut, i__valid=1, i__payload=payload)
        await RisingEdge(dut.clk)
    drive(dut, i__valid=0, rst=1)
    await RisingEdge(dut.clk)
    drive(dut, rst=0)
    trace = Trace(dut, *SIGNALS)
    await ClockCycles(dut.clk, 5)
    assert not trace.times(lambda c: c["o__valid"] or not c["room"])
