from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadSignature
from ..pe.accumulate import DrainSignature
from ..pe.element import ProcessingElement

__all__ = ["Grid"]


def _balanced_sum(terms):
    """Sum of the terms as a tree of adders, not a chain."""
    terms = list(terms)
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return terms[0]


class Grid(wiring.Component):
    """Processing elements: every lane of a group takes the tokens of the group's feeder.

    A token is taken when every lane had room for it one cycle ago.

    Members
    -------
    load : In(LoadSignature())
    code_bits, codebook_base, joined : In
        Of the layer's instruction.
    i : In(stream.Signature(layouts.token)) × groups
    drain : In(DrainSignature(config))
    totals : Out((lanes, groups) of signed(accumulator_bits))
        Accumulators that `drain` asked for `TOTAL_LATENCY` cycles ago.
    full : Out(2)
        Buffers that are complete in every element, one cycle late, which `drain` makes up for.
    busy, stalled : Out
        Elements that were so three cycles ago.
    """

    # One cycle to the elements, three in them.
    TOTAL_LATENCY = 4

    def __init__(self, config: AcceleratorConfig, *, contents=None):
        self.config = config
        self.elements = [
            [
                ProcessingElement(config, group * config.lanes + lane, contents=contents)
                for lane in range(config.lanes)
            ]
            for group in range(config.groups)
        ]
        instruction = layouts.instruction(config)
        totals = data.ArrayLayout(signed(config.accumulator_bits), config.groups)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "code_bits": In(instruction["code_bits"].shape),
                "codebook_base": In(instruction["codebook_base"].shape),
                "joined": In(1),
                "i": In(stream.Signature(layouts.token(config))).array(config.groups),
                "drain": In(DrainSignature(config)),
                "totals": Out(data.ArrayLayout(totals, config.lanes)),
                "full": Out(2),
                "busy": Out(bits_for(config.elements)),
                "stalled": Out(bits_for(config.elements)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        elements = [element for lanes in self.elements for element in lanes]
        # Registers on what goes to every element.
        drain, code_mask = DrainSignature(self.config).create(), Signal(layouts.CODE_BITS_MAX)
        code_bits, codebook_base = Signal.like(self.code_bits), Signal.like(self.codebook_base)
        joined = Signal()
        m.d.sync += [
            drain.enable.eq(self.drain.enable),
            drain.place.eq(self.drain.place),
            drain.release.eq(self.drain.release),
            drain.buffer.eq(self.drain.buffer),
            joined.eq(self.joined),
            code_bits.eq(self.code_bits),
            code_mask.eq((1 << self.code_bits) - 1),
            codebook_base.eq(self.codebook_base),
        ]
        for element in elements:
            m.submodules[f"element_{element.unit}"] = element
            connect(m, flipped(self.load), element.load)
            m.d.comb += [
                element.drain.enable.eq(drain.enable),
                element.drain.place.eq(drain.place),
                element.drain.release.eq(drain.release),
                element.drain.buffer.eq(drain.buffer),
                element.joined.eq(joined),
                element.code_bits.eq(code_bits),
                element.code_mask.eq(code_mask),
                element.codebook_base.eq(codebook_base),
            ]
        for group, lanes in enumerate(self.elements):
            tokens = self.i[group]
            # Registered, since it goes far; the queues keep places for what is then on its way.
            m.d.sync += tokens.ready.eq(Cat(element.room for element in lanes).all())
            for lane, element in enumerate(lanes):
                m.d.comb += [
                    element.i.payload.eq(tokens.payload),
                    element.i.valid.eq(tokens.valid & tokens.ready),
                    self.totals[lane][group].eq(element.total),
                ]
        for name in ("busy", "stalled"):
            self._count(m, name)
        # Not while a buffer is being released, which the elements' flags show two cycles late.
        for buffer in range(2):
            released = (self.drain.release & (self.drain.buffer == buffer)) | (
                drain.release & (drain.buffer == buffer)
            )
            every = Cat(element.full[buffer] for element in elements).all()
            m.d.sync += self.full[buffer].eq(every & ~released)
        return m

    def _count(self, m, name):
        """Elements whose flag of that name is set: in three stages, since they are many."""
        flags = [Signal(self.config.lanes, name=f"{name}_{n}") for n in range(len(self.elements))]
        counts = [Signal(range(self.config.lanes + 1)) for _ in self.elements]
        for lanes, flag, count in zip(self.elements, flags, counts, strict=True):
            m.d.sync += [
                flag.eq(Cat(getattr(element, name) for element in lanes)),
                count.eq(_balanced_sum(flag)),
            ]
        m.d.sync += getattr(self, name).eq(_balanced_sum(counts))
