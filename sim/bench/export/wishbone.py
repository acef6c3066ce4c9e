"""Bench of an export with Wishbone in a LiteX SoC, whose bus has the pins tb_* as a master.

Parameters: those of `Software`; `origin`, where the accelerator is on the SoC's bus, and `scratch`,
a register of the SoC's own.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from sim.bench.export.software import Software
from sim.bench.streams import PERIOD_NS, parameters

GIVEN = parameters()
ALL_BYTES = 0b1111
_PATIENCE = 100


class Master:
    """Wishbone classic cycles on tb_*."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        for name in ("cyc", "stb", "we", "adr", "sel", "dat_w", "cti", "bte"):
            getattr(dut, f"tb_{name}").value = 0

    async def start(self) -> Software:
        dut = self._dut
        dut.sys_rst.value = 1
        Clock(dut.sys_clk, PERIOD_NS, unit="ns").start()
        await ClockCycles(dut.sys_clk, 3)
        dut.sys_rst.value = 0
        await ClockCycles(dut.sys_clk, 3)

        async def read(address: int) -> int:
            found, error = await self.cycle(GIVEN["origin"] + address)
            assert not error
            return found

        async def write(address: int, word: int) -> None:
            _, error = await self.cycle(GIVEN["origin"] + address, word)
            assert not error

        return Software(read, write)

    def ask(self, address: int, word: int | None, sel: int) -> None:
        dut = self._dut
        dut.tb_adr.value = address // 4
        dut.tb_we.value = int(word is not None)
        dut.tb_dat_w.value = word or 0
        dut.tb_sel.value = sel
        dut.tb_cyc.value = dut.tb_stb.value = 1

    def give_up(self) -> None:
        self._dut.tb_cyc.value = self._dut.tb_stb.value = 0

    async def cycle(
        self, address: int, word: int | None = None, sel: int = ALL_BYTES
    ) -> tuple[int, bool]:
        """A whole cycle: the word that was read, and whether it was answered by an error."""
        dut = self._dut
        self.ask(address, word, sel)
        for _ in range(_PATIENCE):
            await RisingEdge(dut.sys_clk)
            ack, error = int(dut.tb_ack.value), int(dut.tb_err.value)
            if ack or error:
                assert not (ack and error)
                found = int(dut.tb_dat_r.value)
                self.give_up()
                return found, bool(error)
        raise AssertionError(f"{address:#x} was not answered")


async def identify_beside_others(master: Master) -> None:
    software = await master.start()
    await software.identify()
    # LiteX's own register, beside ours.
    await master.cycle(GIVEN["scratch"], 0xCAFE0123)
    assert await master.cycle(GIVEN["scratch"]) == (0xCAFE0123, False)
    await software.identify()


@cocotb.test()
async def through_the_interconnect(dut: Any) -> None:
    await identify_beside_others(Master(dut))


@cocotb.test()
async def resident_network(dut: Any) -> None:
    await (await Master(dut).start()).run()


@cocotb.test()
async def resident_network_in_c(dut: Any) -> None:
    await (await Master(dut).start()).run_in_c()


@cocotb.test()
async def some_bytes_alone_are_refused(dut: Any) -> None:
    master = Master(dut)
    software = await master.start()
    await software.write("scratch", 0x12345678)
    place = GIVEN["origin"] + 4 * [r["name"] for r in software.regmap["registers"]].index("scratch")
    for sel in range(ALL_BYTES):
        _, error = await master.cycle(place, 0, sel)
        assert error
        assert await master.cycle(place, None, sel) == (0x12345678, False)


@cocotb.test()
async def cycles_that_are_given_up(dut: Any) -> None:
    """Whenever that is: nothing that comes late is taken for the answer to the next cycle."""
    master = Master(dut)
    software = await master.start()
    numbers = random.Random(1)
    for _ in range(100):
        word = numbers.getrandbits(32)
        await software.write("scratch", word)
        master.ask(GIVEN["origin"], None, ALL_BYTES)  # the register magic
        for _ in range(numbers.randrange(1, 4)):
            await RisingEdge(dut.sys_clk)
            assert not int(dut.tb_ack.value)
        master.give_up()
        await ClockCycles(dut.sys_clk, numbers.randrange(1, 4))
        assert await software.read("scratch") == word
