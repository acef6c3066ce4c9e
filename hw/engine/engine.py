from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bus import BusSignature
from ..config import AcceleratorConfig
from ..regmap import Window
from .activations import ActivationMemory
from .counters import LayerCounters
from .feeder import Feeder
from .grid import Grid
from .host import HostPort
from .sequencer import Sequencer
from .writeback import WriteBack

__all__ = ["Engine"]


class Engine(wiring.Component):
    """The accelerator behind its bus.

    Parameters
    ----------
    config : AcceleratorConfig
    contents : window -> per unit, items of 32-bit parts
        What the memories hold at power-up (`sw.image.Image.contents`); zeros without it.
    image_id : int
        `sw.image.Image.id` of the contents; 0 without them.

    Members
    -------
    bus : In(BusSignature())
    busy : Out(1)
        A network is running, or the engine is recovering from an abort.
    """

    def __init__(self, config: AcceleratorConfig, contents=None, image_id: int = 0):
        self.config = config
        self.contents = contents
        self.image_id = image_id
        super().__init__({"bus": In(BusSignature()), "busy": Out(1)})

    def elaborate(self, platform):
        config, contents = self.config, self.contents
        m = Module()
        host = HostPort(config, image_id=self.image_id)
        sequencer = Sequencer(config, contents=contents)
        tables = (contents or {}).get(Window.SEGMENTS, [None] * config.groups)
        feeders = [Feeder(config, n, init=table) for n, table in enumerate(tables)]
        grid = Grid(config, contents=contents)
        writeback = WriteBack(config, contents=contents)
        counters = LayerCounters(config)
        stored = (contents or {}).get(Window.ACTIVATIONS, [None] * config.groups)
        memories = [ActivationMemory(config, n, init=init) for n, init in enumerate(stored)]

        # A register of its own: it resets all that is not near the host.
        abort = Signal()
        m.d.sync += abort.eq(host.abort)
        abortable = ResetInserter(abort)
        m.submodules.host = host
        m.submodules.sequencer = abortable(sequencer)
        m.submodules.grid = abortable(grid)
        m.submodules.writeback = abortable(writeback)
        m.submodules.counters = counters
        for group in range(config.groups):
            m.submodules[f"feeder_{group}"] = abortable(feeders[group])
            m.submodules[f"activations_{group}"] = memories[group]

        connect(m, flipped(self.bus), host.bus)
        for loaded in (sequencer, grid, writeback, *feeders, *memories):
            connect(m, host.load, loaded.load)
        connect(m, writeback.drain, grid.drain)
        for group in range(config.groups):
            connect(m, feeders[group].o, grid.i[group])
        self._layer(m, host, sequencer, feeders, grid, writeback)
        self._activations(m, host, feeders, writeback, memories)
        self._status(m, host, sequencer, feeders, grid, writeback, counters)
        return m

    def _layer(self, m, host, sequencer, feeders, grid, writeback):
        """The instruction goes to whoever needs a part of it."""
        instruction = sequencer.instruction
        m.d.comb += [
            sequencer.start.eq(host.start),
            sequencer.fed.eq(writeback.fed),
            sequencer.stored.eq(writeback.done),
            writeback.start.eq(sequencer.store_start),
        ]
        for block in (*feeders, writeback):
            m.d.comb += block.vectors.eq(host.vectors)
        for feeder in feeders:
            m.d.comb += [
                feeder.start.eq(sequencer.feed_start),
                feeder.patch.eq(instruction.patch),
                feeder.behind.eq(sequencer.ahead),
                feeder.stored.eq(writeback.write_index),
            ]
        m.d.comb += [
            grid.code_bits.eq(instruction.code_bits),
            grid.codebook_base.eq(instruction.codebook_base),
            grid.joined.eq(instruction.store.joined),
            writeback.store.eq(instruction.store),
            writeback.full.eq(grid.full),
            writeback.totals.eq(grid.totals),
        ]

    def _activations(self, m, host, feeders, writeback, memories):
        for group, (feeder, memory) in enumerate(zip(feeders, memories, strict=True)):
            m.d.comb += [
                memory.host.eq(~self.busy),
                memory.host_address.eq(host.read_address),
                memory.index.eq(feeder.word_index),
                memory.enable.eq(feeder.word_enable),
                memory.take.eq(feeder.word_take),
                feeder.word.eq(memory.word),
                memory.write_enable.eq(writeback.write_enable[group]),
                memory.write_index.eq(writeback.write_index),
                memory.write_word.eq(writeback.write_word),
            ]
            with m.If(host.read_address.unit == group):
                m.d.comb += host.activation.eq(memory.host_data)

    def _status(self, m, host, sequencer, feeders, grid, writeback, counters):
        tokens = [feeder.o for feeder in feeders]
        sent = [token.valid & token.ready & ~token.payload.null for token in tokens]
        blocked = [token.valid & ~token.ready for token in tokens]
        # A cycle late, as no token is in a layer's last.
        m.d.sync += [
            counters.steps.activations.eq(sum(sent)),
            counters.steps.blocked.eq(sum(blocked)),
        ]
        m.d.comb += [
            self.busy.eq(sequencer.busy | writeback.clearing),
            host.busy.eq(self.busy),
            host.layer.eq(sequencer.layer),
            host.cycles.eq(sequencer.cycles),
            counters.start.eq(sequencer.feed_start),
            counters.done.eq(sequencer.ended),
            counters.layer.eq(sequencer.ended_layer),
            counters.steps.busy.eq(grid.busy),
            counters.steps.stalled.eq(grid.stalled),
            counters.read_layer.eq(host.read_address.unit),
            counters.read_counter.eq(host.read_address.offset),
            host.counter.eq(counters.value),
        ]
