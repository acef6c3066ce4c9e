"""Bench of `hw.engine.segments.SegmentReader`."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import Trace, bits_of, configuration, drive, fields_of, load, load_word
from sim.bench.engine.positions import COORDINATES, WORDS, position_of
from sim.bench.streams import StreamDriver, StreamMonitor, parameters, start

CONFIG = configuration()
UNIT: int = parameters().get("unit", 0)
LANES, DEPTH = CONFIG.lanes, CONFIG.segment_depth
PATCH, POSITION = layouts.patch(CONFIG), layouts.position(CONFIG)
SEGMENT, RUN = layouts.segment(CONFIG), layouts.run(CONFIG)
COLUMNS = 1 << SEGMENT["column"].width
SIGNALS = ("start", "i__valid", "i__ready", "o__valid")

Fields = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Patch:
    """The segments of a layer from `base` of the table on, and the plane that they lie on."""

    segments: list[Fields]
    base: int = 0
    height: int = COORDINATES - 1
    width: int = COORDINATES - 1

    @property
    def fields(self) -> Fields:
        last = self.base + len(self.segments) - 1
        return {
            "segment_base": self.base,
            "segment_last": last,
            "height": self.height,
            "width": self.width,
        }

    def holds(self, segment: Fields, position: Fields) -> bool:
        """Whether a segment is one and, at this position, on the plane."""
        y = (position["y"] + segment["dy"]) % COORDINATES
        x = (position["x"] + segment["dx"]) % COORDINATES
        return bool(segment["used"]) and y < self.height and x < self.width


def slots(place: Fields) -> int:
    """The words and lanes of a place, or of a way, in lanes."""
    return int(place["word"] * LANES + place["lane"])


def reference(patch: Patch, positions: Iterable[Fields]) -> list[Fields | None]:
    """The runs of all patches, None where a segment is left out."""
    runs: list[Fields | None] = []
    for position in positions:
        for number, segment in enumerate(patch.segments):
            last = int(number == len(patch.segments) - 1)
            if patch.holds(segment, position):
                word, first = divmod(slots(position) + slots(segment), LANES)
                more, final = divmod(first + segment["words"] * LANES + segment["lanes"], LANES)
                column = (segment["column"] - first) % COLUMNS
                run = {"word": word % WORDS, "words": more % WORDS, "column": column}
                runs.append({**run, "first": first, "final": final, "empty": 0, "last": last})
            else:
                runs.append({"empty": 1, "last": 1} if last else None)
    return runs


def significant(run: Fields) -> Fields:
    """A run without what has no meaning in an empty one."""
    return {name: run[name] for name in ("empty", "last")} if run["empty"] else run


def segment_of(dy: int = 0, dx: int = 0, **changes: int) -> Fields:
    values = {"used": 1, "word": 0, "lane": 0, "words": 0, "lanes": 0, "column": 0}
    return {**values, "dy": dy, "dx": dx, **changes}


def random_segments(numbers: random.Random, count: int, far: int, words: int = 3) -> list[Fields]:
    """Segments less than `far` away on the plane, of up to so many whole words."""
    return [
        segment_of(
            numbers.randrange(far),
            numbers.randrange(far),
            used=int(numbers.random() < 0.9),
            word=numbers.randrange(WORDS),
            lane=numbers.randrange(LANES),
            words=numbers.randint(0, words),
            lanes=numbers.randrange(LANES),
            column=numbers.randrange(COLUMNS),
        )
        for _ in range(count)
    ]


def random_positions(numbers: random.Random, count: int, patch: Patch) -> list[Fields]:
    """Positions around the corners of the plane."""
    return [
        position_of(
            (
                numbers.randrange(WORDS * LANES),
                numbers.choice((0, patch.height)) - numbers.randint(-1, 6),
                numbers.choice((0, patch.width)) - numbers.randint(-1, 6),
            )
        )
        for _ in range(count)
    ]


@dataclasses.dataclass
class Bench:
    """A segment reader with what surrounds it."""

    dut: Any
    trace: Trace
    driver: StreamDriver
    monitor: StreamMonitor

    async def start_layer(self, patch: Patch) -> None:
        """Load the layer's part of the table and start it; returns in the cycle after `start`."""
        table = [bits_of(SEGMENT, **segment) for segment in patch.segments]
        await load(self.dut, Window.SEGMENTS, UNIT, table, patch.base)
        drive(self.dut, patch=bits_of(PATCH, **patch.fields), start=1)
        await RisingEdge(self.dut.clk)
        drive(self.dut, start=0)

    async def check_layer(self, patch: Patch, positions: Sequence[Fields]) -> None:
        """Send positions and compare all runs."""
        expected = [run for run in reference(patch, positions) if run]
        await self.start_layer(patch)
        cocotb.start_soon(self.driver.send(bits_of(POSITION, **place) for place in positions))
        received = [fields_of(RUN, bits) for bits in await self.monitor.receive(len(expected))]
        assert [significant(run) for run in received] == expected

    def check_times(self, patch: Patch, positions: Sequence[Fields]) -> None:
        """In the layer started last, each segment came two cycles after its turn, without a pause.

        The first position came in the cycle after `start`.
        """
        began = self.trace.times(lambda c: c["start"])[-1]
        runs = reference(patch, positions)
        came = [time for time in self.trace.times(lambda c: c["o__valid"]) if time > began]
        assert came == [began + 3 + turn for turn, run in enumerate(runs) if run]
        taken = self.trace.times(lambda c: c["i__valid"] and c["i__ready"])
        length = len(patch.segments)
        assert [time for time in taken if time > began] == [
            began + length * (1 + number) for number in range(len(positions))
        ]


async def begin(dut: Any, stalls_in: float = 0.0, stalls_out: float = 0.0) -> Bench:
    drive(dut, start=0, patch=0, load__windows=0)
    driver = StreamDriver(dut, "i", dut.clk, stalls=stalls_in, seed=1)
    monitor = StreamMonitor(dut, "o", dut.clk, stalls=stalls_out, seed=2)
    await start(dut)
    return Bench(dut, Trace(dut, *SIGNALS), driver, monitor)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls_in=[0.0, 0.5], stalls_out=[0.0, 0.5])
async def agrees(dut: Any, stalls_in: float, stalls_out: float) -> None:
    """Layer after layer; without stalls, in their cycles."""
    bench = await begin(dut, stalls_in, stalls_out)
    numbers = random.Random(3)
    for count in (1, 2, 3, 9, 20, 9, 20):
        patch = Patch(
            random_segments(numbers, count, far=7),
            numbers.randint(0, DEPTH - count),
            numbers.choice((4, 9, COORDINATES - 1)),
            numbers.choice((4, 9, COORDINATES - 1)),
        )
        positions = random_positions(numbers, 24, patch)
        await bench.check_layer(patch, positions)
        await bench.monitor.silent(10)
        if not stalls_in and not stalls_out:
            bench.check_times(patch, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(axis=["y", "x"], size=[1, 5, COORDINATES - 4])
async def bounds_are_exact(dut: Any, axis: str, size: int) -> None:
    """Up to the largest plane that has two places of padding at either end."""
    bench = await begin(dut)
    bounds = {"height": size, "width": 3} if axis == "y" else {"height": 3, "width": size}
    for offset in (0, 1, (1 << layouts.OFFSET_BITS) - 1):
        patch = Patch([segment_of(**{f"d{axis}": offset})], **bounds)
        edges = (-2, -1, 0, 1, size - 1, size, size + 1)
        along = [edge - offset for edge in edges]
        positions = [position_of((0, at, 1) if axis == "y" else (0, 1, at)) for at in along]
        inside = [not run["empty"] for run in reference(patch, positions) if run]
        assert inside == [0 <= edge < size for edge in edges]
        await bench.check_layer(patch, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(used=[0, 1])
async def a_patch_of_padding_is_an_empty_marker(dut: Any, used: int) -> None:
    """Each segment costs a cycle, one that only fills the table up as well."""
    bench = await begin(dut)
    for count in (1, 2, 5):
        patch = Patch([segment_of(used=used, words=7, lanes=LANES - 1)] * count, height=4, width=4)
        at = 2 if not used else -1
        positions = [position_of((number, at, 2)) for number in range(6)]
        runs = [run for run in reference(patch, positions) if run]
        assert runs == [{"empty": 1, "last": 1}] * 6
        await bench.check_layer(patch, positions)
        await bench.monitor.silent(10)
        bench.check_times(patch, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def starts_and_ends_in_every_lane(dut: Any) -> None:
    """Position and segment both begin anywhere in a word, at the end of memory too."""
    bench = await begin(dut)
    for lane in range(LANES):
        segments = [
            segment_of(lane=offset, lanes=lanes, words=words, column=COLUMNS - 1)
            for offset in range(LANES)
            for lanes in range(LANES)
            for words in (0, 1)
        ][:DEPTH]
        positions = [position_of((word * LANES + lane, 0, 0)) for word in (0, 5, WORDS - 1)]
        await bench.check_layer(Patch(segments), positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def tables_at_both_ends_of_memory(dut: Any) -> None:
    bench = await begin(dut)
    numbers = random.Random(4)
    for count, base in ((DEPTH, 0), (1, 0), (1, DEPTH - 1), (2, DEPTH - 2)):
        patch = Patch(random_segments(numbers, count, far=3), base, 5, 5)
        positions = random_positions(numbers, 4, patch)
        await bench.check_layer(patch, positions)
        await bench.monitor.silent(10)
        bench.check_times(patch, positions)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_first_position_may_come_later(dut: Any) -> None:
    bench = await begin(dut)
    patch = Patch(random_segments(random.Random(5), 3, far=1), base=2)
    (position,) = positions = [position_of((5, 1, 1))]
    expected = [run for run in reference(patch, positions) if run]
    for delay in range(1, 6):
        await bench.start_layer(patch)
        await ClockCycles(dut.clk, delay)
        await bench.driver.send([bits_of(POSITION, **position)])
        received = [fields_of(RUN, bits) for bits in await bench.monitor.receive(len(expected))]
        assert [significant(run) for run in received] == expected
        await bench.monitor.silent(5)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle_leaves_nothing(dut: Any) -> None:
    bench = await begin(dut)
    numbers = random.Random(6)
    for delay in range(9):
        patch = Patch(random_segments(numbers, 4, far=2), base=delay)
        await bench.start_layer(patch)
        sending = cocotb.start_soon(
            bench.driver.send([bits_of(POSITION, **position_of((0, 0, 0)))] * 9)
        )
        await ClockCycles(dut.clk, 1 + delay)
        sending.cancel()
        drive(dut, rst=1, i__valid=0)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await RisingEdge(dut.clk)
        bench.monitor.payloads.clear()
        await bench.monitor.silent(5)
        patch = Patch(random_segments(numbers, 3, far=2), delay, 3, 3)
        await bench.check_layer(patch, random_positions(numbers, 5, patch))
        await bench.monitor.silent(5)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def takes_only_the_words_that_are_its_own(dut: Any) -> None:
    bench = await begin(dut)
    patch = Patch(random_segments(random.Random(7), 4, far=1))
    positions = [position_of((3, 2, 2))]
    await bench.check_layer(patch, positions)
    for window, unit, offset in (
        (Window.PROGRAM, UNIT, 0),
        (Window.SEGMENTS, UNIT + 1, 0),
        (Window.SEGMENTS, layouts.ALL_UNITS, 0),
    ):
        await load_word(dut, window, unit, offset, 0xFFFFFFFF)
    expected = [run for run in reference(patch, positions) if run]
    drive(dut, start=1)
    await RisingEdge(dut.clk)
    drive(dut, start=0)
    await bench.driver.send([bits_of(POSITION, **place) for place in positions])
    received = [fields_of(RUN, bits) for bits in await bench.monitor.receive(len(expected))]
    assert [significant(run) for run in received] == expected
