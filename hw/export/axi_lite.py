"""AXI4-Lite as an initiator of the internal bus."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..regmap import AddressSpace
from .bus import engine_address

__all__ = ["AxiLite"]

_OKAY, _SLVERR = 0b00, 0b10
_BYTES = layouts.BUS_BITS // 8


class AxiLite(wiring.Component):
    """An AXI4-Lite target of 32 bits with byte addresses, which passes every transfer on to a bus.

    One transfer at a time; of a read and a write that wait, the one goes first whose kind was not
    served last. A write's address and its data may come in any order, and may be taken before the
    transfer before has been answered. A write of some bytes of a word alone has no effect and is
    answered SLVERR. The low two bits of addresses, and the protection bits, are not heeded.

    A transfer takes three cycles more than on the bus: of a register, five from the cycle in which
    the address of a read, or the second half of a write, is taken to that in which its answer is.

    Parameters
    ----------
    space : AddressSpace
        Of the addresses.

    Members
    -------
    awaddr, awprot, awvalid, awready, wdata, wstrb, wvalid, wready, bresp, bvalid, bready,
    araddr, arprot, arvalid, arready, rdata, rresp, rvalid, rready
        As the standard has them, seen from the target.
    bus : Out(BusSignature())
    """

    def __init__(self, space: AddressSpace):
        self.space = space
        address = space.bits + (_BYTES - 1).bit_length()
        super().__init__(
            {
                "awaddr": In(address),
                "awprot": In(3),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(layouts.BUS_BITS),
                "wstrb": In(_BYTES),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(2),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(address),
                "arprot": In(3),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(layouts.BUS_BITS),
                "rresp": Out(2),
                "rvalid": Out(1),
                "rready": In(1),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus, served = self.bus, Signal()  # whether it was a write
        write_at, read_at = Signal.like(self.awaddr), Signal.like(self.araddr)
        data, strobes = Signal.like(self.wdata), Signal.like(self.wstrb)
        addressed = _taken(m, self.awvalid, self.awready, (write_at, self.awaddr))
        filled = _taken(m, self.wvalid, self.wready, (data, self.wdata), (strobes, self.wstrb))
        asked = _taken(m, self.arvalid, self.arready, (read_at, self.araddr))
        may_write = addressed & filled & ~self.bvalid
        may_read = asked & ~self.rvalid
        writing = Signal()
        m.d.comb += writing.eq(may_write & ~(may_read & served))
        m.d.comb += self.rresp.eq(_OKAY)
        for valid, ready in ((self.bvalid, self.bready), (self.rvalid, self.rready)):
            with m.If(ready):
                m.d.sync += valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                place = Mux(writing, write_at, read_at)[(_BYTES - 1).bit_length() :]
                m.d.sync += [
                    Value.cast(bus.address).eq(engine_address(place, self.space)),
                    bus.write.eq(writing),
                    bus.w_data.eq(data),
                ]
                with m.If(may_write | may_read):
                    m.d.sync += served.eq(writing)
                with m.If(writing):
                    m.d.sync += [addressed.eq(0), filled.eq(0)]
                with m.Elif(may_read):
                    m.d.sync += asked.eq(0)
                with m.If(writing & ~strobes.all()):
                    # Nothing at all may be written, but not some bytes of a word.
                    refused = Mux(strobes.any(), _SLVERR, _OKAY)
                    m.d.sync += [self.bvalid.eq(1), self.bresp.eq(refused)]
                with m.Elif(may_write | may_read):
                    m.next = "TRANSFER"
            with m.State("TRANSFER"):
                m.d.comb += bus.request.eq(1)
                with m.If(bus.acknowledge & bus.write):
                    m.d.sync += [self.bvalid.eq(1), self.bresp.eq(_OKAY)]
                with m.If(bus.acknowledge & ~bus.write):
                    m.d.sync += [self.rvalid.eq(1), self.rdata.eq(bus.r_data)]
                with m.If(bus.acknowledge):
                    m.next = "IDLE"
        return m


def _taken(m, valid, ready, *registers):
    """Takes what a channel offers into registers; whether there is something in them."""
    full = Signal()
    m.d.comb += ready.eq(~full)
    with m.If(valid & ready):
        m.d.sync += [full.eq(1), *(register.eq(port) for register, port in registers)]
    return full
