import functools
import operator

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["DrainSignature", "MultiplyAccumulate"]


class DrainSignature(wiring.Signature):
    """How write-back reads and clears finished accumulators, seen from write-back.

    Members
    -------
    enable : Out(1)
        Read `row` of `buffer`, and clear it.
    buffer : Out(1)
    row : Out(range(accumulator_depth))
    release : Out(1)
        `buffer` may be filled again: its rows that follow, `RELEASED_EARLY` at most, are drained in
        the next cycles, before an element that hears of it can have an operand for them.
    """

    # The first operand comes six cycles after a release: one until the fetch stage takes its
    # column, three for the entry, two for the decoder. A row is cleared the cycle after it is read.
    RELEASED_EARLY = 4

    def __init__(self, config: AcceleratorConfig):
        super().__init__(
            {
                "enable": Out(1),
                "buffer": Out(1),
                "row": Out(bits_for(config.accumulator_depth - 1)),
                "release": Out(1),
            }
        )


class MultiplyAccumulate(wiring.Component):
    """``accumulators[buffer][row] += weight * activation``: one operand per cycle.

    Two buffers: while one is filled, write-back drains the other. An accumulator is read in the
    cycle of its operand, added to in the next, and written in the one after, so sums of the same
    row one and two operands earlier are forwarded.

    Members
    -------
    i : In(stream.Signature(layouts.operand, always_ready=True))
    drain : In(DrainSignature(config))
    total : Out(signed(accumulator_bits))
        The accumulator that `drain` asked for one cycle ago.
    full : Out(2)
        Buffers whose vector is complete; set three cycles after the marker, until released.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(layouts.operand(config), always_ready=True)),
                "drain": In(DrainSignature(config)),
                "total": Out(signed(config.accumulator_bits)),
                "full": Out(2),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = signed(self.config.accumulator_bits)
        operand = self.i.payload
        valid = Signal()
        m.d.comb += valid.eq(self.i.valid & ~operand.null)

        # Stage 1 adds, stage 2 writes; a sum written in the cycle of a read is forwarded from the
        # cycle after.
        add_valid, add_row, add_buffer = Signal(), Signal.like(operand.row), Signal()
        write_valid, write_row, write_buffer = Signal(), Signal.like(operand.row), Signal()
        product = Signal(signed(self.config.weight_bits + self.config.activation_bits))
        total, written = Signal(shape), Signal(shape)
        same_as_total, same_as_written = Signal(), Signal()
        use_total, use_written, use_stored = Signal(), Signal(), Signal(2)
        m.d.comb += [
            same_as_total.eq(add_valid & (add_row == operand.row) & (add_buffer == operand.buffer)),
            same_as_written.eq(
                write_valid & (write_row == operand.row) & (write_buffer == operand.buffer)
            ),
        ]
        m.d.sync += [
            product.eq(operand.weight * operand.activation),
            add_valid.eq(valid),
            add_row.eq(operand.row),
            add_buffer.eq(operand.buffer),
            write_valid.eq(add_valid),
            write_row.eq(add_row),
            write_buffer.eq(add_buffer),
            written.eq(total),
            use_total.eq(same_as_total),
            use_written.eq(same_as_written & ~same_as_total),
        ]
        for buffer in range(2):
            fresh = ~(same_as_total | same_as_written) & (operand.buffer == buffer)
            m.d.sync += use_stored[buffer].eq(fresh)

        stored = self._buffers(m, total, write_valid, write_row, write_buffer)
        # One of four, chosen beforehand: memories are late in their cycle, and a sum comes after.
        choices = (
            (total, use_total),
            (written, use_written),
            (stored[0], use_stored[0]),
            (stored[1], use_stored[1]),
        )
        before = Signal(shape)
        m.d.comb += before.eq(
            functools.reduce(
                operator.or_, (value & use.replicate(len(before)) for value, use in choices)
            )
        )
        m.d.sync += total.eq(before + product)

        drained = Signal()
        m.d.sync += drained.eq(self.drain.buffer)
        m.d.comb += self.total.eq(stored[drained])
        self._markers(m)
        return m

    def _buffers(self, m, total, write_valid, write_row, write_buffer):
        """The two accumulator memories; returns what each read one cycle ago."""
        drain = self.drain
        clear_row, clearing = Signal.like(drain.row), Signal(2)
        m.d.sync += clear_row.eq(drain.row)
        stored = []
        for buffer in range(2):
            memory = Memory(
                shape=signed(self.config.accumulator_bits),
                depth=self.config.accumulator_depth,
                init=[],
            )
            m.submodules[f"buffer_{buffer}"] = memory
            read, write = memory.read_port(), memory.write_port()
            draining = drain.enable & (drain.buffer == buffer)
            adding = write_valid & (write_buffer == buffer)
            m.d.sync += clearing[buffer].eq(draining)
            m.d.comb += [
                read.addr.eq(Mux(draining, drain.row, self.i.payload.row)),
                write.addr.eq(Mux(clearing[buffer], clear_row, write_row)),
                write.data.eq(Mux(clearing[buffer], 0, total)),
                write.en.eq(clearing[buffer] | adding),
            ]
            stored.append(read.data)
        return Array(stored)

    def _markers(self, m):
        """A buffer is full once the operand with the marker is written."""
        marker = [Signal(2, name=f"marker_{stage}") for stage in range(3)]
        for buffer in range(2):
            arrives = self.i.valid & self.i.payload.last & (self.i.payload.buffer == buffer)
            m.d.sync += [
                marker[0][buffer].eq(arrives),
                marker[1][buffer].eq(marker[0][buffer]),
            ]
            m.d.comb += marker[2][buffer].eq(marker[1][buffer])
            with m.If(marker[2][buffer]):
                m.d.sync += self.full[buffer].eq(1)
            with m.Elif(self.drain.release & (self.drain.buffer == buffer)):
                m.d.sync += self.full[buffer].eq(0)
