"""The CRC of transfers, a word or a byte a cycle, beside that of zlib."""

import random
import struct
import zlib

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.sim import Simulator

from hw.engine.transfer_crc import TransferCrc


class Small:
    small_checksum = True


class On(Elaboratable):
    """A component as it is on a platform, which the simulator has not."""

    def __init__(self, component, platform):
        self.component, self.platform = component, platform
        component._MustUse__used = True

    def elaborate(self, platform):
        m = Module()
        m.submodules.component = self.component.elaborate(self.platform)
        return m


@pytest.mark.parametrize(("platform", "cycles"), [(None, 0), (Small(), 8)])
def test_as_zlib(platform, cycles):
    crc, numbers = TransferCrc(), random.Random(0)
    waits = set()

    async def transfer(ctx, address, word):
        """Word and address as on a bus: the word is there at the end only."""
        ctx.set(crc.address, address)
        ctx.set(crc.began, 1)
        await ctx.tick()
        ctx.set(crc.began, 0)
        await ctx.tick().repeat(numbers.randrange(1, 4))
        ctx.set(crc.word, word)
        ctx.set(crc.ended, 1)
        await ctx.tick()
        ctx.set(crc.ended, 0)
        waited = 0
        while ctx.get(crc.busy):
            await ctx.tick()
            waited += 1
        waits.add(waited)

    async def bench(ctx):
        for _ in range(5):
            ctx.set(crc.restart, 1)
            await ctx.tick()
            ctx.set(crc.restart, 0)
            await ctx.tick()
            assert ctx.get(crc.crc) == 0
            whole = b""
            for _ in range(20):
                both = numbers.getrandbits(32), numbers.getrandbits(32)
                await transfer(ctx, *both)
                whole += struct.pack("<2I", *both)
                if numbers.random() < 0.5:  # as soon as a register can be read
                    await ctx.tick()
                    assert ctx.get(crc.crc) == zlib.crc32(whole)

    simulator = Simulator(On(crc, platform))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert waits == {cycles}
