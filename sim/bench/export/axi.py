"""Bench of an export with AXI4-Lite and AXI4-Stream, and a network in its memories.

Parameters: `regmap`, the file regmap.json; `inputs` and `outputs` of the network, vector by vector;
`other`, what makes it another network: (byte address, word) pairs, and its `inputs` and `outputs`.
"""

from __future__ import annotations

import itertools
import json
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.export.stream_map import vector_cycles
from sim.bench.streams import PERIOD_NS, parameters

from .software import masks_of

GIVEN = parameters()
REGMAP = json.loads(Path(GIVEN["regmap"]).read_text())
ADDRESS = {register["name"]: register["address"] for register in REGMAP["registers"]}
INPUTS, OUTPUTS = GIVEN["inputs"], GIVEN["outputs"]
BITS = masks_of(REGMAP)
EARLY, MISSING, UNDER_WAY = (BITS["stream_status"][name] for name in ("early", "missing", "busy"))
_PATIENCE_US = 2000
# From the handshake of a read's address, or of a write's data, to that of the answer.
REGISTER_CYCLES = 5
# What must stay as it is while its valid waits for its ready.
HELD = {
    ("m_axis_tvalid", "m_axis_tready"): ("m_axis_tdata", "m_axis_tlast"),
    ("s_axil_bvalid", "s_axil_bready"): ("s_axil_bresp",),
    ("s_axil_rvalid", "s_axil_rready"): ("s_axil_rdata", "s_axil_rresp"),
}


class Bench:
    """The export between masters, sources and sinks of cocotbext-axi, out of reset.

    Parameters
    ----------
    pauses : share of the cycles in which each channel pauses
    """

    def __init__(self, dut: Any, pauses: float = 0.0) -> None:
        self.dut = dut
        dut.aresetn.value = 0
        Clock(dut.aclk, PERIOD_NS, unit="ns").start()
        clock_and_reset = (dut.aclk, dut.aresetn, False)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), *clock_and_reset)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *clock_and_reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *clock_and_reset)
        writes, reads = self.lite.write_if, self.lite.read_if
        channels = (
            *(writes.aw_channel, writes.w_channel, writes.b_channel),
            *(reads.ar_channel, reads.r_channel, self.source, self.sink),
        )
        if pauses:
            for seed, channel in enumerate(channels):
                channel.set_pause_generator(_pauses(pauses, seed))
        for handshake, payload in HELD.items():
            cocotb.start_soon(_check_held(dut, handshake, payload))

    async def start(self) -> None:
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 3)

    async def read(self, name: str) -> int:
        return await self.read_at(ADDRESS[name])

    async def read_at(self, address: int) -> int:
        found = await with_timeout(self.lite.read(address, 4), _PATIENCE_US, "us")
        assert found.resp == AxiResp.OKAY
        return int.from_bytes(found.data, "little")

    async def write(self, name: str, word: int) -> None:
        await self.write_at(ADDRESS[name], word)

    async def write_at(self, address: int, word: int) -> None:
        written = self.lite.write(address, word.to_bytes(4, "little"))
        assert (await with_timeout(written, _PATIENCE_US, "us")).resp == AxiResp.OKAY

    async def send(self, *activations: Sequence[int]) -> None:
        """Frames with these activations, whatever they are."""
        for frame in activations:
            await self.source.send(AxiStreamFrame(struct.pack(f"<{len(frame)}h", *frame)))

    async def receive(self) -> list[int]:
        frame = await with_timeout(self.sink.recv(), _PATIENCE_US, "us")
        return list(struct.unpack(f"<{len(frame.tdata) // 2}h", bytes(frame.tdata)))

    async def expect(self, outputs: Sequence[Sequence[int]]) -> None:
        for number, expected in enumerate(outputs):
            assert await self.receive() == expected, f"vector {number}"


def _pauses(share: float, seed: int) -> Iterator[bool]:
    numbers = random.Random(seed)
    return (numbers.random() < share for _ in itertools.count())


async def _check_held(dut: Any, handshake: Sequence[str], payload: Sequence[str]) -> None:
    valid, ready = (getattr(dut, name) for name in handshake)
    before = None
    while True:
        await RisingEdge(dut.aclk)
        now = [int(getattr(dut, name).value) for name in payload]
        if before is not None:
            assert int(valid.value), f"{handshake[0]} fell while it waited"
            assert now == before, f"{payload} changed while {handshake[0]} waited"
        waits = int(dut.aresetn.value) and int(valid.value) and not int(ready.value)
        before = now if waits else None


def _watch(dut: Any) -> dict[str, list[int]]:
    """From now on, the cycles in which each channel takes something."""
    ports = {name: f"s_axil_{name}" for name in ("ar", "r", "w", "b")} | {"vector": "m_axis_t"}
    moments: dict[str, list[int]] = {name: [] for name in ports}

    async def watch() -> None:
        for cycle in itertools.count():
            await RisingEdge(dut.aclk)
            for name, port in ports.items():
                handshake = (getattr(dut, f"{port}{end}") for end in ("valid", "ready"))
                if all(int(signal.value) for signal in handshake):
                    moments[name].append(cycle)

    cocotb.start_soon(watch())
    return moments


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.5])
async def registers(dut: Any, pauses: float) -> None:
    bench = Bench(dut, pauses)
    await bench.start()
    assert await bench.read("magic") == REGMAP["magic"]
    assert await bench.read("version") == REGMAP["version"]
    assert await bench.read("config_digest") == REGMAP["config_digest"]
    numbers = random.Random(1)
    for _ in range(20):
        word = numbers.getrandbits(32)
        await bench.write("scratch", word)
        assert await bench.read("scratch") == word
        assert await bench.read("magic") == REGMAP["magic"]
    activations = next(w for w in REGMAP["windows"] if w["name"] == "activations")
    unit_bytes = activations["unit_bytes"]
    places = [activations["address"] + 4 * n for n in range(20)]
    words = [numbers.getrandbits(32) for _ in places]
    for place, word in zip(places, words, strict=True):
        await bench.write_at(place, word)
    assert [await bench.read_at(place) for place in places] == words
    # To the last unit that an address can name means to all groups.
    program, entries = (w["address"] for w in REGMAP["windows"][:2])
    await bench.write_at(activations["address"] + entries - program - unit_bytes, 0xCAFE0123)
    for group in range(activations["units"]):
        place = activations["address"] + group * unit_bytes
        assert await bench.read_at(place) == 0xCAFE0123


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.5])
async def some_bytes_alone_are_refused(dut: Any, pauses: float) -> None:
    bench = Bench(dut, pauses)
    await bench.start()
    for name in ("scratch", "stream_first"):
        before = await bench.read(name)
        for first, count in ((0, 1), (1, 1), (0, 2), (2, 2), (1, 3)):
            refused = await bench.lite.write(ADDRESS[name] + first, bytes(count * [0xFF]))
            assert refused.resp == AxiResp.SLVERR
            assert await bench.read(name) == before
        await bench.write(name, before ^ 1)
        assert await bench.read(name) == before ^ 1
        await bench.write(name, before)


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.5])
async def no_bytes_at_all_are_a_write_that_does_nothing(dut: Any, pauses: float) -> None:
    bench = Bench(dut, pauses)
    await bench.start()
    writes = bench.lite.write_if
    for name in ("scratch", "stream_first"):
        before = await bench.read(name)
        address, data = writes.aw_channel._transaction_obj(), writes.w_channel._transaction_obj()
        address.awaddr, data.wdata, data.wstrb = ADDRESS[name], before ^ 0xFFFFFFFF, 0
        await writes.aw_channel.send(address)
        await writes.w_channel.send(data)
        answer = await with_timeout(writes.b_channel.recv(), _PATIENCE_US, "us")
        assert int(answer.bresp) == AxiResp.OKAY
        assert await bench.read(name) == before


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.3, 0.7])
async def vectors_back_to_back(dut: Any, pauses: float) -> None:
    bench = Bench(dut, pauses)
    await bench.start()
    await bench.send(*INPUTS, *INPUTS)
    await bench.expect([*OUTPUTS, *OUTPUTS])
    assert await bench.read("stream_status") == 0
    assert bench.sink.empty()


@cocotb.test()
async def how_long_it_takes(dut: Any) -> None:
    """What docs/integration.md says of time."""
    bench = Bench(dut)
    await bench.start()
    moments = _watch(dut)
    await bench.read("scratch")
    await bench.write("scratch", 1)
    await bench.send(INPUTS[0], INPUTS[0])
    await bench.expect([OUTPUTS[0], OUTPUTS[0]])
    assert moments["r"][0] - moments["ar"][0] == REGISTER_CYCLES
    assert moments["b"][0] - moments["w"][0] == REGISTER_CYCLES
    assert _between_last_two(moments, OUTPUTS[0]) == await _expected(bench)


def _between_last_two(moments: dict[str, list[int]], outputs: Sequence[int]) -> int:
    """Cycles from the last item of a vector to that of the next."""
    return moments["vector"][-1] - moments["vector"][-1 - len(outputs)]


async def _expected(bench: Bench) -> int:
    """The same, as `hw.export.stream_map` says."""
    names = ("stream_words", "stream_groups", "stream_inputs", "stream_outputs")
    registers = {name: await bench.read(name) for name in names}
    return vector_cycles(registers, await bench.read("cycles"))


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.8])
async def reads_and_writes_take_turns(dut: Any, pauses: float) -> None:
    """Many at once: each is answered, however long the answer before waits to be taken."""
    bench = Bench(dut, pauses)
    await bench.start()
    moments = _watch(dut)
    place = ADDRESS["scratch"]
    waiting = [bench.lite.init_write(place, bytes(4)) for _ in range(10)]
    waiting += [bench.lite.init_read(place, 4) for _ in range(10)]
    for event in waiting:
        await with_timeout(event.wait(), _PATIENCE_US, "us")
    reads, writes = moments["r"], moments["b"]
    assert len(reads) == len(writes) == 10
    answers = sorted([(cycle, "r") for cycle in reads] + [(cycle, "b") for cycle in writes])
    # The first ones came before there was anything of the other kind.
    kinds = [kind for _, kind in answers[2:-2]]
    if not pauses:
        assert all(kind != following for kind, following in itertools.pairwise(kinds))


@cocotb.test()
async def reads_while_the_engine_is_busy(dut: Any) -> None:
    bench = Bench(dut, 0.2)
    await bench.start()
    seen: list[tuple[int, int]] = []
    done = False

    async def read_on() -> None:
        while not done:
            assert await bench.read("magic") == REGMAP["magic"]
            assert await bench.read("stream_inputs") == len(INPUTS[0])
            status = await bench.read("status"), await bench.read("stream_status")
            seen.append((status[0] & BITS["status"]["busy"], status[1] & UNDER_WAY))

    reader = cocotb.start_soon(read_on())
    await bench.send(*INPUTS)
    await bench.expect(OUTPUTS)
    done = True
    await reader
    assert {0, 1} == {busy for busy, _ in seen}
    assert UNDER_WAY in {way for _, way in seen}


@cocotb.test()
@cocotb.parametrize(pauses=[0.0, 0.5])
async def spoiled_vectors(dut: Any, pauses: float) -> None:
    bench = Bench(dut, pauses)
    await bench.start()
    x, other = INPUTS[0], INPUTS[1]
    cases = [
        ([other[:1]], EARLY),
        ([other[:-1]], EARLY),
        ([other + other[:1]], MISSING),
        ([other + other], MISSING),
        ([other + other + other[:5]], MISSING),
        ([other[:3], other + other[:2], other[:2]], EARLY | MISSING),
    ]
    for spoiled, error in cases:
        await bench.send(x, *spoiled, x, other)
        await bench.expect([OUTPUTS[0], OUTPUTS[0], OUTPUTS[1]])
        assert await bench.read("stream_status") & 0xFF == error
        # Cleared one by one, and by nothing else.
        await bench.write("stream_status", 0)
        assert await bench.read("stream_status") & 0xFF == error
        await bench.write("stream_status", EARLY)
        assert await bench.read("stream_status") & 0xFF == error & MISSING
        await bench.write("stream_status", MISSING)
        assert await bench.read("stream_status") & 0xFF == 0
    assert bench.sink.empty()


@cocotb.test()
async def switched_off_in_mid_vector(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    for taken in (1, len(INPUTS[0]) - 1, len(INPUTS[0]) + 1):
        # As much of the first frame as this, then nothing while the streams are off.
        frame = INPUTS[0] if taken < len(INPUTS[0]) else [*INPUTS[0], 0, 0]
        await bench.send(frame, INPUTS[1])
        for _ in range(taken):
            await RisingEdge(dut.aclk)
            while not (int(dut.s_axis_tvalid.value) and int(dut.s_axis_tready.value)):
                await RisingEdge(dut.aclk)
        bench.source.pause = True
        await bench.write("stream_control", 0)
        bench.source.pause = False
        await ClockCycles(dut.aclk, 50)
        assert not int(dut.s_axis_tready.value)
        await bench.write("stream_control", BITS["stream_control"]["enable"])
        await bench.expect([OUTPUTS[1]])
        error = MISSING if taken > len(INPUTS[0]) else 0
        assert await bench.read("stream_status") & 0xFF == error
        await bench.write("stream_status", EARLY | MISSING)
    assert bench.sink.empty()


@cocotb.test()
@cocotb.parametrize(cycles=[30, 60, 200, 250, 300])
async def reset_in_mid_vector(dut: Any, cycles: int) -> None:
    """While a vector comes in, is written, computed, and sent."""
    bench = Bench(dut)
    await bench.start()
    while not int(dut.s_axis_tready.value):
        await RisingEdge(dut.aclk)
    await bench.send(*INPUTS)
    await ClockCycles(dut.aclk, cycles)
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 3)
    bench.source.clear()
    bench.sink.clear()
    dut.aresetn.value = 1
    await bench.send(*INPUTS)
    await bench.expect(OUTPUTS)
    assert await bench.read("stream_status") & 0xFF == 0
    assert bench.sink.empty()


@cocotb.test()
async def another_network_by_software(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await bench.send(INPUTS[0])
    await bench.expect(OUTPUTS[:1])
    await bench.write("stream_control", 0)
    other = GIVEN["other"]
    for address, word in other["words"]:
        await bench.write_at(address, word)
    await bench.send(*other["inputs"])
    await bench.expect(other["outputs"])
    # This one has so many inputs that the engine waits for them.
    moments = _watch(dut)
    x, y = other["inputs"][0], other["outputs"][0]
    await bench.send(x, x)
    await bench.expect([y, y])
    assert _between_last_two(moments, y) == await _expected(bench)
