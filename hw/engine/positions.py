import functools
import operator

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..config import AcceleratorConfig

__all__ = ["PositionWalker", "advance", "next_time"]


def advance(config, place, step):
    """The (word, lane) that lies `step` after `place`; both have these two fields, as wide.

    Returns
    -------
    Statements that the other two need; word; lane.
    """
    lanes = config.lanes
    if lanes & (lanes - 1) == 0:  # lanes carry into words as any bits do
        both = Cat(place.lane, place.word) + Cat(step.lane, step.word)
        return [], both[len(place.lane) :], both[: len(place.lane)]
    lane, over = Signal(range(2 * lanes)), Signal()
    return (
        [lane.eq(place.lane + step.lane), over.eq(lane >= lanes)],
        place.word + step.word + over,
        lane - over * lanes,
    )


def next_time(repeat, left, ended):
    """The (left, ended) that follow these: how often a loop starts again, and whether not at all.

    After its last time it begins anew. `ended` is a bit of its own to be known at once.
    """
    return Mux(ended, repeat, left - 1), Mux(ended, repeat == 0, left == 1)


class PositionWalker(wiring.Component):
    """Where the patches of a layer begin: one position per cycle, the first one after `start`.

    Pooling windows are walked through one by one, each row by row, so that all positions of a
    window follow each other; windows row by row; vectors one after the other.

    Members
    -------
    start : In(1)
        Begin with the layer given below: since a cycle before, vectors since two cycles before, and
        until the last position is taken; two cycles after that or later.
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
        position, steps = self.o.payload, self.walk.steps
        taken, goes_on, last = Signal(), Signal(len(steps)), Signal()
        m.d.comb += taken.eq(self.o.valid & self.o.ready)
        step = Signal(layouts.position(self.config))
        m.d.comb += step.eq(
            functools.reduce(
                operator.or_,
                (
                    way.as_value() & goes.replicate(step.shape().size)
                    for way, goes in zip(steps, goes_on, strict=True)
                ),
            )
        )
        carry, word, lane = advance(self.config, position, step)
        m.d.comb += carry
        with m.If(self.start):
            m.d.sync += [self.o.valid.eq(1), position.eq(self.walk.start)]
        with m.Elif(taken):
            m.d.sync += [
                self.o.valid.eq(~last),
                position.word.eq(word),
                position.lane.eq(lane),
                position.y.eq(position.y + step.y),
                position.x.eq(position.x + step.x),
            ]
        self._look_ahead(m, self.start | taken, goes_on, last)
        return m

    def _look_ahead(self, m, moves, goes_on, last):
        """Which loop, one-hot, goes on after the position, or that it is the last one.

        It is known a position early, so that nothing but a sum comes after it.
        """
        vectors = Signal.like(self.vectors)
        m.d.sync += vectors.eq(self.vectors - 1)
        repeats = [*self.walk.repeats, vectors]
        below = 1  # all levels below are at their last time
        for level, (name, repeat) in enumerate(zip(layouts.WALK_LEVELS, repeats, strict=True)):
            left, ended = Signal(len(repeat), name=f"{name}_left"), Signal(name=f"{name}_ended")
            after = next_time(repeat, left, ended)
            with m.If(moves):
                m.d.sync += goes_on[level].eq(below & ~ended)
                with m.If(below):
                    m.d.sync += [left.eq(after[0]), ended.eq(after[1])]
            with m.Elif(~self.o.valid):  # before a layer
                m.d.sync += [left.eq(repeat), ended.eq(repeat == 0)]
            below &= ended
        with m.If(moves):
            m.d.sync += last.eq(below)
