"""A register as data: its name, and what its bits are."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Cat, Const, Value

__all__ = ["Field", "Register", "as_data", "places"]


@dataclasses.dataclass(frozen=True)
class Field:
    """Some bits of a register, or one."""

    name: str
    first: int  # the lowest of them
    bits: int
    doc: str
    # "ro", "rw", "wo" or "w1c", which is write 1 to clear; that of the register if None.
    access: str | None = None

    @property
    def slice(self) -> slice:
        """Where they are in a value of the register's width."""
        return slice(self.first, self.first + self.bits)

    @property
    def mask(self) -> int:
        """A word in which they are 1; of a single bit, what it is worth."""
        return ((1 << self.bits) - 1) << self.first

    def of(self, word: int) -> int:
        """Their number in a word of the register."""
        return (word & self.mask) >> self.first

    def __str__(self) -> str:
        last = self.first + self.bits - 1
        where = f"bit {last}" if self.bits == 1 else f"bits {last}..{self.first}"
        clear = " (write 1 to clear)" if self.access == "w1c" else ""
        return f"{where}, {self.name}: {self.doc}{clear}"


@dataclasses.dataclass(frozen=True)
class Register:
    """One 32-bit register; its word address is its place among those that are listed with it."""

    name: str
    access: str  # "ro" or "rw"
    about: str
    guarded: bool = False  # as all windows are, by write_first and write_last
    fields: tuple[Field, ...] = ()  # of a register that is no number; other bits read 0

    @property
    def doc(self) -> str:
        """What it is, and what each of its bits."""
        return "; ".join([*filter(None, [self.about]), *map(str, self.fields)])

    @property
    def field(self) -> Mapping[str, Field]:
        """Its fields by name."""
        return {field.name: field for field in self.fields}

    def word(self, **values: Value) -> Value:
        """Its word, up to the last field, from the values of them all."""
        if values.keys() != self.field.keys():
            wrong = ", ".join(sorted(values.keys() ^ self.field.keys()))
            raise ValueError(f"{self.name}: {wrong}: its fields are {', '.join(self.field)}")
        parts: list[Value] = []
        for field in self.fields:
            if len(values[field.name]) != field.bits:
                raise ValueError(f"{self.name}: {field.name} has {field.bits} bits")
            parts += [Const(0, field.first - len(Cat(parts))), values[field.name]]
        return Cat(parts)


def as_data(registers: Iterable[Register], addresses: Iterable[int]) -> list[dict[str, Any]]:
    """The same as JSON can hold it."""
    return [
        {
            "name": register.name,
            "address": address,
            "access": register.access,
            "guarded": register.guarded,
            "doc": register.doc,
            "fields": [
                dataclasses.asdict(field) | {"access": field.access or register.access}
                for field in register.fields
            ],
        }
        for register, address in zip(registers, addresses, strict=True)
    ]


def places(registers: Iterable[Register]) -> dict[str, int]:
    """Name -> word address, in the order of the addresses."""
    return {register.name: place for place, register in enumerate(registers)}
