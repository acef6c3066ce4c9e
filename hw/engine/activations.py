from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadSignature, items_to_ints, read_register
from ..regmap import Window

__all__ = ["ActivationMemory"]


class ActivationMemory(wiring.Component):
    """Activation words of one group: a read port for its feeder, a write port for write-back.

    Both serve the host while `host` is high; then the feeder is idle, and keeps `enable` and `take`
    high. A read takes two cycles, as in `LoadedMemory`.

    Members
    -------
    host : In(1)
        The host has the memory; write-back and feeder must be idle.
    load : In(LoadSignature())
    host_address : In(layouts.address)
        Bus word to read; `host_data` is its value three cycles later.
    host_data : Out(32)
    index, enable, take, word : feeder's read port
        `take` puts what was read last into `word`.
    write_enable, write_index, write_word : write-back's port
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, init=None):
        self.config = config
        self.unit = unit
        self.init = items_to_ints(init)
        index = bits_for(config.activation_depth - 1)
        super().__init__(
            {
                "host": In(1),
                "load": In(LoadSignature()),
                "host_address": In(layouts.address),
                "host_data": Out(layouts.BUS_BITS),
                "index": In(index),
                "enable": In(1),
                "take": In(1),
                "word": Out(layouts.activation_word(config)),
                "write_enable": In(1),
                "write_index": In(index),
                "write_word": In(layouts.activation_word(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # The host sees packed bits, 32 at a time; a write touches only the bits of its own word. Of
        # a word that is less than those, no more is kept.
        width = self.config.lanes * self.config.activation_bits
        parts = -(-width // layouts.BUS_BITS)
        part_bits = (layouts.stride(width) - 1).bit_length()
        m.submodules.memory = memory = Memory(
            shape=unsigned(parts * layouts.BUS_BITS if parts > 1 else width),
            depth=self.config.activation_depth,
            init=self.init,
        )
        read = memory.read_port()
        write = memory.write_port(granularity=layouts.BUS_BITS if parts > 1 else None)

        address = self.load.address
        selected = (
            self.load.windows[Window.ACTIVATIONS]
            & self.host
            & ((address.unit == self.unit) | (address.unit == layouts.ALL_UNITS))
        )
        from_host = Signal(parts)
        m.d.sync += from_host.eq(
            Cat(selected & (address.offset[:part_bits] == part) for part in range(parts))
        )
        m.d.comb += [
            write.addr.eq(Mux(self.host, address.offset >> part_bits, self.write_index)),
            write.data.eq(
                Mux(self.host, Cat(self.load.data for _ in range(parts)), self.write_word)
            ),
            write.en.eq(Mux(self.host, from_host, self.write_enable.replicate(parts))),
            read.addr.eq(Mux(self.host, self.host_address.offset >> part_bits, self.index)),
            read.en.eq(self.enable),
        ]
        word = read_register(m, read.data, name="word", enable=self.take)
        m.d.comb += self.word.eq(word[:width])
        # The part of the word that is on its way.
        on_way = [Signal(max(1, part_bits), name=f"part_{age}") for age in range(1, 3)]
        m.d.sync += [
            on_way[0].eq(self.host_address.offset[:part_bits]),
            on_way[1].eq(on_way[0]),
            self.host_data.eq(word.word_select(on_way[1], layouts.BUS_BITS)),
        ]
        return m
