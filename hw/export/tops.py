"""The top modules of exports: an engine behind a bus that others know, with plain port names."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from .. import layouts
from ..engine import Engine
from ..regmap import AddressSpace
from . import stream_map
from .axi_lite import AxiLite
from .bus import Arbiter, Splitter
from .streams import Streams
from .wishbone import Wishbone

__all__ = ["AxiTop", "PlainTop", "WishboneTop"]


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


class AxiTop(wiring.Component):
    """The engine behind `AxiLite`, whose members are ports with ``s_axil_`` before, and streams.

    An item of a stream is one activation, in as many bytes as it needs: of those of the input, the
    bits above the activation are not heeded, those of the output are its sign.

    Parameters
    ----------
    engine : Engine
    space : AddressSpace
    streams : Streams

    Members
    -------
    aclk, aresetn : In(1)
        The reset is synchronous.
    s_axil_...
        See `AxiLite`.
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast
        Input vectors; TLAST at the last activation of each.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast
        Output vectors, likewise.
    busy : Out(1)
        Of the engine, or of the streams.
    """

    def __init__(self, engine: Engine, space: AddressSpace, streams: Streams):
        self.engine = engine
        self.front = AxiLite(space)
        self.streams = streams
        bits = -(-streams.shape.config.activation_bits // 8) * 8
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "busy": Out(1),
                **_named("s_axil", self.front.signature, "bus"),
                "s_axis_tdata": In(bits),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(signed(bits)),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
            }
        )
        # For Vivado, which knows the buses by their ports' names, but not whose clock it is.
        self.aclk.attrs["X_INTERFACE_PARAMETER"] = (
            "ASSOCIATED_BUSIF s_axil:s_axis:m_axis, ASSOCIATED_RESET aresetn"
        )

    def elaborate(self, platform):
        m = Module()
        _clocked(m, self.aclk, ~self.aresetn)
        m.submodules.axi_lite = front = self.front
        m.submodules.splitter = splitter = Splitter(stream_map.WINDOW)
        m.submodules.streams = streams = self.streams
        m.submodules.arbiter = arbiter = Arbiter()
        m.submodules.engine = engine = self.engine
        connect(m, front.bus, splitter.i)
        connect(m, splitter.special, streams.registers)
        connect(m, splitter.other, arbiter.first)
        connect(m, streams.bus, arbiter.second)
        connect(m, arbiter.o, engine.bus)
        _wire(m, self, "s_axil", front)
        m.d.comb += [
            streams.engine_busy.eq(engine.busy),
            streams.i.payload.data.eq(self.s_axis_tdata),
            streams.i.payload.last.eq(self.s_axis_tlast),
            streams.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(streams.i.ready),
            self.m_axis_tdata.eq(streams.o.payload.data.as_signed()),
            self.m_axis_tlast.eq(streams.o.payload.last),
            self.m_axis_tvalid.eq(streams.o.valid),
            streams.o.ready.eq(self.m_axis_tready),
            self.busy.eq(engine.busy | streams.busy),
        ]
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
