"""A component as Verilator simulates it fastest: its reset comes from a flip-flop."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal
from amaranth.lib.wiring import Component, connect, flipped

__all__ = ["INNER", "LateReset"]

INNER = "inner"
"""What the component is called within."""


class LateReset(Component):  # type: ignore[misc]  # Amaranth has no types
    """A component that is reset a cycle late.

    What depends on an input of the top module, Verilator evaluates anew at every change of any
    input, and so at both edges of the clock. All that can be reset would depend on one.

    Parameters
    ----------
    component : Component
        In the domain sync. It has the members of the whole.
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        super().__init__(component.signature)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        late = Signal(init=1, reset_less=True)
        m.domains.late = ClockDomain("late")
        m.submodules[INNER] = DomainRenamer("late")(self.component)
        m.d.sync += late.eq(ResetSignal("sync"))
        m.d.comb += [ClockSignal("late").eq(ClockSignal("sync")), ResetSignal("late").eq(late)]
        connect(m, flipped(self), self.component)
        return m
