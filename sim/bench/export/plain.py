"""Bench of an export with the engine's own bus; see `Software` for the parameters."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from sim.bench.export.software import Software
from sim.bench.streams import start


@cocotb.test()
async def resident_network(dut: Any) -> None:
    dut.request.value = 0
    await start(dut)

    async def transfer(address: int, word: int | None) -> int:
        dut.request.value = 1
        dut.write.value = int(word is not None)
        dut.address.value = address // 4
        dut.w_data.value = word or 0
        while True:
            await RisingEdge(dut.clk)
            if int(dut.acknowledge.value):
                found = int(dut.r_data.value)
                dut.request.value = 0
                return found

    async def write(address: int, word: int) -> None:
        await transfer(address, word)

    software = Software(lambda address: transfer(address, None), write)
    await software.identify()
    await software.run()
    await FallingEdge(dut.clk)
    assert not int(dut.busy.value)
