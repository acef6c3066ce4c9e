"""Bench of an export with AXI4 in a LiteX SoC, which has the pins tb_* as a master of Wishbone.

Parameters: as those of `sim.bench.export.wishbone`.
"""

from __future__ import annotations

from typing import Any

import cocotb

from sim.bench.export.wishbone import Master, identify_beside_others


@cocotb.test()
async def through_the_interconnect(dut: Any) -> None:
    await identify_beside_others(Master(dut))


@cocotb.test()
async def resident_network(dut: Any) -> None:
    await (await Master(dut).start()).run()


@cocotb.test()
async def resident_network_in_c(dut: Any) -> None:
    await (await Master(dut).start()).run_in_c()
