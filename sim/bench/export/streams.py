"""Bench of `hw.export.streams.Streams` with a model in the place of the engine.

Parameters: `config`, `items` and `room` of the `StreamShape`; `spread`, whether a vector is spread
over the groups.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from hw import layouts, regmap
from hw.export.stream_map import PLACE, STATUS, StreamShape, Unit
from hw.regmap import Window
from sim.bench.blocks import bits_of, configuration, drive, fields_of
from sim.bench.streams import StreamDriver, StreamMonitor, parameters, start

GIVEN = parameters()
CONFIG = configuration()
SHAPE = StreamShape(CONFIG, GIVEN["items"], GIVEN["room"])
MASK = (1 << CONFIG.activation_bits) - 1
FIRST = 5  # word of each group at which the input begins
GROUPS = CONFIG.groups if GIVEN["spread"] else 1
WORDS = SHAPE.room // GROUPS
EARLY, MISSING, UNFIT, BUSY = (STATUS.field[n].mask for n in ("early", "missing", "unfit", "busy"))
_WATCHDOG = 4000

Spot = tuple[int, int, int]  # group, word within it, place within that


class Network:
    """Where inputs and outputs lie, all at random, and what is computed.

    Parameters
    ----------
    room : share of the places that the input takes
    """

    def __init__(self, seed: int, room: float) -> None:
        numbers = random.Random(seed)
        lanes = range(SHAPE.per_word)
        inputs = [(g, w, lane) for g in range(GROUPS) for w in range(WORDS) for lane in lanes]
        count = max(2, min(SHAPE.items, int(room * len(inputs))))
        self.inputs: list[Spot] = numbers.sample(inputs, count)
        count = numbers.randrange(1, SHAPE.items + 1)
        self.outputs: list[Spot] = [
            (numbers.randrange(CONFIG.groups), numbers.randrange(64), numbers.choice(lanes))
            for _ in range(count)
        ]

    def registers(self) -> dict[str, int]:
        return {
            "stream_inputs": len(self.inputs),
            "stream_outputs": len(self.outputs),
            "stream_first": FIRST,
            "stream_words": WORDS,
            "stream_groups": GROUPS if GIVEN["spread"] else 0,
        }

    def words(self, x: Sequence[int]) -> dict[tuple[int, int], int]:
        """What the engine must find for a vector: zeros wherever there is no activation."""
        found = {(group, FIRST + word): 0 for group in range(GROUPS) for word in range(WORDS)}
        for value, (group, word, lane) in zip(x, self.inputs, strict=True):
            found[group, FIRST + word] |= value << (lane * CONFIG.activation_bits)
        return found


class Engine:
    """The target of the bus: takes what it is given, and lets `answer` be read after a run.

    Attributes
    ----------
    runs : what every run found: activation words by group and offset
    answer : the word at each group and offset
    """

    def __init__(self, dut: Any, seed: int) -> None:
        self._dut = dut
        self._numbers = random.Random(seed)
        self._written: dict[tuple[int, int], int] = {}
        self._registers: dict[int, int] = {}
        self._busy = 0  # cycles
        self.runs: list[dict[tuple[int, int], int]] = []
        drive(dut, engine_busy=0, bus__acknowledge=0)
        cocotb.start_soon(self._serve())
        cocotb.start_soon(self._run())

    @staticmethod
    def answer(group: int, offset: int) -> int:
        return random.Random(group << 20 | offset).getrandbits(32)

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._dut.clk)
            self._busy = max(0, self._busy - 1)
            self._dut.engine_busy.value = int(self._busy > 0)

    async def _serve(self) -> None:
        dut = self._dut
        while True:
            await RisingEdge(dut.clk)
            if not int(dut.bus__request.value):
                continue
            asked = self._asked()
            for _ in range(self._numbers.randrange(1, 6)):
                await RisingEdge(dut.clk)
                assert self._asked() == asked, "a request changed before it was acknowledged"
            drive(dut, bus__acknowledge=1, bus__r_data=self._transfer(*asked[1:]))
            await RisingEdge(dut.clk)
            drive(dut, bus__acknowledge=0, bus__r_data=self._numbers.getrandbits(32))

    def _asked(self) -> tuple[int, int, int, int]:
        dut = self._dut
        names = ("request", "write", "address", "w_data")
        request, write, address, data = (int(getattr(dut, f"bus__{n}").value) for n in names)
        return request, write, address, data if write else 0

    def _transfer(self, write: int, address: int, word: int) -> int:
        fields = fields_of(layouts.address, address)
        place = (fields["unit"], fields["offset"])
        if fields["window"] == Window.ACTIVATIONS:
            assert not self._busy, "activations were accessed while the engine was busy"
            if write:
                unit = 0 if place[0] == layouts.ALL_UNITS else place[0]
                assert (place[0] == layouts.ALL_UNITS) != GIVEN["spread"]
                self._written[unit, place[1]] = word
                return 0
            return self.answer(*place)
        assert write
        self._registers[address] = word
        if address == regmap.PLACE["control"]:
            self._start(word)
        return 0

    def _start(self, word: int) -> None:
        found = [self._registers[regmap.PLACE[n]] for n in ("write_first", "write_last", "vectors")]
        assert (word, found) == (1, [0, 0xFFFFFFFF, 1])
        assert not self._busy
        self.runs.append(self._written)
        self._written, self._registers = {}, {}
        self._busy = self._numbers.choice((1, 2, 40, 200))


class Bench:
    def __init__(self, dut: Any, stalls: float) -> None:
        self.dut = dut
        drive(dut, registers__request=0, registers__write=0)
        options: dict[str, Any] = {"stalls": stalls, "watchdog": _WATCHDOG}
        self.source = StreamDriver(dut, "i", dut.clk, seed=1, **options)
        self.sink = StreamMonitor(dut, "o", dut.clk, seed=2, **options)
        self.engine = Engine(dut, 3)

    async def access(self, unit: int, offset: int, word: int | None = None) -> int:
        dut = self.dut
        address = bits_of(layouts.address, window=0, unit=unit, offset=offset)
        drive(dut, registers__request=1, registers__address=address)
        drive(dut, registers__write=int(word is not None), registers__w_data=word or 0)
        while True:
            await RisingEdge(dut.clk)
            if int(dut.registers__acknowledge.value):
                drive(dut, registers__request=0)
                return int(dut.registers__r_data.value)

    async def read(self, name: str) -> int:
        return await self.access(Unit.REGISTERS, PLACE[name])

    async def switch(self, on: bool) -> None:
        await self.access(Unit.REGISTERS, PLACE["stream_control"], int(on))

    async def set(self, network: Network) -> None:
        await self.switch(False)
        for _ in range(_WATCHDOG):
            if not await self.read("stream_status") & BUSY:
                break
        await self.set_inputs(network)
        for number, (group, word, lane) in enumerate(network.outputs):
            place = bits_of(SHAPE.output_place, lane=lane, offset=word, group=group)
            await self.access(Unit.OUTPUTS, number, place)
        for name, word in network.registers().items():
            await self.access(Unit.REGISTERS, PLACE[name], word)
            assert await self.read(name) == word
        await self.switch(True)

    async def set_inputs(self, network: Network) -> None:
        for number, (group, word, lane) in enumerate(network.inputs):
            place = bits_of(SHAPE.input_place, lane=lane, word=group * WORDS + word)
            await self.access(Unit.INPUTS, number, place)
        await self.access(Unit.REGISTERS, PLACE["stream_inputs"], len(network.inputs))

    async def expect(self, network: Network, vectors: Sequence[Sequence[int]]) -> None:
        """The engine was given these vectors, and what it answered came out."""
        expected = []
        for number, (group, word, lane) in enumerate(network.outputs):
            value = self.engine.answer(group, word) >> (lane * CONFIG.activation_bits) & MASK
            last = number == len(network.outputs) - 1
            expected.append(value | int(last) << CONFIG.activation_bits)
        for _ in vectors:
            assert await self.sink.receive(len(expected)) == expected
        found, self.engine.runs = self.engine.runs, []
        assert found == [network.words(x) for x in vectors]


def frame(x: Sequence[int]) -> list[int]:
    return [*x[:-1], x[-1] | 1 << CONFIG.activation_bits]


def vector(numbers: random.Random, count: int) -> list[int]:
    return [numbers.getrandbits(CONFIG.activation_bits) for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(stalls=[0.0, 0.5], share=[1.0, 0.4])
async def vectors(dut: Any, stalls: float, share: float) -> None:
    """Networks one after the other, among their vectors spoiled ones."""
    bench = Bench(dut, stalls)
    await start(dut)
    assert await bench.read("stream_items") == SHAPE.items
    assert await bench.read("stream_room") == SHAPE.room
    numbers = random.Random(7)
    for seed in range(4):
        network = Network(seed, share)
        count = len(network.inputs)
        await bench.set(network)
        good, sent, errors = [], [], 0
        for _ in range(12):
            kind = numbers.choice(("good", "good", "early", "missing"))
            size = {"good": count, "early": numbers.randrange(1, count)}.get(kind)
            x = vector(numbers, size or numbers.randrange(count + 1, 3 * count))
            sent += frame(x)
            good += [x] if kind == "good" else []
            errors |= {"good": 0, "early": EARLY, "missing": MISSING}[kind]
        cocotb.start_soon(bench.source.send([*sent, *frame(last := vector(numbers, count))]))
        await bench.expect(network, [*good, last])
        assert await bench.read("stream_status") == errors
        await bench.access(Unit.REGISTERS, PLACE["stream_status"], EARLY | MISSING)
        assert await bench.read("stream_status") == 0
        await bench.sink.silent(20)


@cocotb.test()
async def one_error_is_cleared_alone(dut: Any) -> None:
    bench = Bench(dut, 0.0)
    await start(dut)
    network = Network(1, 0.5)
    count = len(network.inputs)
    await bench.set(network)
    await bench.source.send(frame([1] * (count - 1)) + frame([2] * (count + 1)))
    await ClockCycles(dut.clk, 2)
    for word, left in ((0, EARLY | MISSING), (EARLY, MISSING), (EARLY, MISSING), (MISSING, 0)):
        await bench.access(Unit.REGISTERS, PLACE["stream_status"], word)
        assert await bench.read("stream_status") == left


@cocotb.test()
async def nothing_is_taken_that_cannot_be_used(dut: Any) -> None:
    bench = Bench(dut, 0.0)
    await start(dut)
    network = Network(1, 0.5)
    dut.i__valid.value = 1
    most = {"inputs": SHAPE.items, "outputs": SHAPE.items, "words": SHAPE.room // GROUPS}
    wrong = [(name, size) for name, last in most.items() for size in (0, last + 1, 1 << 31 | 1)]
    for name, size in [*wrong, ("groups", CONFIG.groups + 1), ("groups", 1 << 31 | 1)]:
        await bench.set(network)
        assert await bench.read("stream_status") == 0
        await bench.switch(False)
        await bench.access(Unit.REGISTERS, PLACE[f"stream_{name}"], size)
        assert await bench.read("stream_status") == 0
        await bench.switch(True)
        for _ in range(2 * SHAPE.room):
            await RisingEdge(dut.clk)
            assert not int(dut.i__ready.value)
        assert await bench.read("stream_status") == UNFIT


@cocotb.test()
@cocotb.parametrize(moment=[0, 1, 2, 3, 4, 5, 8])
async def switched_off_while_a_vector_is_held(dut: Any, moment: int) -> None:
    """It is computed; what is taken when the streams are on again has zeros in other gaps."""
    bench = Bench(dut, 0.0)
    await start(dut)
    before, after = Network(1, 1.0), Network(2, 0.3)
    await bench.set(before)
    x = vector(random.Random(moment), len(before.inputs))
    await bench.source.send(frame(x))
    await ClockCycles(dut.clk, moment)
    await bench.switch(False)
    await bench.set_inputs(after)
    await bench.switch(True)
    await bench.expect(before, [x])
    y = vector(random.Random(moment), len(after.inputs))
    await bench.source.send(frame(y))
    await bench.sink.receive(len(before.outputs))
    assert bench.engine.runs == [after.words(y)]


@cocotb.test()
async def switched_off_in_mid_vector(dut: Any) -> None:
    """What is left of the vector is dropped when the streams are on again."""
    bench = Bench(dut, 0.0)
    await start(dut)
    network = Network(1, 0.5)
    count = len(network.inputs)
    await bench.set(network)
    for taken in (1, count - 1, count + 1):
        cut_off = frame([MASK] * (count + 2))
        await bench.source.send(cut_off[:taken])
        await bench.switch(False)
        await ClockCycles(dut.clk, 5)
        dut.i__valid.value = 1
        for _ in range(20):
            await RisingEdge(dut.clk)
            assert not int(dut.i__ready.value)
        dut.i__valid.value = 0
        await bench.switch(True)
        x = vector(random.Random(taken), count)
        await bench.source.send(cut_off[taken:] + frame(x))
        await bench.expect(network, [x])
        assert await bench.read("stream_status") & EARLY == 0
