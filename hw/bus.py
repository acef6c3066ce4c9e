"""The internal bus: 32-bit words, word addresses, one transfer at a time."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import layouts

__all__ = ["BusSignature"]


class BusSignature(wiring.Signature):
    """Seen from the initiator.

    The initiator raises `request` with `address`, `write` and `w_data` and holds all four until
    the cycle in which `acknowledge` is high; `r_data` is valid in that cycle. The target raises
    `acknowledge` for exactly one cycle a transfer, one cycle after `request` or later. The next
    transfer may begin in the following cycle.

    Members
    -------
    request, write : Out(1)
    address : Out(layouts.address)
    w_data : Out(32)
    acknowledge : In(1)
    r_data : In(32)
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "request": Out(1),
                "write": Out(1),
                "address": Out(layouts.address),
                "w_data": Out(layouts.BUS_BITS),
                "acknowledge": In(1),
                "r_data": In(layouts.BUS_BITS),
            }
        )
