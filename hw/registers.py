"""Registers that no reset reaches.

An abort resets what is control: whether there is something, and how much. What that something is
keeps its value, for nobody looks at it then; a reset would take wires to every bit of it, and
LUTs where it is set to 0 by something else, too (decision 16).
"""

from amaranth.hdl import Module, Signal

__all__ = ["data_register", "port_register"]


def data_register(like, *, name: str | None = None):
    """A register like another value, without reset."""
    return Signal.like(like, name=name, reset_less=True)


def port_register(m: Module, port):
    """A register like a port, which it drives, without reset; parts of it may be driven anew."""
    register = data_register(port, name="register")
    m.d.comb += port.eq(register)
    return register
