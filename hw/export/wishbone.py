"""Wishbone B4, classic cycles of 32 bits, as an initiator of the internal bus."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..regmap import AddressSpace
from .bus import engine_address

__all__ = ["Wishbone"]


class Wishbone(wiring.Component):
    """A Wishbone target with word addresses, which passes every transfer on to a bus.

    A transfer takes a cycle more than on the bus. One that writes some bytes of a word alone is
    answered by `err`, in the cycle after, and has no effect. A cycle that its initiator gives up,
    by lowering `cyc` or `stb`, is ended on the bus all the same, and not answered; the next one
    waits until then.

    Parameters
    ----------
    space : AddressSpace
        Of the addresses.

    Members
    -------
    cyc, stb, we : In(1)
    adr : In(space.bits)
        Word address.
    sel : In(4)
    dat_w : In(32)
    dat_r : Out(32)
    ack, err : Out(1)
        One cycle each.
    bus : Out(BusSignature())
    """

    def __init__(self, space: AddressSpace):
        self.space = space
        super().__init__(
            {
                "cyc": In(1),
                "stb": In(1),
                "we": In(1),
                "adr": In(space.bits),
                "sel": In(layouts.BUS_BITS // 8),
                "dat_w": In(layouts.BUS_BITS),
                "dat_r": Out(layouts.BUS_BITS),
                "ack": Out(1),
                "err": Out(1),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus, wanted, given_up = self.bus, Signal(), Signal()
        m.d.comb += [wanted.eq(self.cyc & self.stb), self.dat_r.eq(bus.r_data)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    Value.cast(bus.address).eq(engine_address(self.adr, self.space)),
                    bus.write.eq(self.we),
                    bus.w_data.eq(self.dat_w),
                    given_up.eq(0),
                ]
                with m.If(wanted & self.we & ~self.sel.all()):
                    m.next = "REFUSE"
                with m.Elif(wanted):
                    m.next = "TRANSFER"
            with m.State("REFUSE"):
                m.d.comb += self.err.eq(wanted)
                m.next = "IDLE"
            with m.State("TRANSFER"):
                m.d.comb += [
                    bus.request.eq(1),
                    self.ack.eq(bus.acknowledge & wanted & ~given_up),
                ]
                with m.If(~wanted):
                    m.d.sync += given_up.eq(1)
                with m.If(bus.acknowledge):
                    m.next = "IDLE"
        return m
