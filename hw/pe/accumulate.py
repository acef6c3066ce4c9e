import itertools

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import read_register
from ..registers import data_register, port_register

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
    # column, three for the entry, two for the decoder. A row is cleared the cycle after it is read.
    RELEASED_EARLY = 4

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
    is read in the cycle of its operand, added to in the fourth, and written in the fifth, so sums
    of the same place one to four operands earlier are forwarded. A bit beside each says
    whether it holds anything; what does not is 0, so that to clear is to take back a bit, and only
    sums are written.

    Members
    -------
    joined : In(1)
        The high bit of a row is its buffer.
    i : In(stream.Signature(layouts.operand, always_ready=True))
    drain : In(DrainSignature(config))
    total : Out(signed(accumulator_bits))
        The accumulator that `drain` asked for three cycles ago.
    full : Out(2)
        Buffers whose vector is complete; set three cycles after the marker, until released. Its
        last sum is written in the cycle after that.
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

        # Where the operand goes, and those that came up to four cycles ago: whether to any
        # accumulator, and to which.
        goes = [Signal(name=f"goes_{age}") for age in range(5)]
        place = [data_register(operand.row, name=f"place_{age}") for age in range(5)]
        same = [Signal(name=f"same_as_{age}") for age in range(5)]
        buffer = Mux(self.joined, operand.row[-1], operand.buffer)
        m.d.comb += [
            goes[0].eq(self.i.valid & ~operand.null),
            place[0].eq(Cat(operand.row[:-1], buffer)),
        ]
        for age in range(1, 5):
            m.d.sync += [goes[age].eq(goes[age - 1]), place[age].eq(place[age - 1])]
            m.d.comb += same[age].eq(goes[age] & (place[age] == place[0]))

        sums = total, written, older = [
            Signal(shape, name=n, reset_less=True) for n in ("sum", "written", "older")
        ]
        stored, holds = self._accumulators(m, (place[0], place[4]), goes[4], total)
        before = self._before(m, sums, same, (stored, holds))
        weight, activation = self._delayed(m, weight=operand.weight, activation=operand.activation)
        # Whether the sum before is another's. Not the contrary: Yosys makes the multiplexer of the
        # next sum a DSP48E1's own, and takes its input 0 for the sum whichever input that is.
        other = [~same[1], *(Signal(name=f"other_{n}", reset_less=True) for n in range(3))]
        m.d.sync += [after.eq(first) for first, after in itertools.pairwise(other)]
        product = Signal(signed(len(weight) + len(activation)), reset_less=True)
        m.d.sync += [
            product.eq(weight * activation),
            total.eq(Mux(other[-1], before, total) + product),
            written.eq(total),
            older.eq(written),
        ]
        self._markers(m)
        return m

    def _before(self, m, sums, same, found):
        """What an operand is added to, unless that is the last sum itself.

        Stage 1 takes what is stored, which comes late in its cycle; stage 2 a sum of the same place
        that is newer, if there is any; stage 3 adds; stage 4 writes.

        Parameters
        ----------
        sums : the last three
        same : of each age, whether an operand that old goes to the same place
        found : what is stored there; a cycle before, whether anything is
        """
        (total, written, older), (stored, holds) = sums, found
        before = data_register(total, name="before")
        known, choice = (Signal(2, name=n, reset_less=True) for n in ("known", "choice"))
        nothing = Signal(reset_less=True)
        m.d.sync += [
            known.eq(Mux(same[2], 1, Mux(same[3], 2, Mux(same[4], 3, 0)))),
            choice.eq(known),
            nothing.eq((known == 0) & ~holds),
            before.eq(
                Mux(choice[1], Mux(choice[0], older, written), Mux(choice[0], total, stored))
            ),
        ]
        with m.If(nothing):
            m.d.sync += before.eq(0)
        return before

    def _delayed(self, m, **factors):
        """Factors of two cycles ago, in registers without reset, which a DSP block has itself.

        With a register for the product and an adder to which its own sum may come back, that is the
        whole block.
        """
        for name, factor in factors.items():
            stages = [data_register(factor, name=f"{name[0]}_{n}") for n in range(2)]
            m.d.sync += [stages[0].eq(factor), stages[1].eq(stages[0])]
            yield stages[-1]

    def _accumulators(self, m, places, write, total):
        """What is stored at the place of two cycles ago; whether that of one cycle ago holds it.

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
            stored.append(read_register(m, port.data, name=f"stored_{number}").as_signed())
        # Cleared a cycle after it is read, so that no memory is read where it is written.
        clear, cleared = Signal(), data_register(drain.place)
        m.d.sync += [clear.eq(drain.enable), cleared.eq(drain.place)]
        held = []
        for buffer in range(2):  # no accumulator is drained while its buffer is added to
            memory = Memory(shape=1, depth=1 << (len(drain.place) - 1), init=[])
            m.submodules[f"held_{buffer}"] = memory
            to, port = memory.write_port(), memory.read_port()
            draining = drain.enable & (drain.place[-1] == buffer)
            clearing = clear & (cleared[-1] == buffer)
            m.d.comb += [
                port.addr.eq(Mux(draining, drain.place[:-1], added[:-1])),
                to.addr.eq(Mux(clearing, cleared[:-1], written[:-1])),
                to.data.eq(~clearing),
                to.en.eq(clearing | (write & (written[-1] == buffer))),
            ]
            held.append(port.data)
        holds = []
        for number, place in enumerate((added, drain.place)):
            buffer = Signal(name=f"buffer_{number}", reset_less=True)
            m.d.sync += buffer.eq(place[-1])
            holds.append(Mux(buffer, held[1], held[0]))
        nothing, drained = Signal(reset_less=True), port_register(m, self.total)
        m.d.sync += [nothing.eq(~holds[1]), drained.eq(stored[1])]
        with m.If(nothing):
            m.d.sync += drained.eq(0)
        return stored[0], holds[0]

    def _markers(self, m):
        """A buffer is full once the operand with the marker is about to be added."""
        for buffer in range(2):
            coming = Signal(2, name=f"marker_{buffer}")
            arrives = self.i.valid & self.i.payload.last & (self.i.payload.buffer == buffer)
            m.d.sync += coming.eq(Cat(arrives, coming[0]))
            with m.If(coming[1]):
                m.d.sync += self.full[buffer].eq(1)
            with m.Elif(self.drain.release & (self.drain.buffer == buffer)):
                m.d.sync += self.full[buffer].eq(0)
