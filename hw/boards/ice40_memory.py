"""Memories in another form, for the iCE40: of SPRAM, and of block RAM where others have LUTs."""

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Mux,
    Signal,
    unsigned,
)
from amaranth.lib.memory import Memory
from amaranth.utils import ceil_log2

from .. import layouts
from ..memory import LoadedMemory, read_register

__all__ = ["BlockMemory", "SpramMemory", "sprams"]

_SPRAM_BITS = 16
_SPRAM_WORDS = 1 << 14


class BlockMemory(Elaboratable):
    """In place of a `LoadedMemory` made of LUTs: of block RAM, whose own register is the only one.

    So it is made where nothing depends on what is read in the cycle of a write.
    """

    def __init__(self, memory: LoadedMemory):
        self.memory = memory

    def elaborate(self, platform):
        m = Module()
        this = self.memory
        wide = this.width > layouts.BUS_BITS
        parts, part_bits = -(-this.width // layouts.BUS_BITS), ceil_log2(layouts.stride(this.width))
        m.submodules.memory = memory = Memory(
            shape=unsigned(parts * layouts.BUS_BITS if wide else this.width),
            depth=this.depth,
            init=this.init,
        )
        read = memory.read_port()
        write = memory.write_port(granularity=layouts.BUS_BITS if wide else None)
        offset = this.load.address.offset
        m.d.comb += [
            write.addr.eq(offset >> part_bits),
            write.data.eq(Cat(this.load.data for _ in range(parts))),
            read.addr.eq(this.index),
            read.en.eq(this.enable),
            this.item.eq(read.data),
        ]
        for part in range(len(write.en)):
            m.d.sync += write.en[part].eq(this.selected & (offset[:part_bits] == part))
        return m


def sprams(width: int, depth: int) -> tuple[int, int, int]:
    """(items in a word, words side by side, words' blocks one after the other) of an SPRAM memory.

    Two items share a word if their width is 4 or 8 bits.
    """
    together = 2 if width in (4, 8) else 1
    return together, -(-width // _SPRAM_BITS), -(-depth // (_SPRAM_WORDS * together))


class SpramMemory(Elaboratable):
    """In place of a `LoadedMemory`: made of the UP5K's SPRAM, 16,384 words of 16 bits a block.

    It holds nothing at power-up. It has one port: in the cycle in which an item is written none is
    read, so the host may write only while no network is running.
    """

    def __init__(self, memory: LoadedMemory):
        self.memory = memory

    def elaborate(self, platform):
        m = Module()
        this = self.memory
        together, wide, deep = sprams(this.width, this.depth)
        part_bits = ceil_log2(layouts.stride(this.width))
        low = ceil_log2(together)
        writes, wanted = Signal(), this.load.address.offset >> part_bits
        m.d.sync += writes.eq(this.selected)
        index = Mux(writes, wanted, this.index)
        word, bank = index[low : low + ceil_log2(_SPRAM_WORDS)], index[low + 14 :]
        # Where the item that is read lies: known a cycle later, as the item is.
        which = Signal(max(1, low + ceil_log2(deep)))
        m.d.sync += which.eq(Cat(this.index[:low], this.index[low + 14 :]))
        part = this.load.address.offset[:part_bits]
        banks = []
        for number in range(deep):
            halves = []
            for column in range(wide):
                first = column * _SPRAM_BITS
                chosen = writes & (part == first // layouts.BUS_BITS)
                if deep > 1:
                    chosen &= bank == number
                data = this.load.data[first % layouts.BUS_BITS :][:_SPRAM_BITS]
                mask = Const(0b1111, 4)
                if together == 2:
                    data = Cat(this.load.data[:8], this.load.data[:8])
                    mask = Mux(wanted[0], 0b1100, 0b0011)
                halves.append(self._block(m, f"spram_{number}_{column}", word, data, mask, chosen))
            banks.append(Cat(halves))
        item = Array(banks)[which[low:]] if deep > 1 else banks[0]
        if together == 2:
            item = Mux(which[0], item[8:], item[:8])
        m.d.comb += this.item.eq(
            read_register(m, item[: this.width], name="item", enable=this.enable)
        )
        return m

    @staticmethod
    def _block(m, name, address, data, mask, write):
        output = Signal(_SPRAM_BITS, name=name)
        m.submodules[name] = Instance(
            "SB_SPRAM256KA",
            i_ADDRESS=address,
            i_DATAIN=data,
            i_MASKWREN=mask,
            i_WREN=write,
            i_CHIPSELECT=1,
            i_CLOCK=ClockSignal(),
            i_STANDBY=0,
            i_SLEEP=0,
            i_POWEROFF=1,  # active low
            o_DATAOUT=output,
        )
        return output
