from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature, items_to_ints, read_register
from ..regmap import Window

__all__ = ["Tables"]


class Tables(wiring.Component):
    """Column pointers and codebook of a processing element: one look-up each per cycle.

    With `shared_tables` both are in one memory with two read ports, of which the first serves the
    host, too: a block RAM with two full ports holds it. A read takes two cycles, as in
    `LoadedMemory`; reading in the cycle of a write gives no defined value.

    Members
    -------
    load : In(LoadSignature())
    column : In(range(column_depth))
    pointer : Out(layouts.pointer)
        Of the column two cycles ago.
    code : In(range(codebook_depth))
    weight : Out(signed(weight_bits))
        At the place in the codebook two cycles ago.
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, pointers=None, codebook=None):
        self.config = config
        self.unit = unit
        self.init = (pointers, codebook)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "column": In(bits_for(config.column_depth - 1)),
                "pointer": Out(layouts.pointer(config)),
                "code": In(bits_for(config.codebook_depth - 1)),
                "weight": Out(layouts.operand(config)["weight"].shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self.config.shared_tables:
            self._shared(m)
        else:
            self._separate(m)
        return m

    def _separate(self, m):
        config, (pointers, codebook) = self.config, self.init
        m.submodules.pointers = pointers = LoadedMemory(
            Window.POINTERS,
            self.unit,
            self.pointer.shape().size,
            config.column_depth,
            init=pointers,
        )
        m.submodules.codebook = codebook = LoadedMemory(
            Window.CODEBOOK, None, config.weight_bits, config.codebook_depth, init=codebook
        )
        for memory in (pointers, codebook):
            connect(m, flipped(self.load), memory.load)
        m.d.comb += [
            pointers.index.eq(self.column),
            self.pointer.eq(pointers.item),
            codebook.index.eq(self.code),
            self.weight.eq(codebook.item),
        ]

    def _shared(self, m):
        """The codebook lies behind the pointers, at a multiple of its depth, a power of two."""
        config, load = self.config, self.load
        codes = config.codebook_depth
        base = -(-config.column_depth // codes) * codes
        pointers, codebook = (items_to_ints(items) for items in self.init)
        m.submodules.memory = memory = Memory(
            shape=unsigned(max(self.pointer.shape().size, config.weight_bits)),
            depth=base + codes,
            init=pointers + [0] * (base - len(pointers)) + codebook,
        )
        write, pointer, weight = memory.write_port(), memory.read_port(), memory.read_port()
        of_pointers, of_codebook, place = Signal(), Signal(), Signal.like(pointer.addr)
        m.d.sync += [
            of_pointers.eq(load.windows[Window.POINTERS] & (load.address.unit == self.unit)),
            of_codebook.eq(load.windows[Window.CODEBOOK]),
        ]

        def behind(code):
            return Cat(code[: bits_for(codes - 1)], Const(base // codes, bits_for(base // codes)))

        m.d.comb += [
            place.eq(
                Mux(
                    of_codebook,
                    behind(load.address.offset),
                    Mux(of_pointers, load.address.offset, self.column),
                )
            ),
            pointer.addr.eq(place),
            write.addr.eq(place),
            write.data.eq(load.data),
            write.en.eq(of_pointers | of_codebook),
            weight.addr.eq(behind(self.code)),
        ]
        m.d.comb += [
            self.pointer.eq(read_register(m, pointer.data, name="pointer_item")),
            self.weight.eq(read_register(m, weight.data, name="weight_item")),
        ]
