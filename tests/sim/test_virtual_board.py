"""The virtual board: the real driver and LiteX's programs at its port, on good and on bad lines."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re

import numpy as np
import pytest

from hw.boards import find
from hw.config import PRESETS
from hw.regmap import MAGIC, Window
from sim import golden, verilated, verilog
from sim.board import Line, VirtualBoard, build
from sim.engine import engine_verilog
from sim.random_network import Recipe, random_inputs, random_network
from sw.bus import PLACE, VerifiedBus
from sw.driver import Accelerator
from sw.image import word_address
from sw.pack import pack
from sw.transport import DeviceSilent, open_serial

TINY = PRESETS["tiny"]
# A slow clock, so that little time is simulated for every byte: four cycles a bit.
BOARD = dataclasses.replace(find("arty"), clock_hz=4_000_000)
RECIPE = Recipe(sizes=[30, 20, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, TINY)
X = random_inputs(RECIPE, 2 * IMAGE.vectors + 1, 1)
EXPECTED = golden.run(NETWORK, X)[-1]


@pytest.fixture(scope="module")
def program():
    return build(BOARD, TINY)


@contextlib.contextmanager
def transport_of(port, timeout=0.3):
    with contextlib.closing(open_serial(port, BOARD.baud, timeout=timeout)) as bone:
        yield bone


@pytest.mark.parametrize("way", ["port", "url"])
def test_the_driver_loads_and_runs(program, way):
    with VirtualBoard(program, BOARD) as board, transport_of(getattr(board, way)) as bone:
        accelerator = Accelerator(bone)
        assert accelerator.config_digest == TINY.digest
        assert accelerator.image_id == 0
        accelerator.load(IMAGE)
        np.testing.assert_array_equal(accelerator.run(X), EXPECTED)
        assert accelerator.repeated == 0


def test_cycles_and_counters_are_those_of_the_engine_alone(program):
    with (
        VirtualBoard(program, BOARD) as board,
        transport_of(board.port) as bone,
        verilated.simulate(engine_verilog(TINY), "engine") as bus,
    ):
        found = []
        for transport in (bone, bus):
            accelerator = Accelerator(transport)
            accelerator.load(IMAGE)
            counted = []
            for x in X:
                accelerator.run(x[None])
                counted.append((accelerator.cycles, accelerator.counters()))
            found.append(counted)
    assert found[0] == found[1]


def test_terminal_and_tcp_serve_one_program_after_the_other(program):
    """What the one loaded is there for the other, and stays when both are gone."""
    with VirtualBoard(program, BOARD) as board:
        with transport_of(board.port) as bone:
            Accelerator(bone).load(IMAGE)
        for _ in range(2):
            with transport_of(board.url) as bone:
                accelerator = Accelerator(bone)
                accelerator.attach(IMAGE)
                np.testing.assert_array_equal(accelerator.run(X), EXPECTED)
        with transport_of(board.port) as bone:
            assert Accelerator(bone).image_id == IMAGE.id


def test_a_program_that_left_in_the_middle_of_a_command(program):
    with VirtualBoard(program, BOARD) as board:
        for rest in ("01 05 0000", "02 FF 00000000", "03 02 00000010 11223344 55"):
            with transport_of(board.port) as bone:
                bone._stream.write(bytes.fromhex(rest))
            with transport_of(board.port) as bone:
                assert Accelerator(bone).config_digest == TINY.digest


@pytest.mark.parametrize("baud", [BOARD.baud * 98 // 100, BOARD.baud * 102 // 100])
def test_a_host_whose_clock_is_off_by_two_per_cent(program, baud):
    with VirtualBoard(program, BOARD, Line(baud)) as board, transport_of(board.port) as bone:
        accelerator = Accelerator(bone)
        accelerator.load(IMAGE)
        assert accelerator.repeated == 0


def test_another_baud_rate_gets_no_answer(program):
    line = Line(BOARD.baud // 3)
    with (
        VirtualBoard(program, BOARD, line) as board,
        transport_of(board.port) as bone,
        pytest.raises(DeviceSilent, match="is 1000000 its baud rate"),
    ):
        Accelerator(bone)


@pytest.mark.parametrize("seed", range(3))
def test_load_and_run_on_a_bad_line(program, seed):
    """One byte in 300 is lost, doubled or changed, each way."""
    with (
        VirtualBoard(program, BOARD, Line(BOARD.baud, 300, seed)) as board,
        transport_of(board.port, timeout=0.1) as bone,
    ):
        accelerator = Accelerator(bone)
        accelerator.load(IMAGE)
        np.testing.assert_array_equal(accelerator.run(X), EXPECTED)
        assert accelerator.repeated > 10


def test_ten_thousand_accesses_on_a_bad_line(program):
    """Registers and memory at random: no wrong value is ever accepted.

    One byte in 1,000 is spoiled. Each place holds what was written to it last, to the end.
    """
    dice = random.Random(5)
    places = [PLACE["scratch"], PLACE["vectors"]]
    base = word_address(Window.ACTIVATIONS, 0)
    places += dice.sample(range(base, base + 2 * TINY.activation_depth), 200)
    held = dict.fromkeys(places, 0)
    with (
        VirtualBoard(program, BOARD, Line(BOARD.baud, 1000, 3)) as board,
        transport_of(board.port, timeout=0.05) as bone,
    ):
        bus = VerifiedBus(bone)
        for place in places[2:]:
            bus.write([(place, np.zeros(1, np.uint32))])
        for _ in range(10_000):
            place = dice.choice(places)
            if dice.random() < 0.3:
                word = dice.getrandbits(16)
                if place < base:
                    bus.set("scratch" if place == PLACE["scratch"] else "vectors", word)
                else:
                    bus.write([(place, np.array([word], np.uint32))])
                held[place] = word
            elif place != PLACE["scratch"]:  # with which a spoiled line is made ready again
                assert int(bus.read(place, 1)[0]) == held[place]
        held.pop(PLACE["scratch"])
        assert {place: int(bus.read(place, 1)[0]) for place in held} == held
        assert bus.repeated > 50


def test_nothing_changes_in_an_engine_at_rest(tmp_path):
    """So the virtual board need not clock it: 64 cycles after it was busy or asked for something.

    Every signal of it, over 3,000 cycles after a load and a run, but for the clock.
    """
    waves = tmp_path / "rest.vcd"
    with verilated.simulate(engine_verilog(TINY), "engine", trace=waves) as bus:
        accelerator = Accelerator(bus)
        accelerator.load(IMAGE)
        accelerator.run(X[:1])
        accelerator.counters()
        rest = bus.cycles + 64
        bus.idle(3_000)
    text = waves.read_text()
    clocks = set(re.findall(r"\$var wire\s+1 (\S+) clk \$end", text))
    times = [int(time) for time in re.findall(r"^#(\d+)$", text, re.M)]
    assert max(times) > 10 * (rest + 2_900), "the waves end before the rest"
    after = text[text.index(f"\n#{next(t for t in times if t >= 10 * rest)}\n") :]
    changed = {line[1:] for line in after.splitlines() if line[:1] in "01"}
    changed |= {line.split()[1] for line in after.splitlines() if line[:1] == "b"}
    assert changed <= clocks
    assert changed


def test_register_names_of_litex(program):
    assert int.from_bytes(b"THRS", "big") == MAGIC
    assert TINY.entry_depth < verilog.DEEP  # so that no memory of it is loaded round the bus
