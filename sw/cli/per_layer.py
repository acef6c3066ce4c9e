"""Options that say something of all layers, or of some: `--density 0.1 --density ip2=0.5`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sw.errors import BadInput

__all__ = ["overrides"]

_Number = TypeVar("_Number", int, float)
_Rules = list[tuple[str, float | None, int | None]]


def overrides(
    densities: Sequence[str], code_bits: Sequence[str]
) -> tuple[float | None, int | None, _Rules]:
    """What `Recipe.override` takes, from texts NUMBER and LAYER=NUMBER.

    Of several for all layers, the last counts.

    Raises
    ------
    BadInput
        If one is no such text.
    """
    density, shares = _parse("--density", densities, float)
    bits, widths = _parse("--code-bits", code_bits, int)
    rules: _Rules = [(layer, share, None) for layer, share in shares]
    return density, bits, [*rules, *((layer, None, width) for layer, width in widths)]


def _parse(
    option: str, texts: Sequence[str], number: Callable[[str], _Number]
) -> tuple[_Number | None, list[tuple[str, _Number]]]:
    """Number for all layers, and those for some."""
    everywhere, some = None, []
    for text in texts:
        layer, named, figure = text.rpartition("=")
        try:
            value = number(figure)
        except ValueError:
            what = "INTEGER" if number is int else "NUMBER"
            raise BadInput(f"{option} is {text!r}; it must be {what} or LAYER={what}") from None
        if named:
            some.append((layer, value))
        else:
            everywhere = value
    return everywhere, some
