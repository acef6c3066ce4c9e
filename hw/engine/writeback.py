from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..pe.accumulate import DrainSignature
from ..regmap import Window
from .grid import balanced_sum

__all__ = ["LaneWriteBack", "WriteBack"]


class LaneWriteBack(wiring.Component):
    """One lane's outputs: sum of the groups, bias, shift, ReLU, saturation.

    One output per cycle, four cycles of latency after the totals: ``clamp(relu((sum + bias) >>
    shift))``. The packer puts the rounding half into the bias (see `sim.golden.run_layer`).

    Members
    -------
    load : In(LoadSignature())
    bias_index : In
        Place of the bias of the totals that come in the next cycle.
    shift, relu : In
        Of the layer's instruction.
    totals : In(signed(accumulator_bits)) × groups
    activation : Out(signed(activation_bits))
    """

    LATENCY = 4

    def __init__(self, config: AcceleratorConfig, lane: int, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.BIAS, lane, config.accumulator_bits, config.bias_depth, init=init
        )
        instruction = layouts.instruction(config)
        totals = data.ArrayLayout(signed(config.accumulator_bits), config.groups)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "bias_index": In(instruction["bias_base"].shape),
                "shift": In(instruction["shift"].shape),
                "relu": In(1),
                "totals": In(totals),
                "activation": Out(signed(config.activation_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)

        shape = signed(self.config.accumulator_bits)
        bias, total, biased, shifted = (Signal(shape, name=n) for n in ("b", "t", "tb", "s"))
        high = (1 << (self.config.activation_bits - 1)) - 1
        m.d.comb += memory.index.eq(self.bias_index)
        m.d.sync += [
            total.eq(balanced_sum(self.totals[group] for group in range(self.config.groups))),
            bias.eq(memory.item.as_signed()),
            biased.eq(total + bias),
            shifted.eq(biased >> self.shift),
        ]
        # Too large for an activation: not all bits above are the sign.
        negative, above = shifted[-1], shifted[self.config.activation_bits - 1 :]
        with m.If(self.relu & negative):
            m.d.sync += self.activation.eq(0)
        with m.Elif(above.any() & ~above.all()):
            m.d.sync += self.activation.eq(Mux(negative, -high - 1, high))
        with m.Else():
            m.d.sync += self.activation.eq(shifted)
        return m


class WriteBack(wiring.Component):
    """Drains finished vectors: one activation word per cycle, vector after vector with no bubble.

    After reset it first clears both accumulator buffers, whatever an aborted run left in them.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Begin with the layer given below, which stays until `done`.
    out_base, out_rows, bias_base, shift, relu : In
        Of the layer's instruction.
    vectors : In(16)
    full : In(2)
        Buffers that are complete in every processing element.
    drain : Out(DrainSignature(config))
    totals : In((lanes, groups) of signed(accumulator_bits))
    write_enable : Out(groups)
    write_index, write_word : Out
    done : Out(1)
        High for one cycle, when the layer's last word is stored.
    clearing : Out(1)
    """

    def __init__(self, config: AcceleratorConfig, *, contents=None):
        self.config = config
        biases = (contents or {}).get(Window.BIAS, [None] * config.lanes)
        self.lanes = [LaneWriteBack(config, n, init=bias) for n, bias in enumerate(biases)]
        instruction = layouts.instruction(config)
        totals = data.ArrayLayout(signed(config.accumulator_bits), config.groups)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "out_base": In(instruction["out_base"].shape),
                "out_rows": In(instruction["out_rows"].shape),
                "bias_base": In(instruction["bias_base"].shape),
                "shift": In(instruction["shift"].shape),
                "relu": In(1),
                "vectors": In(16),
                "full": In(2),
                "drain": Out(DrainSignature(config)),
                "totals": In(data.ArrayLayout(totals, config.lanes)),
                "write_enable": Out(config.groups),
                "write_index": Out(instruction["out_base"].shape),
                "write_word": Out(layouts.activation_word(config)),
                "done": Out(1),
                "clearing": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for number, lane in enumerate(self.lanes):
            m.submodules[f"lane_{number}"] = lane
            connect(m, flipped(self.load), lane.load)
            m.d.comb += [
                lane.bias_index.eq(self.bias_base + self.drain.row),
                lane.shift.eq(self.shift),
                lane.relu.eq(self.relu),
                lane.totals.eq(self.totals[number]),
                self.write_word[number].eq(lane.activation),
            ]
        drained, finished = Signal(), Signal()
        self._drain(m, drained, finished)
        self._write(m, drained, finished)
        return m

    def _drain(self, m, drained, finished):
        """Asks for the rows; `drained` marks a row to write, `finished` the last one of a layer."""
        drain = self.drain
        vector = Signal.like(self.vectors)
        last_row = Signal()
        m.d.comb += last_row.eq(drain.row == self.out_rows - 1)
        with m.FSM(init="CLEAR"):
            with m.State("CLEAR"):
                m.d.comb += [self.clearing.eq(1), drain.enable.eq(1)]
                m.d.sync += drain.row.eq(drain.row + 1)
                with m.If(drain.row == self.config.accumulator_depth - 1):
                    m.d.sync += [drain.row.eq(0), drain.buffer.eq(~drain.buffer)]
                    with m.If(drain.buffer):
                        m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += vector.eq(self.vectors - 1)
                with m.If(self.start):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(self.full.bit_select(drain.buffer, 1)):
                    m.d.comb += [drain.enable.eq(1), drained.eq(1)]
                    m.d.sync += drain.row.eq(drain.row + 1)
                    with m.If(last_row):
                        m.d.comb += drain.release.eq(1)
                        m.d.sync += [
                            drain.row.eq(0),
                            drain.buffer.eq(~drain.buffer),
                            vector.eq(vector - 1),
                        ]
                        with m.If(vector == 0):
                            m.d.comb += finished.eq(1)
                            m.next = "IDLE"

    def _write(self, m, drained, finished):
        """Stores the words when they come out of the lanes, round robin over the groups."""
        latency = LaneWriteBack.LATENCY
        write_delay, done_delay = Signal(latency + 1), Signal(latency + 2)
        group = Signal(self.config.groups, init=1)  # one-hot
        m.d.sync += [
            write_delay.eq((write_delay << 1) | drained),
            done_delay.eq((done_delay << 1) | finished),
        ]
        m.d.comb += [
            self.write_enable.eq(Mux(write_delay[-1], group, 0)),
            self.done.eq(done_delay[-1]),
        ]
        with m.If(self.start):
            m.d.sync += self.write_index.eq(self.out_base)
        with m.Elif(write_delay[-1]):
            m.d.sync += group.eq(group.rotate_left(1))
            with m.If(group[-1]):
                m.d.sync += self.write_index.eq(self.write_index + 1)
