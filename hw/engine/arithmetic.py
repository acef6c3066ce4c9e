"""Arithmetic that write-back and pooling share."""

from amaranth.hdl import Cat, Const, Signal, signed

__all__ = ["add_or_subtract"]


def add_or_subtract(m, a, b, subtract, *, name):
    """``a + b``, or ``a - b`` if `subtract`, of signed numbers: one bit wider than both, one adder.

    The sign of a difference tells which is less.
    """
    width = max(len(a), len(b)) + 1
    left, right = (
        Signal(signed(width), name=f"{name}_left"),
        Signal(signed(width), name=f"{name}_right"),
    )
    total = Signal(width + 1, name=name)
    m.d.comb += [
        left.eq(a),
        right.eq(b),
        # The lowest bits carry in the one that completes the complement.
        total.eq(Cat(Const(1, 1), left) + Cat(subtract, right ^ subtract.replicate(width))),
    ]
    return total[1:].as_signed()
