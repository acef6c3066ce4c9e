"""Memories that the host loads through a window of the bus, and the load port they share."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from . import layouts
from .registers import data_register
from .regmap import Window

__all__ = ["LoadSignature", "LoadedMemory", "SerialMemory", "items_to_ints", "read_register"]


class LoadSignature(wiring.Signature):
    """One bus word for the memories, seen from the host port; every memory picks what is its own.

    Members
    -------
    windows : Out(len(Window))
        The window that is written to, one-hot; none if `address` is beyond its memories' depth.
    address : Out(layouts.address)
    data : Out(32)
        Both stay for another cycle, in which the memories take them: who is meant takes a cycle to
        be known.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "windows": Out(len(Window)),
                "address": Out(layouts.address),
                "data": Out(layouts.BUS_BITS),
            }
        )


def items_to_ints(items: Sequence[Sequence[int]] | None) -> list[int]:
    """Memory items of 32-bit parts, the low one first, as integers."""
    return [
        sum(int(part) << (layouts.BUS_BITS * place) for place, part in enumerate(parts))
        for parts in (items if items is not None else ())
    ]


def read_register(m: Module, read, *, name: str, enable=1) -> Signal:
    """What the port of a memory reads, a cycle later: a block RAM is late in its own cycle.

    Without reset, and with nothing before it, so that it may be the block RAM's own register.

    Parameters
    ----------
    read : the port's data
    enable : whether it takes what is read
    """
    item = data_register(read, name=name)
    with m.If(enable):
        m.d.sync += item.eq(read)
    return item


class LoadedMemory(wiring.Component):
    """A memory that only the host writes: one item is `layouts.stride(width)` bus words.

    A read takes two cycles: the second is that of `read_register`. With `distributed` the memory is
    made of LUTs, and that register is the only one. Reading an item in the cycle in which it is
    written, the one after `load.windows`, gives no defined value.

    Platforms may have another in its place: what their `get_loaded_memory(memory)` returns, if it
    is not None. As with `get_memory` of Amaranth's memories, it drives the same members.

    Parameters
    ----------
    window, unit : Window, int or None
        Its place on the bus; unit None takes the writes to every unit.
    width, depth : int
        Bits per item, and items.
    init : items of 32-bit parts
        Contents at power-up; zero beyond its end.
    distributed : bool
        Made of LUTs.

    Members
    -------
    load : In(LoadSignature())
    index : In(range(depth))
    enable : In(1, init=1)
        `item` changes.
    item : Out(width)
        The item at `index` two cycles ago (one, if distributed); it stays while `enable` was low
        one cycle ago.
    """

    def __init__(
        self,
        window: Window,
        unit: int | None,
        width: int,
        depth: int,
        *,
        init=None,
        distributed: bool = False,
    ):
        self.window, self.unit = window, unit
        self.width, self.depth = width, depth
        self.init = items_to_ints(init)
        self.distributed = distributed
        self.in_turns = False  # whether it is to be a `SerialMemory`
        super().__init__(
            {
                "load": In(LoadSignature()),
                "index": In(bits_for(depth - 1)),
                "enable": In(1, init=1),
                "item": Out(width),
            }
        )

    @property
    def selected(self):
        """Whether the word of `load` is one of this memory's."""
        selected = self.load.windows[self.window]
        if self.unit is not None:
            selected &= self.load.address.unit == self.unit
        return selected

    def elaborate(self, platform):
        if self.in_turns:
            return SerialMemory(self)
        if hasattr(platform, "get_loaded_memory"):
            other = platform.get_loaded_memory(self)
            if other is not None:
                return other
        m = Module()
        wide = self.width > layouts.BUS_BITS
        parts = -(-self.width // layouts.BUS_BITS)
        shape = unsigned(parts * layouts.BUS_BITS if wide else self.width)
        # Else Yosys makes a block RAM of it, with the register as its read port.
        attrs = {"ram_style": "distributed"} if self.distributed else {}
        m.submodules.memory = memory = Memory(
            shape=shape, depth=self.depth, init=self.init, attrs=attrs
        )
        read = memory.read_port(domain="comb" if self.distributed else "sync")
        write = memory.write_port(granularity=layouts.BUS_BITS if wide else None)

        part_bits = (layouts.stride(self.width) - 1).bit_length()
        address, selected = self.load.address, self.selected
        m.d.comb += [
            write.addr.eq(address.offset >> part_bits),
            write.data.eq(Cat(self.load.data for _ in range(parts))),
            read.addr.eq(self.index),
        ]
        item = read_register(m, read.data[: self.width], name="item", enable=self.enable)
        m.d.comb += self.item.eq(item)
        for part in range(len(write.en)):
            this_part = address.offset[:part_bits] == part
            m.d.sync += write.en[part].eq(selected & this_part)
        return m


class SerialMemory(Elaboratable):
    """In place of a `LoadedMemory` with wide items: words of 32 bits, read one a cycle, in turns.

    For few wide items, which would leave block RAMs all but empty. The item at a new index is whole
    after `latency` cycles; until then it is of both. `enable` is not heeded.
    """

    def __init__(self, memory: LoadedMemory):
        self.memory = memory

    @staticmethod
    def latency(width: int) -> int:
        """Cycles from an index to its item, with as many bits: one for each word, one to read."""
        return -(-width // layouts.BUS_BITS) + 1

    def elaborate(self, platform):
        m = Module()
        this, stride = self.memory, layouts.stride(self.memory.width)
        parts = -(-this.width // layouts.BUS_BITS)
        mask = (1 << layouts.BUS_BITS) - 1
        words = [
            (item >> (layouts.BUS_BITS * part)) & mask
            for item in this.init
            for part in range(stride)
        ]
        m.submodules.memory = memory = Memory(
            shape=layouts.BUS_BITS, depth=this.depth * stride, init=words
        )
        read, write = memory.read_port(), memory.write_port()
        turn = Signal(range(parts))
        last = turn == parts - 1
        before = Signal(parts)  # the part that was asked for, one-hot
        m.d.sync += [
            write.en.eq(this.selected),
            turn.eq(Mux(last, 0, turn + 1)),
            before.eq(1 << turn),
        ]
        m.d.comb += [
            write.addr.eq(this.load.address.offset),
            write.data.eq(this.load.data),
            read.addr.eq(Cat(turn, Const(0, ceil_log2(stride) - len(turn)), this.index)),
        ]
        taken = [
            read_register(m, read.data, name=f"part_{part}", enable=before[part])
            for part in range(parts)
        ]
        m.d.comb += this.item.eq(Cat(taken))
        return m
