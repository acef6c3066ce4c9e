from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..regmap import Window

__all__ = ["EntryDecoder", "IndexAccumulator", "WeightDecoder"]


class WeightDecoder(wiring.Component):
    """Code to weight through the codebook: one entry per cycle, one cycle of latency.

    Members
    -------
    load : In(LoadSignature())
    code_bits, base : In
        Low bits of an entry that are its code; place of the layer's code 0 in the codebook.
    entry : In(entry_bits)
    weight : Out(signed(weight_bits))
        Of the entry one cycle ago.
    """

    def __init__(self, config: AcceleratorConfig, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.CODEBOOK, None, config.weight_bits, config.codebook_depth, init=init
        )
        instruction = layouts.instruction(config)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "code_bits": In(instruction["code_bits"].shape),
                "base": In(instruction["codebook_base"].shape),
                "entry": In(config.entry_bits),
                "weight": Out(layouts.operand(config)["weight"].shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)
        code = Signal(min(layouts.CODE_BITS_MAX, self.config.entry_bits))
        mask = Signal(layouts.CODE_BITS_MAX)
        m.d.comb += [
            mask.eq((1 << self.code_bits) - 1),
            code.eq(self.entry & mask),
            memory.index.eq(self.base + code),
            self.weight.eq(memory.item),
        ]
        return m


class IndexAccumulator(wiring.Component):
    """Gaps to rows: one entry per cycle, one cycle of latency.

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
        Of the entry one cycle ago.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "code_bits": In(layouts.instruction(config)["code_bits"].shape),
                "enable": In(1),
                "first": In(1),
                "entry": In(config.entry_bits),
                "row": Out(bits_for(config.accumulator_depth - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        gap = Signal(min(layouts.GAP_BITS_MAX, self.config.entry_bits))
        m.d.comb += gap.eq(self.entry >> self.code_bits)
        with m.If(self.enable):
            with m.If(self.first):
                m.d.sync += self.row.eq(gap)
            with m.Else():
                m.d.sync += self.row.eq(self.row + gap + 1)
        return m


class EntryDecoder(wiring.Component):
    """Entries to operands: weight decoder and index accumulator side by side.

    One entry per cycle, two cycles of latency: the second is a register between the codebook, whose
    output is late in its cycle, and the multiplier.

    Members
    -------
    load : In(LoadSignature())
    code_bits, codebook_base : In
        Of the layer's instruction.
    i : In(stream.Signature(layouts.encoded, always_ready=True))
    o : Out(stream.Signature(layouts.operand, always_ready=True))
    """

    def __init__(self, config: AcceleratorConfig, *, init=None):
        self.config = config
        self.weights = WeightDecoder(config, init=init)
        self.rows = IndexAccumulator(config)
        instruction = layouts.instruction(config)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "code_bits": In(instruction["code_bits"].shape),
                "codebook_base": In(instruction["codebook_base"].shape),
                "i": In(stream.Signature(layouts.encoded(config), always_ready=True)),
                "o": Out(stream.Signature(layouts.operand(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.weights = weights = self.weights
        m.submodules.rows = rows = self.rows
        connect(m, flipped(self.load), weights.load)
        entry, operand = self.i.payload, self.o.payload
        m.d.comb += [
            weights.code_bits.eq(self.code_bits),
            weights.base.eq(self.codebook_base),
            weights.entry.eq(entry.entry),
            rows.code_bits.eq(self.code_bits),
            rows.enable.eq(self.i.valid & ~entry.null),
            rows.first.eq(entry.first),
            rows.entry.eq(entry.entry),
        ]
        decoded, decoded_valid = Signal.like(operand), Signal()
        m.d.comb += [decoded.weight.eq(weights.weight), decoded.row.eq(rows.row)]
        m.d.sync += [
            decoded_valid.eq(self.i.valid),
            decoded.activation.eq(entry.activation),
            decoded.null.eq(entry.null),
            decoded.last.eq(entry.last),
            decoded.buffer.eq(entry.buffer),
            self.o.valid.eq(decoded_valid),
            operand.eq(decoded),
        ]
        return m
