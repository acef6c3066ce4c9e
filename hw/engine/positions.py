from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["PositionWalker", "advance"]


def advance(config, place, step):
    """The (word, lane) that lies `step` after `place`; both have these two fields."""
    lane = Signal(range(2 * config.lanes))
    over = Signal()
    return (
        [lane.eq(place.lane + step.lane), over.eq(lane >= config.lanes)],
        place.word + step.word + over,
        lane - over * config.lanes,
    )


class PositionWalker(wiring.Component):
    """Where the patches of a layer begin: one position per cycle, the first one after `start`.

    Pooling windows are walked through one by one, each row by row, so that all positions of a
    window follow each other; windows row by row; vectors one after the other.

    Members
    -------
    start : In(1)
        Begin with the layer given below, which stays until the last position is taken.
    walk : In(layouts.walk)
    vectors : In(16)
        Vectors, 1 or more.
    o : Out(stream.Signature(layouts.position))
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "walk": In(layouts.walk(config)),
                "vectors": In(16),
                "o": Out(stream.Signature(layouts.position(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        position = self.o.payload
        taken, step = Signal(), Signal(layouts.position(self.config))
        m.d.comb += taken.eq(self.o.valid & self.o.ready)
        carry, word, lane = advance(self.config, position, step)
        m.d.comb += carry
        with m.If(taken):
            m.d.sync += [
                position.word.eq(word),
                position.lane.eq(lane),
                position.y.eq(position.y + step.y),
                position.x.eq(position.x + step.x),
            ]
        repeats = [*self.walk.repeats, self.vectors - 1]
        below = 1  # all levels below are at their last time
        for level, (name, repeat) in enumerate(zip(layouts.WALK_LEVELS, repeats, strict=True)):
            # How often the level still starts again, and, known beforehand, whether not at all.
            left, ended = Signal(len(repeat), name=f"{name}_left"), Signal(name=f"{name}_ended")
            with m.If(below & ~ended):
                m.d.comb += step.eq(self.walk.steps[level])
            with m.If(self.start | (taken & below & ended)):
                m.d.sync += [left.eq(repeat), ended.eq(repeat == 0)]
            with m.Elif(taken & below):
                m.d.sync += [left.eq(left - 1), ended.eq(left == 1)]
            below &= ended
        with m.If(taken & below):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [self.o.valid.eq(1), position.eq(self.walk.start)]
        return m
