from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import layouts
from ..config import AcceleratorConfig
from ..memory import LoadedMemory, LoadSignature
from ..registers import data_register, port_register
from ..regmap import Window

__all__ = ["EntryFetch"]


class EntryFetch(wiring.Component):
    """Reads the entries of the queued columns: one per cycle, with no bubble between columns.

    After a marker it goes on with the next vector in the other accumulator buffer, and waits only
    while both buffers hold vectors that write-back has not released; or one does, if it or the next
    takes both.

    Members
    -------
    load : In(LoadSignature())
    joined : In(1)
        Vectors take both buffers.
    i : In(stream.Signature(layouts.column))
    o : Out(stream.Signature(layouts.encoded, always_ready=True))
        Three cycles after its column is taken, then one entry every cycle.
    release : In(1)
        Write-back has emptied a buffer.
    busy : Out(1)
        An entry is read in this cycle.
    stalled : Out(1)
        A column is waiting, but the buffers are in use.
    """

    def __init__(self, config: AcceleratorConfig, unit: int, *, init=None):
        self.config = config
        self.memory = LoadedMemory(
            Window.ENTRIES, unit, config.entry_bits, config.entry_depth, init=init
        )
        super().__init__(
            {
                "load": In(LoadSignature()),
                "joined": In(1),
                "i": In(stream.Signature(layouts.column(config))),
                "o": Out(stream.Signature(layouts.encoded(config), always_ready=True)),
                "release": In(1),
                "busy": Out(1),
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)

        column = data_register(self.i.payload)
        active = Signal()
        first = Signal()
        buffer = Signal()
        next_buffer = Signal()
        null = Signal()  # no entry, but a marker
        final = Signal()  # no further entry
        taken = Signal()
        marker = Signal()
        with m.If(taken):
            m.d.sync += [
                column.eq(self.i.payload),
                active.eq(1),
                first.eq(1),
                null.eq(self.i.payload.pointer.count == 0),
                final.eq(self.i.payload.pointer.count <= 1),
                buffer.eq(next_buffer),
                next_buffer.eq(next_buffer ^ self.i.payload.last),
            ]
        with m.Elif(final):
            m.d.sync += active.eq(0)
        with m.Else():
            m.d.sync += [
                column.pointer.start.eq(column.pointer.start + 1),
                column.pointer.count.eq(column.pointer.count - 1),
                final.eq(column.pointer.count == 2),
                first.eq(0),
            ]
        blocked = self._blocked(m, marker)
        m.d.comb += [
            self.i.ready.eq((~active | final) & ~blocked),
            taken.eq(self.i.valid & self.i.ready),
            marker.eq(taken & self.i.payload.last),
            memory.index.eq(column.pointer.start),
            self.busy.eq(active & ~null),
            self.stalled.eq((~active | final) & self.i.valid & blocked),
        ]
        about = {"activation": column.activation, "first": first, "null": null}
        self._hand_on(m, active, {**about, "last": column.last & final, "buffer": buffer})
        return m

    def _blocked(self, m, marker):
        """Whether no buffer is left for another vector.

        Parameters
        ----------
        marker : a vector's marker is taken
        """
        unreleased = Signal(2)  # vectors whose marker was taken and whose buffer is not yet free
        alone = Signal()  # the last of them takes both buffers
        blocked = Signal()
        m.d.comb += blocked.eq(unreleased[1] | (unreleased[0] & (alone | self.joined)))
        with m.If(marker):
            m.d.sync += alone.eq(self.joined)
        m.d.sync += unreleased.eq(unreleased + marker - self.release)
        return blocked

    def _hand_on(self, m, active, about):
        """An entry that is read, and what is known of it, two cycles later: as the memory takes."""
        entry = port_register(m, self.o.payload)
        read = data_register(entry)
        read_valid = Signal()
        m.d.sync += [
            read_valid.eq(active),
            *(read[name].eq(value) for name, value in about.items()),
            self.o.valid.eq(read_valid),
            *(entry[name].eq(read[name]) for name in about),
        ]
        m.d.comb += self.o.payload.entry.eq(self.memory.item)
