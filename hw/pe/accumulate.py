from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["DrainSignature", "MultiplyAccumulate"]


class DrainSignature(wiring.Signature):
    """How write-back reads and clears finished accumulators, seen from write-back.

    Members
    -------
    enable : Out(1)
        Read the accumulator at `place`, and clear it.
    place : Out(layouts.row)
        Row, and buffer as its high bit.
    release : Out(1)
        The vector in `buffer` is done with: its rows that follow, `RELEASED_EARLY` at most, are
        drained in the next cycles, before an element that hears of it can have an operand for them.
    buffer : Out(1)
        The marker's, even if both buffers are joined.
    """

    # The first operand comes six cycles after a release: one until the fetch stage takes its
    # column, three for the entry, two for the decoder. A row is cleared in the cycle in which it is
    # read.
    RELEASED_EARLY = 5

    def __init__(self, config: AcceleratorConfig):
        super().__init__(
            {
                "enable": Out(1),
                "place": Out(layouts.row(config)),
                "release": Out(1),
                "buffer": Out(1),
            }
        )


class MultiplyAccumulate(wiring.Component):
    """``accumulators[buffer][row] += weight * activation``: one operand per cycle.

    Two buffers: while one is filled, write-back drains the other; or they are one. An accumulator
    is read in the cycle of its operand, added to in the third, and written in the fourth, so sums
    of the same place one, two and three operands earlier are forwarded. A bit beside each says
    whether it holds anything; what does not is 0, so that to clear is to take back a bit, and only
    sums are written.

    Members
    -------
    joined : In(1)
        The high bit of a row is its buffer.
    i : In(stream.Signature(layouts.operand, always_ready=True))
    drain : In(DrainSignature(config))
    total : Out(signed(accumulator_bits))
        The accumulator that `drain` asked for two cycles ago.
    full : Out(2)
        Buffers whose vector is complete; set two cycles after the marker, until released. Its last
        sum is written in the cycle after that.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "joined": In(1),
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

        # Where operands that are on their way go, and those that came one, two and three cycles
        # ago: whether to any accumulator, and to which.
        goes = [Signal(name=f"goes_{age}") for age in range(4)]
        place = [Signal.like(operand.row, name=f"place_{age}") for age in range(4)]
        same = [Signal(name=f"same_as_{age}") for age in range(4)]
        buffer = Mux(self.joined, operand.row[-1], operand.buffer)
        m.d.comb += [
            goes[0].eq(self.i.valid & ~operand.null),
            place[0].eq(Cat(operand.row[:-1], buffer)),
        ]
        for age in range(1, 4):
            m.d.sync += [goes[age].eq(goes[age - 1]), place[age].eq(place[age - 1])]
            m.d.comb += same[age].eq(goes[age] & (place[age] == place[0]))

        # Stage 1 takes what is stored, or a sum that is not yet; stage 2 adds; stage 3 writes.
        total, written, before = (Signal(shape, name=n) for n in ("sum", "written", "before"))
        stored, held = self._accumulators(m, (place[0], place[3]), goes[3], total)
        # Known beforehand, since memories are late in their cycle.
        use_total, use_written = Signal(), Signal()
        m.d.sync += [
            use_total.eq(same[2]),
            use_written.eq(same[3]),
            before.eq(Mux(use_total, total, Mux(use_written, written, stored))),
        ]
        with m.If(~use_total & ~use_written & ~held):
            m.d.sync += before.eq(0)

        # The shape of a DSP block: registers before and after the multiplier, then an adder to
        # which its own sum may come back.
        weight, activation = Signal.like(operand.weight), Signal.like(operand.activation)
        product = Signal(signed(self.config.weight_bits + self.config.activation_bits))
        again, same_again = Signal(), Signal()
        m.d.sync += [
            weight.eq(operand.weight),
            activation.eq(operand.activation),
            product.eq(weight * activation),
            same_again.eq(same[1]),
            again.eq(same_again),
            total.eq(Mux(again, total, before) + product),
            written.eq(total),
        ]
        self._markers(m)
        return m

    def _accumulators(self, m, places, write, total):
        """What is stored at the place of one cycle ago, and whether anything is.

        Parameters
        ----------
        places : where is read, and where `total` is written
        """
        drain, (added, written) = self.drain, places
        stored = []
        for number, place in enumerate((added, drain.place)):  # one copy for each that reads
            memory = Memory(shape=total.shape(), depth=1 << len(place), init=[])
            m.submodules[f"copy_{number}"] = memory
            to, port = memory.write_port(), memory.read_port()
            m.d.comb += [
                port.addr.eq(place),
                to.addr.eq(written),
                to.data.eq(total),
                to.en.eq(write),
            ]
            stored.append(port.data)
        held = []
        for buffer in range(2):  # no accumulator is drained while its buffer is added to
            memory = Memory(shape=1, depth=1 << (len(drain.place) - 1), init=[])
            m.submodules[f"held_{buffer}"] = memory
            to, port = memory.write_port(), memory.read_port()
            draining = drain.enable & (drain.place[-1] == buffer)
            m.d.comb += [
                port.addr.eq(Mux(draining, drain.place[:-1], added[:-1])),
                to.addr.eq(Mux(draining, drain.place[:-1], written[:-1])),
                to.data.eq(~draining),
                to.en.eq(draining | (write & (written[-1] == buffer))),
            ]
            held.append(port.data)
        added_buffer, drained_buffer = Signal(), Signal()
        m.d.sync += [
            added_buffer.eq(added[-1]),
            drained_buffer.eq(drain.place[-1]),
            self.total.eq(stored[1]),
        ]
        with m.If(~Mux(drained_buffer, held[1], held[0])):
            m.d.sync += self.total.eq(0)
        return stored[0], Mux(added_buffer, held[1], held[0])

    def _markers(self, m):
        """A buffer is full once the operand with the marker is added."""
        for buffer in range(2):
            coming = Signal(name=f"marker_{buffer}")
            arrives = self.i.valid & self.i.payload.last & (self.i.payload.buffer == buffer)
            m.d.sync += coming.eq(arrives)
            with m.If(coming):
                m.d.sync += self.full[buffer].eq(1)
            with m.Elif(self.drain.release & (self.drain.buffer == buffer)):
                m.d.sync += self.full[buffer].eq(0)
