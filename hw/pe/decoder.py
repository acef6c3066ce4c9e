from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig
from ..registers import data_register, port_register

__all__ = ["EntryDecoder", "IndexAccumulator", "WeightDecoder"]


class WeightDecoder(wiring.Component):
    """Code to weight through the codebook: one entry per cycle, two cycles of latency.

    Members
    -------
    code_mask, base : In
        Which low bits of an entry are its code; place of the layer's code 0 in the codebook, which
        has 0 in those bits.
    entry : In(entry_bits)
    code, stored : Out, In
        Look-up in `Tables`.
    weight : Out(signed(weight_bits))
        Of the entry two cycles ago.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        instruction = layouts.instruction(config)
        weight = layouts.operand(config)["weight"].shape
        super().__init__(
            {
                "code_mask": In(layouts.CODE_BITS_MAX),
                "base": In(instruction["codebook_base"].shape),
                "entry": In(config.entry_bits),
                "code": Out(instruction["codebook_base"].shape),
                "stored": In(weight),
                "weight": Out(weight),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.code.eq(self.base | (self.entry & self.code_mask)),
            self.weight.eq(self.stored),
        ]
        return m


class IndexAccumulator(wiring.Component):
    """Gaps to rows: one entry per cycle, two cycles of latency.

    The first entry of a column is in row `gap`, each further one `gap` + 1 rows below the one
    before it (EIE, section III; Deep Compression, figure 2).

    Members
    -------
    code_bits : In
        Low bits of an entry that are not its gap.
    enable, first : In(1)
        There is an entry; it is the first of its column.
    entry : In(entry_bits)
    row : Out
        Of the entry two cycles ago.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "code_bits": In(layouts.instruction(config)["code_bits"].shape),
                "enable": In(1),
                "first": In(1),
                "entry": In(config.entry_bits),
                "row": Out(layouts.row(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Half of the shift before the register, half behind it. No gap reaches beyond the rows, so
        # bits beyond a row's are 0.
        fine, coarse = self.code_bits[:2], self.code_bits[2:]
        shifted, gap = data_register(self.entry), Signal.like(self.row)
        row = port_register(m, self.row)
        enable, first = Signal(), Signal()
        m.d.comb += gap.eq(shifted >> fine)
        m.d.sync += [
            shifted.eq(self.entry >> Cat(Const(0, 2), coarse)),
            enable.eq(self.enable),
            first.eq(self.first),
        ]
        # Before the first row there is row -1; the lowest bits carry in the 1.
        one, before = Const(1, 1), row | first.replicate(len(row))
        with m.If(enable):
            m.d.sync += row.eq((Cat(one, before) + Cat(one, gap))[1:])
        return m


class EntryDecoder(wiring.Component):
    """Entries to operands: weight decoder and index accumulator side by side.

    One entry per cycle, two cycles of latency.

    Members
    -------
    code_bits, code_mask, codebook_base : In
        Of the layer's instruction; the low `code_bits` of `code_mask` are 1.
    code, stored : Out, In
        See `WeightDecoder`.
    i : In(stream.Signature(layouts.encoded, always_ready=True))
    o : Out(stream.Signature(layouts.operand, always_ready=True))
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        self.weights = WeightDecoder(config)
        self.rows = IndexAccumulator(config)
        instruction = layouts.instruction(config)
        super().__init__(
            {
                "code_bits": In(instruction["code_bits"].shape),
                "code_mask": In(layouts.CODE_BITS_MAX),
                "codebook_base": In(instruction["codebook_base"].shape),
                "code": Out(instruction["codebook_base"].shape),
                "stored": In(layouts.operand(config)["weight"].shape),
                "i": In(stream.Signature(layouts.encoded(config), always_ready=True)),
                "o": Out(stream.Signature(layouts.operand(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.weights = weights = self.weights
        m.submodules.rows = rows = self.rows
        entry, operand = self.i.payload, port_register(m, self.o.payload)
        m.d.comb += [
            weights.code_mask.eq(self.code_mask),
            weights.base.eq(self.codebook_base),
            weights.entry.eq(entry.entry),
            weights.stored.eq(self.stored),
            self.code.eq(weights.code),
            rows.code_bits.eq(self.code_bits),
            rows.enable.eq(self.i.valid & ~entry.null),
            rows.first.eq(entry.first),
            rows.entry.eq(entry.entry),
        ]
        read, read_valid = data_register(entry), Signal()
        m.d.sync += [
            read_valid.eq(self.i.valid),
            read.eq(entry),
            self.o.valid.eq(read_valid),
            operand.activation.eq(read.activation),
            operand.null.eq(read.null),
            operand.last.eq(read.last),
            operand.buffer.eq(read.buffer),
        ]
        m.d.comb += [self.o.payload.weight.eq(weights.weight), self.o.payload.row.eq(rows.row)]
        return m
