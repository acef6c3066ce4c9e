"""Memories, queue and counters in another form: what a platform puts there does the same."""

import dataclasses
import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.fifo import SyncFIFO
from amaranth.sim import Simulator

from hw.boards import BoardError
from hw.boards.ice40 import Ice40Memories
from hw.boards.ice40_memory import BlockMemory, SpramMemory, sprams
from hw.boards.icebreaker import IceBreakerMemories
from hw.config import PRESETS, ConfigError
from hw.engine.counters import LayerCounters
from hw.memory import LoadedMemory, SerialMemory
from hw.pe.queue import BlockQueue, ColumnQueue
from hw.regmap import COUNTERS, Window

WIDTH, DEPTH = 44, 16


class Other(Elaboratable):
    """A memory with another in its place, as a platform's `get_loaded_memory` puts it there."""

    def __init__(self, memory, kind):
        self.memory, self.kind = memory, kind

    def elaborate(self, platform):
        m = Module()
        m.submodules.other = self.kind(self.memory)
        return m


def stands_in(component):
    """The component, of which Amaranth will not mind that it is not itself elaborated."""
    component._MustUse__used = True
    return component


def memory(width=WIDTH, *, distributed=False, init=None):
    kinds = {"init": init, "distributed": distributed}
    return stands_in(LoadedMemory(Window.SEGMENTS, 0, width, DEPTH, **kinds))


def simulate(design, bench):
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


async def load(ctx, memories, index, item):
    """Write an item as the host does, a word at a time."""
    for part in range(2):
        for each in memories:
            ctx.set(each.load.windows, 1 << Window.SEGMENTS)
            ctx.set(each.load.address.offset, 2 * index + part)
            ctx.set(each.load.data, item >> (32 * part) & 0xFFFFFFFF)
        await ctx.tick()
        for each in memories:
            ctx.set(each.load.windows, 0)
        await ctx.tick().repeat(2)


class TestSerialMemory:
    @pytest.mark.parametrize("width", [44, 64, 100, 333])
    def test_item_is_whole_after_its_latency(self, width):
        numbers = random.Random(width)
        items = [numbers.getrandbits(width) for _ in range(DEPTH)]
        parts = [[item >> (32 * n) & 0xFFFFFFFF for n in range(-(-width // 32))] for item in items]
        this = memory(width, init=parts)

        async def bench(ctx):
            for index in numbers.choices(range(DEPTH), k=40):
                ctx.set(this.index, index)
                await ctx.tick().repeat(SerialMemory.latency(width) + numbers.randrange(3))
                assert ctx.get(this.item) == items[index]

        simulate(Other(this, SerialMemory), bench)

    def test_what_is_loaded_is_read(self):
        this = memory()

        async def bench(ctx):
            await load(ctx, [this], 5, 0x123_4567_89AB)
            ctx.set(this.index, 5)
            await ctx.tick().repeat(SerialMemory.latency(WIDTH))
            assert ctx.get(this.item) == 0x123_4567_89AB
            ctx.set(this.index, 4)
            await ctx.tick().repeat(SerialMemory.latency(WIDTH))
            assert ctx.get(this.item) == 0

        simulate(Other(this, SerialMemory), bench)


def test_block_memory_is_as_one_of_luts():
    m = Module()
    one, other = memory(distributed=True), memory(distributed=True)
    m.submodules.one = one
    m.submodules.other = Other(other, BlockMemory)
    numbers = random.Random(0)

    async def bench(ctx):
        for index in range(DEPTH):
            await load(ctx, [one, other], index, numbers.getrandbits(WIDTH))
        for _ in range(300):
            index, enable = numbers.randrange(DEPTH), numbers.randrange(2)
            for each in (one, other):
                ctx.set(each.index, index)
                ctx.set(each.enable, enable)
            await ctx.tick()
            assert ctx.get(one.item) == ctx.get(other.item)

    simulate(m, bench)


class TestSpramMemory:
    """What it does is seen in the netlist of a whole engine: tests/sim/test_netlist.py."""

    def test_blocks(self):
        assert sprams(16, 1 << 14) == (1, 1, 1)
        assert sprams(8, 1 << 16) == (2, 1, 2)
        assert sprams(25, 2048) == (1, 2, 1)
        assert sprams(9, (1 << 14) + 1) == (1, 1, 2)

    def test_it_holds_nothing_at_power_up(self):
        memories = Ice40Memories()
        memories.in_spram = (Window.SEGMENTS,)
        assert isinstance(stands_in(memories.get_loaded_memory(memory())), SpramMemory)
        with pytest.raises(BoardError, match="the segments are in SPRAM, which holds nothing"):
            memories.get_loaded_memory(memory(init=[[1, 0]]))


class TestBlockQueue:
    def test_is_as_a_fifo_cycle_by_cycle(self):
        m = Module()
        m.submodules.one = one = SyncFIFO(width=9, depth=8)
        m.submodules.other = other = BlockQueue(width=9, depth=8)
        numbers, most = random.Random(0), 0

        async def bench(ctx):
            nonlocal most
            for cycle in range(4000):
                puts = numbers.random() < (0.7, 0.3, 0.5, 1.0)[cycle // 100 % 4]
                takes = numbers.random() < (0.3, 0.7, 0.5, 1.0)[cycle // 100 % 4]
                data = numbers.getrandbits(9)
                for each in (one, other):
                    ctx.set(each.w_en, puts)
                    ctx.set(each.w_data, data)
                    ctx.set(each.r_en, takes)
                for name in ("w_rdy", "r_rdy", "level"):
                    assert ctx.get(getattr(one, name)) == ctx.get(getattr(other, name)), cycle
                if ctx.get(one.r_rdy):
                    assert ctx.get(one.r_data) == ctx.get(other.r_data), cycle
                most = max(most, ctx.get(one.level))
                await ctx.tick()

        simulate(m, bench)
        assert most == 8

    def test_depth(self):
        queue = stands_in(ColumnQueue(dataclasses.replace(PRESETS["tiny"], queue_depth=6)))
        with pytest.raises(ConfigError, match="queue_depth is 6; in block RAM it must be a power"):
            queue.elaborate(IceBreakerMemories())


@pytest.mark.parametrize(
    ("lanes", "groups", "layers"), [(1, 1, 16), (4, 1, 2), (5, 3, 5), (8, 8, 9)]
)
def test_counters_in_turns(lanes, groups, layers):
    class Narrow:
        narrow_memories = True

    class Both(Elaboratable):
        def elaborate(self, platform):
            m = Module()
            m.submodules.one = one
            m.submodules.other = other.elaborate(Narrow())
            return m

    shape = {"lanes": lanes, "groups": groups, "layer_depth": layers}
    config = dataclasses.replace(PRESETS["tiny"], **shape)
    one, other = LayerCounters(config), stands_in(LayerCounters(config))
    numbers = random.Random(0)
    most = {"activations": groups, "blocked": groups, "busy": config.elements}
    most["stalled"] = config.elements
    shortest = 2 * len(COUNTERS) + 3

    async def begin(ctx, cycle, layer, *, over):
        """A cycle of a layer; in its first, the one before is over."""
        greatest = numbers.random() < 0.5
        for each in (one, other):
            ctx.set(each.start, cycle == 0)
            ctx.set(each.done, cycle == 0 and over)
            ctx.set(each.layer, (layer - over) % layers if cycle == 0 else layer)
        for name, last in most.items():
            step = last if greatest else numbers.randint(0, last)
            for each in (one, other):
                ctx.set(each.steps[name], step)
        await ctx.tick()

    async def bench(ctx):
        for number in range(3 * layers + 1):
            for cycle in range(numbers.choice((shortest, numbers.randrange(shortest, 60)))):
                await begin(ctx, cycle, number % layers, over=number > 0)
        # The last layer is over; after so many cycles its counters are whole.
        await begin(ctx, 0, 0, over=True)
        for cycle in range(1, shortest):
            await begin(ctx, cycle, 0, over=False)
        for layer in range(layers):
            for counter in range(len(COUNTERS)):
                for each in (one, other):
                    ctx.set(each.read_layer, layer)
                    ctx.set(each.read_counter, counter)
                await ctx.tick().repeat(3)
                assert ctx.get(one.value) == ctx.get(other.value)
                assert counter or ctx.get(one.value) >= shortest

    simulate(Both(), bench)
