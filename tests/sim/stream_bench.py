"""cocotb bench of the dummies with streams: what goes in comes out, or the bench says why not."""

import os
import random
from pathlib import Path

import cocotb

from sim.bench.streams import StreamDriver, StreamMonitor, parameters, start


def data():
    numbers = random.Random(3)
    return [numbers.randrange(256) for _ in range(parameters()["count"])]


@cocotb.test()
async def passes_all(dut):
    p = parameters()
    source = StreamDriver(dut, "i", dut.clk, stalls=p["stalls_in"], seed=1, watchdog=200)
    sink = StreamMonitor(dut, "o", dut.clk, stalls=p["stalls_out"], seed=2, watchdog=200)
    await start(dut)
    cocotb.start_soon(source.send(data()))
    assert await sink.receive(p["count"]) == data()
    await sink.silent(50)


@cocotb.test()
async def sends_without_receiver(dut):
    source = StreamDriver(dut, "i", dut.clk, watchdog=200)
    await start(dut)
    await source.send(data())


@cocotb.test()
async def needs_no_stalls(dut):
    source = StreamDriver(dut, "i", dut.clk)
    sink, pulses = StreamMonitor(dut, "o", dut.clk), StreamMonitor(dut, "pulse", dut.clk)
    await start(dut)
    await source.send(data())
    count = parameters()["count"]
    assert await sink.receive(count) == data()
    assert await pulses.receive(count) == [0] * count


@cocotb.test()
async def misuse_is_refused(dut):
    for name, options in (("o", {"stalls": 0.5}), ("o", {"stalls": 1.0}), ("none", {})):
        try:
            StreamMonitor(dut, name, dut.clk, **options)
        except (AttributeError, ValueError):
            continue
        raise AssertionError(f"{name} {options} was taken")


@cocotb.test()
async def fails(dut):
    await start(dut)
    raise AssertionError("as it must")


@cocotb.test()
async def dies(dut):
    await start(dut)
    os._exit(7)


@cocotb.test()
async def tells_its_folder(dut):
    Path(parameters()["marker"]).write_text(os.getcwd())
    source = StreamDriver(dut, "i", dut.clk)
    await start(dut)
    await source.send([1, 2, 3])
