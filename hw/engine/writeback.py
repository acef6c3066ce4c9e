import itertools

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..pe.accumulate import DrainSignature
from ..registers import data_register, port_register
from ..regmap import Window
from .arithmetic import add_or_subtract
from .grid import Grid
from .pool import Pool
from .positions import next_time

__all__ = ["LaneWriteBack", "WriteBack"]


class LaneWriteBack(wiring.Component):
    """One lane's outputs: the groups' totals in one, bias, shift, ReLU, saturation.

    One output per cycle, `latency` cycles after the totals: ``clamp(relu((total + bias) >>
    shift))``, where the total is the groups' sum or, with `across`, their maximum. The packer puts
    the rounding half into the bias (see `sim.golden.run_layer`).

    Members
    -------
    load : In(LoadSignature())
    bias_index : In
        Place of the bias of totals that come `BIAS_EARLY` - `levels` cycles later.
    shift, relu, across : In
        Of the layer's instruction.
    totals : In(signed(accumulator_bits)) × groups
    activation : Out(signed(activation_bits))
    """

    # Cycles from the place of a bias to the sum with it: its memory.
    BIAS_EARLY = 2

    def __init__(self, config: AcceleratorConfig, lane: int, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.BIAS, lane, config.accumulator_bits, config.bias_depth, init=init
        )
        store = layouts.store(config)
        totals = data.ArrayLayout(signed(config.accumulator_bits), config.groups)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "bias_index": In(store["bias_base"].shape),
                "shift": In(store["shift"].shape),
                "relu": In(1),
                "across": In(1),
                "totals": In(totals),
                "activation": Out(signed(config.activation_bits)),
            }
        )

    @staticmethod
    def levels(config: AcceleratorConfig) -> int:
        """Cycles that it takes to make one total of the groups'."""
        return (config.groups - 1).bit_length()

    @classmethod
    def latency(cls, config: AcceleratorConfig) -> int:
        return cls.levels(config) + 3

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)

        shape = signed(self.config.accumulator_bits)
        biased, shifted = (Signal(shape, name=n, reset_less=True) for n in ("biased", "shifted"))
        activation = port_register(m, self.activation)
        high = (1 << (self.config.activation_bits - 1)) - 1
        total = self._one_total(m)
        m.d.comb += memory.index.eq(self.bias_index)
        m.d.sync += [
            biased.eq(total + memory.item.as_signed()),
            shifted.eq(biased >> self.shift),
        ]
        # Too large for an activation: not all bits above are the sign.
        negative, above = shifted[-1], shifted[self.config.activation_bits - 1 :]
        with m.If(self.relu & negative):
            m.d.sync += activation.eq(0)
        with m.Elif(above.any() & ~above.all()):
            m.d.sync += activation.eq(Mux(negative, -high - 1, high))
        with m.Else():
            m.d.sync += activation.eq(shifted)
        return m

    def _one_total(self, m):
        """A tree over the groups with registers after every level."""
        terms = [self.totals[group] for group in range(self.config.groups)]
        for level in range(self.levels(self.config)):
            pairs = [terms[place : place + 2] for place in range(0, len(terms), 2)]
            terms = [
                data_register(terms[0], name=f"total_{level}_{place}")
                for place in range(len(pairs))
            ]
            for total, pair in zip(terms, pairs, strict=True):
                if len(pair) == 1:
                    m.d.sync += total.eq(pair[0])
                else:
                    name = f"both_{level}_{total.name}"
                    both = add_or_subtract(m, *pair, self.across, name=name)
                    greater = Mux(both[-1], pair[1], pair[0])
                    m.d.sync += total.eq(Mux(self.across, greater, both))
        return terms[0]


class WriteBack(wiring.Component):
    """Drains finished positions, pools them, and stores pixel after pixel with no bubble.

    One activation word per cycle goes through. After reset it first clears both accumulator
    buffers, whatever an aborted run left in them.

    Members
    -------
    load : In(LoadSignature())
    start : In(1)
        Begin with the layer given below; after reset or `done`.
    store : In(layouts.store)
        Of the layer's instruction.
    vectors : In(16)
        1 or more; since a cycle before `start`.
    full : In(2)
        Buffers that are complete in every processing element.
    drain : Out(DrainSignature(config))
    totals : In((lanes, groups) of signed(accumulator_bits))
    fed : Out(1)
        High for one cycle, when the layer's last position begins to be drained: the elements have
        nothing more to do for it.
    write_enable : Out(groups)
    write_index, write_word : Out
        Words of this layer before `write_index` are stored.
    done : Out(1)
        High for one cycle, when the layer's last word is stored.
    clearing : Out(1)
    """

    def __init__(self, config: AcceleratorConfig, *, contents=None):
        self.config = config
        biases = (contents or {}).get(Window.BIAS, [None] * config.lanes)
        self.lanes = [LaneWriteBack(config, n, init=bias) for n, bias in enumerate(biases)]
        self.pool = Pool(config)
        store = layouts.store(config)
        totals = data.ArrayLayout(signed(config.accumulator_bits), config.groups)
        super().__init__(
            {
                "load": In(LoadSignature()),
                "start": In(1),
                "store": In(store),
                "vectors": In(16),
                "full": In(2),
                "drain": Out(DrainSignature(config)),
                "totals": In(data.ArrayLayout(totals, config.lanes)),
                "fed": Out(1),
                "write_enable": Out(config.groups),
                "write_index": Out(store["base"].shape),
                "write_word": Out(layouts.activation_word(config)),
                "done": Out(1),
                "clearing": Out(1),
            }
        )
        # What is known of a row while its word is on its way.
        self.row_layout = data.StructLayout(
            {
                "valid": 1,
                "row": layouts.row(config),
                "first": 1,  # of the positions of its window
                "final": 1,
                "end": 1,  # of the rows of its pixel
                "finished": 1,  # the layer's last
            }
        )

    def elaborate(self, platform):
        m = Module()
        store, pools = Signal.like(self.store), Signal()
        with m.If(self.start):
            m.d.sync += [store.eq(self.store), pools.eq(self.store.window != 0)]
        row = Signal(self.row_layout)
        stages = self._delay(m, row, Grid.TOTAL_LATENCY + LaneWriteBack.latency(self.config))
        biased = Grid.TOTAL_LATENCY + LaneWriteBack.levels(self.config)
        for number, lane in enumerate(self.lanes):
            m.submodules[f"lane_{number}"] = lane
            connect(m, flipped(self.load), lane.load)
            m.d.comb += [
                lane.bias_index.eq(store.bias_base + stages[biased - LaneWriteBack.BIAS_EARLY].row),
                lane.shift.eq(store.shift),
                lane.relu.eq(store.relu),
                lane.across.eq(store.across),
                lane.totals.eq(self.totals[number]),
                self.pool.word[number].eq(lane.activation),
            ]
        m.submodules.pool = pool = self.pool
        ready = stages[-1]
        m.d.comb += [
            pool.average.eq(store.average),
            pool.average_shift.eq(store.average_shift),
            pool.enable.eq(ready.valid),
            pool.row.eq(ready.row),
            pool.first.eq(ready.first),
        ]
        # What is not pooled does not go through it, nor is it still there when another layer is.
        pooled, last = Signal(self.row_layout), Signal(self.row_layout)
        reduced = self._delay(m, pooled, Pool.LATENCY)[-1]
        with m.If(pools):
            m.d.comb += [pooled.eq(ready), last.eq(reduced), self.write_word.eq(pool.result)]
        with m.Else():
            m.d.comb += [last.eq(ready), self.write_word.eq(pool.word)]
        self._drain(m, store, row)
        self._write(m, store, last)
        return m

    def _delay(self, m, row, cycles):
        """The row drained 0 … `cycles` cycles ago."""
        stages = [row, *(Signal.like(row, name=f"row_{n}") for n in range(cycles))]
        for before, after in itertools.pairwise(stages):
            m.d.sync += after.eq(before)
        return stages

    def _drain(self, m, store, row):
        """Asks for the rows of every position, window by window, pixel by pixel."""
        drain, number = self.drain, Signal.like(row.row)
        draining, released, soon, last_position = Signal(), Signal(), Signal(), Signal()
        last_row, early_row = Signal.like(number), Signal.like(number)
        early = DrainSignature.RELEASED_EARLY + 1
        with m.If(self.start):
            m.d.sync += last_row.eq(self.store.rows - 1)
            m.d.sync += early_row.eq(Mux(self.store.rows > early, self.store.rows - early, 0))
        m.d.comb += [
            soon.eq(number >= early_row),
            row.end.eq(number == last_row),
            row.row.eq(number),
            # Buffers take turns; joined, they are one.
            drain.place.eq(Cat(number[:-1], Mux(store.joined, number[-1], drain.buffer))),
            last_position.eq(self._loops(m, store, row)),
        ]
        with m.FSM(init="CLEAR"):
            with m.State("CLEAR"):
                m.d.comb += [self.clearing.eq(1), drain.enable.eq(1), drain.place.eq(number)]
                m.d.sync += number.eq(number + 1)
                with m.If(number.all()):
                    m.next = "IDLE"
            with m.State("IDLE"), m.If(self.start):
                m.next = "DRAIN"
            with m.State("DRAIN"), m.If(draining | self.full.bit_select(drain.buffer, 1)):
                m.d.comb += [
                    drain.enable.eq(1),
                    drain.release.eq(soon & ~released),
                    row.valid.eq(1),
                    self.fed.eq(~draining & last_position),
                    row.finished.eq(row.end & last_position),
                ]
                m.d.sync += [number.eq(number + 1), draining.eq(1), released.eq(soon)]
                with m.If(row.end):
                    m.d.sync += [
                        draining.eq(0),
                        released.eq(0),
                        number.eq(0),
                        drain.buffer.eq(~drain.buffer),
                    ]
                with m.If(row.finished):
                    m.next = "IDLE"

    def _loops(self, m, store, row):
        """Whether the position is the layer's last; and its place in its window.

        Known without looking at more than three bits, since a whole layer starts by it.
        """
        vectors, last, ends = Signal.like(self.vectors), 1, []
        m.d.sync += vectors.eq(self.vectors - 1)
        moves, first = row.valid & row.end, Signal()
        for name, fresh, repeat in (
            ("position", self.store.window, store.window),
            ("pixel", self.store.pixels, store.pixels),
            ("vector", vectors, vectors),
        ):
            left, ended = Signal(len(repeat), name=f"{name}s_left"), Signal(name=f"last_{name}")
            with m.If(self.start):
                m.d.sync += [left.eq(fresh), ended.eq(fresh == 0)]
            with m.Elif(moves & last):
                after = next_time(repeat, left, ended)
                m.d.sync += [left.eq(after[0]), ended.eq(after[1])]
            ends.append(ended)
            last &= ended
        m.d.comb += [row.first.eq(first), row.final.eq(ends[0])]
        with m.If(self.start):
            m.d.sync += first.eq(1)
        with m.Elif(moves):
            m.d.sync += first.eq(ends[0])
        return last

    def _write(self, m, store, row):
        """Stores the words of finished windows, round robin over the groups."""
        group = Signal(self.config.groups, init=1)  # one-hot
        stored = Signal()
        m.d.comb += [
            stored.eq(row.valid & row.final),
            self.write_enable.eq(Mux(stored, group, 0)),
        ]
        m.d.sync += self.done.eq(row.finished)
        with m.If(self.start):
            m.d.sync += self.write_index.eq(self.store.base)
        with m.Elif(stored):
            m.d.sync += group.eq(group.rotate_left(1))
            with m.If(group[-1]):
                gap = Mux(row.end, store.gap, 0)
                m.d.sync += self.write_index.eq(self.write_index + 1 + gap)
