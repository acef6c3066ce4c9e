"""The top modules of exports: an engine behind a bus that others know, with plain port names."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from .. import layouts
from ..engine import Engine
from ..regmap import AddressSpace
from .wishbone import Wishbone

__all__ = ["PlainTop", "WishboneTop"]


class PlainTop(wiring.Component):
    """The engine's own bus (`hw.bus.BusSignature`) as ports.

    Members
    -------
    clk, rst : In(1)
        The reset is synchronous.
    request, write, address, w_data, acknowledge, r_data
        See `hw.bus.BusSignature`.
    busy : Out(1)
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "request": In(1),
                "write": In(1),
                "address": In(layouts.BUS_ADDRESS_BITS),
                "w_data": In(layouts.BUS_BITS),
                "acknowledge": Out(1),
                "r_data": Out(layouts.BUS_BITS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        _clocked(m, self.clk, self.rst)
        m.submodules.engine = engine = self.engine
        bus = engine.bus
        m.d.comb += [
            bus.request.eq(self.request),
            bus.write.eq(self.write),
            Value.cast(bus.address).eq(self.address),
            bus.w_data.eq(self.w_data),
            self.acknowledge.eq(bus.acknowledge),
            self.r_data.eq(bus.r_data),
            self.busy.eq(engine.busy),
        ]
        return m


class WishboneTop(wiring.Component):
    """The engine behind `Wishbone`, whose members are ports that begin with ``wb_``.

    Members
    -------
    clk, rst : In(1)
        The reset is synchronous.
    wb_...
        See `Wishbone`.
    busy : Out(1)
    """

    def __init__(self, engine: Engine, space: AddressSpace):
        self.engine = engine
        self.front = Wishbone(space)
        super().__init__(
            {"clk": In(1), "rst": In(1), "busy": Out(1)} | _named("wb", self.front.signature, "bus")
        )

    def elaborate(self, platform):
        m = Module()
        _clocked(m, self.clk, self.rst)
        m.submodules.engine = engine = self.engine
        m.submodules.wishbone = front = self.front
        connect(m, front.bus, engine.bus)
        _wire(m, self, "wb", front)
        m.d.comb += self.busy.eq(engine.busy)
        return m


def _clocked(m, clock, reset):
    m.domains.sync = ClockDomain()
    m.d.comb += [ClockSignal().eq(clock), ResetSignal().eq(reset)]


def _named(prefix: str, signature: wiring.Signature, *without: str) -> dict:
    """The members of a block as ports, PREFIX_MEMBER each."""
    return {
        f"{prefix}_{name}": member
        for name, member in signature.members.items()
        if name not in without
    }


def _wire(m, top, prefix, block):
    """Each port that `_named` made with what it stands for."""
    for name, member in block.signature.members.items():
        port = getattr(top, f"{prefix}_{name}", None)
        if port is not None:
            inner = getattr(block, name)
            m.d.comb += inner.eq(port) if member.flow == In else port.eq(inner)
