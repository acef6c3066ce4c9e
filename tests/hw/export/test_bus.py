# amaranth: UnusedElaboratable=no
"""What lies between front ends and engine: whose turn it is, and where addresses lead."""

import dataclasses
import random

import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from hw import layouts
from hw.config import PRESETS
from hw.engine.host import HostPort
from hw.export.bus import Arbiter, Splitter, engine_address
from hw.export.wishbone import Wishbone
from hw.regmap import ENGINE_SPACE, PLACE, AddressSpace, Window, window_items

TRANSFERS = 40
MASK = (1 << layouts.BUS_BITS) - 1


def simulate(component, initiators, targets):
    top = Module()
    top.domains.sync = ClockDomain()  # which a splitter has not
    top.submodules.component = component
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    for process in initiators:
        simulator.add_testbench(process)
    for process in targets:
        simulator.add_testbench(process, background=True)
    simulator.run()


def target(bus, seed, served):
    """Answers with the complement of the address, after one to five cycles."""
    numbers = random.Random(seed)

    async def process(ctx):
        asked, wait = None, 0
        ticks = ctx.tick().sample(bus.request, bus.address.as_value(), bus.acknowledge)
        async for *_, request, address, acknowledge in ticks:
            if asked is not None:
                assert (request, address) == (1, asked), "a transfer changed"
            ctx.set(bus.acknowledge, 0)
            if acknowledge:
                served.append(asked)
                asked = None
                continue
            if request and asked is None:
                asked, wait = address, numbers.randrange(5)
            if asked is not None:
                ctx.set(bus.acknowledge, wait == 0)
                ctx.set(bus.r_data, ~asked & MASK)
                wait -= 1

    return process


def initiator(bus, addresses, pause):
    """One read for each address, `pause()` cycles between."""

    async def process(ctx):
        for address in addresses:
            ctx.set(bus.address.as_value(), address)
            ctx.set(bus.request, 1)
            *_, found = await ctx.tick().sample(bus.r_data).until(bus.acknowledge)
            assert found == ~address & MASK
            ctx.set(bus.request, 0)
            for _ in range(pause()):
                await ctx.tick()

    return process


class TestArbiter:
    def test_those_who_always_want_it_take_turns(self):
        arbiter, served = Arbiter(), []
        half = TRANSFERS // 2
        initiators = (
            initiator(arbiter.first, range(half), lambda: 0),
            initiator(arbiter.second, range(1000, 1000 + half), lambda: 0),
        )
        simulate(arbiter, initiators, [target(arbiter.o, 1, served)])
        turns = [address >= 1000 for address in served]
        assert turns == [turns[0], not turns[0]] * half

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_each_is_served_in_its_order(self, seed):
        arbiter, served = Arbiter(), []
        numbers = random.Random(seed)
        first = list(range(numbers.randrange(1, TRANSFERS)))
        second = list(range(1000, 1000 + TRANSFERS - len(first)))
        initiators = (
            initiator(arbiter.first, first, lambda: numbers.randrange(8)),
            initiator(arbiter.second, second, lambda: numbers.randrange(8)),
        )
        simulate(arbiter, initiators, [target(arbiter.o, seed, served)])
        assert [address for address in served if address < 1000] == first
        assert [address for address in served if address >= 1000] == second


def test_splitter():
    splitter, special, other = Splitter(5), [], []
    numbers = random.Random(1)
    fields = [(numbers.choice((4, 5, 13)), numbers.getrandbits(26)) for _ in range(TRANSFERS)]
    addresses = [window << 26 | rest for window, rest in fields]
    simulate(
        splitter,
        [initiator(splitter.i, addresses, lambda: 0)],
        [target(splitter.special, 1, special), target(splitter.other, 2, other)],
    )
    assert special == [address for address in addresses if address >> 26 == 5]
    assert other == [address for address in addresses if address >> 26 != 5]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("knobs", [{}, {"lanes": 1, "groups": 64, "shared_tables": False}])
def test_addresses(preset, knobs):
    """Every unit's first and last word, and all units at once, are where the engine has them."""
    config = dataclasses.replace(PRESETS[preset], **knobs)
    space = AddressSpace.smallest(config)
    assert space.bits < ENGINE_SPACE.bits
    module, word, found = Module(), Signal(space.bits), Signal(ENGINE_SPACE.bits)
    module.d.comb += found.eq(engine_address(word, space))

    async def process(ctx):
        for window in Window:
            units, items, width = window_items(window, config)
            last = items * layouts.stride(width) - 1
            for unit in range(units):
                for offset in (0, last):
                    ctx.set(word, space.word(window, unit, offset))
                    assert ctx.get(found) == ENGINE_SPACE.word(window, unit, offset)
        ctx.set(word, space.word(Window.ACTIVATIONS, layouts.ALL_UNITS, 3))
        expected = ENGINE_SPACE.word(Window.ACTIVATIONS, layouts.ALL_UNITS, 3)
        assert ctx.get(found) == expected

    simulator = Simulator(module)
    simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("own", [True, False])
def test_the_guard_has_addresses_of_the_engine(own):
    """Those of its own map, whatever the addresses on the bus: one word is let through."""
    config = PRESETS["tiny"]
    space = AddressSpace.smallest(config)
    place = (Window.ACTIVATIONS, 0, 3)
    let_through = (ENGINE_SPACE if own else space).word(*place)
    module, front, host = Module(), Wishbone(space), HostPort(config)
    module.submodules.front, module.submodules.host = front, host
    connect(module, front.bus, host.bus)
    written = []

    async def write(ctx, address, word):
        for member, value in ((front.adr, address), (front.dat_w, word), (front.we, 1)):
            ctx.set(member, value)
        for member, value in ((front.sel, 0b1111), (front.cyc, 1), (front.stb, 1)):
            ctx.set(member, value)
        await ctx.tick().until(front.ack)
        ctx.set(front.stb, 0)
        await ctx.tick()

    async def software(ctx):
        for name in ("write_first", "write_last"):
            await write(ctx, PLACE[name], let_through)
        for offset in range(6):
            await write(ctx, space.word(*place[:2], offset), 0)

    async def watch(ctx):
        async for *_, windows, offset in ctx.tick().sample(
            host.load.windows, host.load.address.offset
        ):
            if windows:
                written.append((Window(windows.bit_length() - 1), offset))

    simulator = Simulator(module)
    simulator.add_clock(1e-6)
    simulator.add_testbench(software)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    assert written == ([(Window.ACTIVATIONS, 3)] if own else [])
