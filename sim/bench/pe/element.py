"""Bench of `hw.pe.element.ProcessingElement`: tokens in, accumulators out."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts
from hw.regmap import Window
from sim.bench.blocks import (
    RoomDriver,
    Trace,
    bits_of,
    configuration,
    drive,
    load,
    random_signed,
    wait_until,
)
from sim.bench.latencies import DECODER, FETCH, FULL, POINTERS, QUEUE
from sim.bench.pe.accumulate import (
    PLACES,
    RELEASED_EARLY,
    ROWS,
    clear,
    drain,
    places_of,
    until_drainable,
)
from sim.bench.streams import parameters, start

__all__ = [
    "COLUMNS",
    "Contents",
    "entries_of",
    "load_contents",
    "random_contents",
    "random_vectors",
    "sums",
    "tokens_of",
]

CONFIG = configuration()
UNIT: int = parameters().get("unit", 0)
COLUMNS = 20
LONGEST = (1 << layouts.pointer(CONFIG)["count"].width) - 1  # entries of a column
Vector = Sequence[int]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What the memories of one processing element hold for a layer of `COLUMNS` columns.

    Attributes
    ----------
    columns : entries (gap, code) of each column
    rows : that a vector has; more than a buffer has need both, joined
    """

    codebook: list[int]
    code_bits: int
    codebook_base: int
    column_base: int
    columns: list[list[tuple[int, int]]]
    rows: int = ROWS

    @property
    def joined(self) -> int:
        return int(self.rows > ROWS)

    def places(self, vector: int) -> range:
        """Where the totals of that vector are."""
        return range(self.rows) if self.joined else places_of(vector % 2, self.rows)


def sums(contents: Contents, vector: Vector) -> list[int]:
    """The reference: accumulators after one vector of activations."""
    totals = [0] * contents.rows
    for column, activation in zip(contents.columns, vector, strict=True):
        row = -1
        for gap, code in column:
            row += gap + 1
            totals[row] += contents.codebook[code] * activation
    return totals


def entries_of(contents: Contents, vectors: Sequence[Vector]) -> int:
    """Entries that vectors make the element execute."""
    return sum(
        len(column)
        for vector in vectors
        for column, activation in zip(contents.columns, vector, strict=True)
        if activation
    )


def random_contents(seed: int, density: float, rows: int = ROWS) -> Contents:
    """Columns of about `density` × rows entries, some of them empty."""
    numbers = random.Random(seed)
    code_bits = numbers.randint(1, CONFIG.entry_bits - 1)
    gap_bits = min(layouts.GAP_BITS_MAX, CONFIG.entry_bits - code_bits)
    code_bits = min(code_bits, layouts.CODE_BITS_MAX, (CONFIG.codebook_depth // 2).bit_length() - 1)
    columns = []
    for _ in range(COLUMNS):
        column: list[tuple[int, int]] = []
        row = -1
        while numbers.random() < 1 - 1 / rows or density == 1.0:
            gap = 0
            while numbers.random() > density and gap < (1 << gap_bits) - 1:
                gap += 1
            row += gap + 1
            if row >= rows or len(column) == LONGEST:
                break
            column.append((gap, numbers.getrandbits(code_bits)))
        columns.append(column)
    values = [random_signed(numbers, CONFIG.weight_bits - 4) for _ in range(1 << code_bits)]
    return Contents(
        codebook=values,
        code_bits=code_bits,
        codebook_base=numbers.randrange(CONFIG.codebook_depth >> code_bits) << code_bits,
        column_base=numbers.randint(0, CONFIG.column_depth - COLUMNS),
        columns=columns,
        rows=rows,
    )


def random_vectors(seed: int, count: int, density: float) -> list[list[int]]:
    """Vectors of activations; sums of their products stay within the accumulators."""
    numbers = random.Random(seed)
    return [
        [
            random_signed(numbers, CONFIG.activation_bits - 4) if numbers.random() < density else 0
            for _ in range(COLUMNS)
        ]
        for _ in range(count)
    ]


def tokens_of(contents: Contents, vectors: Sequence[Vector]) -> list[int]:
    """Bits of the tokens that a feeder sends: a vector that ends in zeros has a null marker."""
    tokens = []
    for vector in vectors:
        places = [place for place, activation in enumerate(vector) if activation]
        marked = COLUMNS - 1 if not places or places[-1] < COLUMNS - 3 else places[-1]
        for place in sorted({*places, marked}):
            fields = {"column": contents.column_base + place, "activation": vector[place]}
            flags = {"null": int(not vector[place]), "last": int(place == marked)}
            tokens.append(bits_of(layouts.token(CONFIG), **fields, **flags))
    return tokens


async def load_contents(dut: Any, contents: Contents, unit: int) -> None:
    """Load the memories of element `unit`, and set what it is told of the layer."""
    entries: list[int] = []
    pointers = []
    for column in contents.columns:
        start_of_column = len(entries) if column else 0
        pointers.append(bits_of(layouts.pointer(CONFIG), start=start_of_column, count=len(column)))
        entries += [gap << contents.code_bits | code for gap, code in column]
    await load(dut, Window.POINTERS, unit, pointers, first=contents.column_base)
    await load(dut, Window.ENTRIES, unit, entries)
    await load(dut, Window.CODEBOOK, 0, contents.codebook, first=contents.codebook_base)
    drive(dut, code_bits=contents.code_bits, codebook_base=contents.codebook_base)
    drive(dut, joined=contents.joined)
    if hasattr(dut, "code_mask"):  # the grid makes it itself
        drive(dut, code_mask=(1 << contents.code_bits) - 1)


async def begin(dut: Any, stalls: float = 0.0) -> tuple[Trace, RoomDriver]:
    driver = RoomDriver(dut, age=1, stalls=stalls)
    drive(dut, drain__enable=0, drain__release=0, load__windows=0)
    await start(dut)
    await clear(dut)
    return Trace(dut, "busy", "stalled", "full", "i__valid", "drain__release"), driver


async def collect(dut: Any, contents: Contents, count: int, slowest: int) -> list[list[int]]:
    """Drain vectors, each some time after it is full; returns their totals.

    They are released with their last row, or as many rows before as they may be.
    """
    numbers = random.Random(7)
    totals = []
    for vector in range(count):
        buffer = vector % 2
        await until_drainable(dut, buffer)
        if slowest:
            await ClockCycles(dut.clk, numbers.randint(1, slowest))
        early = vector % (1 + RELEASED_EARLY)
        totals.append(await drain(dut, contents.places(vector), buffer, early=early))
    return totals


async def check(
    dut: Any, driver: RoomDriver, contents: Contents, vectors: list[list[int]], slowest: int = 0
) -> None:
    sending = cocotb.start_soon(driver.send(tokens_of(contents, vectors)))
    totals = await collect(dut, contents, len(vectors), slowest)
    assert totals == [sums(contents, vector) for vector in vectors]
    await sending


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 60], density=[0.1, 0.5, 1.0])
async def agrees(dut: Any, stalls: float, slowest: int, density: float) -> None:
    contents = random_contents(int(10 * density), density)
    vectors = random_vectors(2, 6, density) + random_vectors(3, 3, 1.0) + [[0] * COLUMNS]
    trace, driver = await begin(dut, stalls)
    await load_contents(dut, contents, UNIT)
    await check(dut, driver, contents, vectors, slowest)
    assert len(trace.times(lambda c: c["busy"])) == entries_of(contents, vectors)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stalls=[0.0, 0.5], slowest=[0, 60], density=[0.1, 1.0])
async def joined_buffers_have_twice_the_rows(
    dut: Any, stalls: float, slowest: int, density: float
) -> None:
    """Layers of such vectors between others."""
    trace, driver = await begin(dut, stalls)
    vectors = [*random_vectors(2, 3, density), [0] * COLUMNS, *random_vectors(3, 2, 1.0)]
    for rows in (ROWS, PLACES, ROWS + 1, ROWS - 1, PLACES):
        contents = random_contents(int(10 * density), density, rows)
        await load_contents(dut, contents, UNIT)
        before = len(trace.cycles)
        await check(dut, driver, contents, vectors, slowest)
        executed = sum(cycle["busy"] for cycle in trace.cycles[before:])
        assert executed == entries_of(contents, vectors)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_latencies_of_the_stages_add_up(dut: Any) -> None:
    """Pointer stage, queue, fetch, decoder and accumulators."""
    contents = dataclasses.replace(random_contents(1, 1.0), columns=[[(0, 1)]] * COLUMNS)
    vector = [0] * (COLUMNS - 1) + [3]
    trace, driver = await begin(dut)
    await load_contents(dut, contents, UNIT)
    await check(dut, driver, contents, [vector])
    (taken,) = trace.times(lambda c: c["i__valid"])
    assert trace.times(lambda c: c["busy"]) == [taken + POINTERS + QUEUE + 1]
    assert trace.times(lambda c: c["full"])[0] == taken + POINTERS + QUEUE + FETCH + DECODER + FULL


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def one_entry_per_cycle_without_bubbles(dut: Any) -> None:
    """Between full columns lie empty ones, in smaller number than the entries before them."""
    contents = random_contents(1, 1.0)
    full = contents.columns[0]
    empty = min(len(full) // 2, COLUMNS // 2 - 1)
    columns = [full] + [[]] * empty + [full] + [[]] * (COLUMNS - empty - 3) + [full]
    contents = dataclasses.replace(contents, columns=columns)
    vectors = random_vectors(1, 2, 2.0)
    trace, driver = await begin(dut)
    await load_contents(dut, contents, UNIT)
    await check(dut, driver, contents, vectors)
    busy = trace.times(lambda c: c["busy"])
    assert busy == list(range(busy[0], busy[0] + 6 * len(full)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def goes_on_with_the_next_vector_and_waits_for_the_third(dut: Any) -> None:
    contents, vectors = random_contents(1, 1.0), random_vectors(1, 3, 2.0)
    trace, driver = await begin(dut)
    await load_contents(dut, contents, UNIT)
    sending = cocotb.start_soon(driver.send(tokens_of(contents, vectors)))
    await wait_until(dut.clk, lambda: int(dut.full.value) == 3)
    await ClockCycles(dut.clk, 100)
    entries = entries_of(contents, vectors[:2])
    busy = trace.times(lambda c: c["busy"])
    assert busy == list(range(busy[0], busy[0] + entries)), "two vectors without a bubble"
    assert trace.cycles[-1]["stalled"]
    assert await collect(dut, contents, 3, 0) == [sums(contents, vector) for vector in vectors]
    await sending


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(joined=[0, 1])
async def a_buffer_is_filled_again_as_soon_as_it_is_released(dut: Any, joined: int) -> None:
    """The first operand is for the row that is drained last, or that of its half."""
    column = [(ROWS - 1, 1)] * (1 + joined)
    contents = dataclasses.replace(
        random_contents(1, 1.0, rows=len(column) * ROWS),
        codebook=[0, 5],
        code_bits=1,
        columns=[column] * COLUMNS,
    )
    vectors = [[0] * (COLUMNS - 1) + [1 + n] for n in range(6)]
    trace, driver = await begin(dut)
    await load_contents(dut, contents, UNIT)
    sending = cocotb.start_soon(driver.send(tokens_of(contents, vectors)))
    await wait_until(dut.clk, lambda: int(dut.stalled.value))
    for number, vector in enumerate(vectors):
        await until_drainable(dut, number % 2)
        totals = await drain(dut, contents.places(number), number % 2, early=RELEASED_EARLY)
        assert totals == sums(contents, vector)
    await sending
    ahead = 1 if joined else 2  # vectors that there is room for
    released = trace.times(lambda c: c["drain__release"])
    firsts = trace.times(lambda c: c["busy"])[:: len(column)]
    assert firsts[ahead:] == [time + 2 for time in released[:-ahead]]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_mid_vector_leaves_nothing_once_cleared(dut: Any) -> None:
    contents, vectors = random_contents(5, 0.5), random_vectors(5, 3, 0.7)
    _, driver = await begin(dut)
    await load_contents(dut, contents, UNIT)
    for delay in (4, 9, 30, 55):
        sending = cocotb.start_soon(driver.send(tokens_of(contents, vectors)))
        await ClockCycles(dut.clk, delay)
        sending.cancel()
        drive(dut, rst=1, i__valid=0)
        await RisingEdge(dut.clk)
        drive(dut, rst=0)
        await clear(dut)
        await check(dut, driver, contents, vectors)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def nothing_of_another_layer_remains(dut: Any) -> None:
    """A-B-A, with B larger than A."""
    small, large = random_contents(11, 0.1), random_contents(12, 1.0)
    small = dataclasses.replace(small, column_base=large.column_base)
    _, driver = await begin(dut)
    for contents, density in ((small, 0.5), (large, 1.0), (small, 0.5)):
        await load_contents(dut, contents, UNIT)
        await check(dut, driver, contents, random_vectors(13, 4, density))
