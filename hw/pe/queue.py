from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import FIFOInterface, SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import QUEUE_RESERVE, AcceleratorConfig, ConfigError

__all__ = ["BlockQueue", "ColumnQueue"]


class BlockQueue(Elaboratable, FIFOInterface):
    """A `SyncFIFO` in a block RAM, cycle by cycle the same; its depth is a power of two."""

    def __init__(self, *, width: int, depth: int):
        super().__init__(width=width, depth=depth)
        self.level = Signal(range(depth + 1))

    def elaborate(self, platform):
        m = Module()
        m.submodules.storage = storage = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = storage.write_port(), storage.read_port()
        level, first, after = self.level, Signal.like(read.addr), Signal.like(read.addr)
        # The first place is read a cycle beforehand; what comes into it just then goes round.
        new, came = Signal(), Signal(self.width)
        puts, takes = self.w_rdy & self.w_en, self.r_rdy & self.r_en
        m.d.comb += [
            self.r_level.eq(level),
            self.w_level.eq(level),
            self.w_rdy.eq(level != self.depth),
            self.r_rdy.eq(level != 0),
            self.r_data.eq(Mux(new, came, read.data)),
            after.eq(first + takes),
            read.addr.eq(after),
            write.addr.eq(first + level),
            write.data.eq(self.w_data),
            write.en.eq(puts),
        ]
        m.d.sync += [
            first.eq(after),
            level.eq(level + puts - takes),
            came.eq(self.w_data),
            new.eq(puts & (write.addr == after)),
        ]
        return m


class ColumnQueue(wiring.Component):
    """Columns waiting for the fetch stage: one in and one out per cycle, one cycle of latency.

    Members
    -------
    i : In(stream.Signature(layouts.column, always_ready=True))
        Lost if the queue is full: the sender heeds `room`.
    o : Out(stream.Signature(layouts.column))
    room : Out(1)
        At least `hw.config.QUEUE_RESERVE` places are free.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(layouts.column(config), always_ready=True)),
                "o": Out(stream.Signature(layouts.column(config))),
                "room": Out(1),
            }
        )

    def elaborate(self, platform):
        kind, depth = SyncFIFO, self.config.queue_depth
        if getattr(platform, "queues_in_block_ram", False):
            if depth & (depth - 1):
                raise ConfigError(f"queue_depth is {depth}; in block RAM it must be a power of two")
            kind = BlockQueue
        m = Module()
        width = layouts.column(self.config).size
        m.submodules.fifo = fifo = kind(width=width, depth=depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.room.eq(fifo.level <= self.config.queue_depth - QUEUE_RESERVE),
        ]
        return m
