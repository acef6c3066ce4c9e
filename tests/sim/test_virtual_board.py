"""The virtual board: the real driver and LiteX's programs at its port, on good and on bad lines."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import serial
from cable import cable
from rests import ASKED_CYCLES, BUSY_CYCLES, changing

from hw.boards import find
from hw.config import PRESETS
from hw.project import Design, write_sources
from hw.regmap import MAGIC, PLACE, VERSION, Window
from sim import golden, verilated
from sim.board import Line, VirtualBoard, build
from sim.engine import engine_verilog
from sim.random_network import Recipe, random_inputs, random_network
from sw.asynchronous import Immediate, finish
from sw.bus import VerifiedBus
from sw.driver import Accelerator
from sw.image import word_address
from sw.pack import pack
from sw.serial_port import open_serial
from sw.transport import DeviceSilent, LinkError

TOOLS = Path(sys.executable).parent
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


def test_an_answer_to_a_program_that_left_is_lost(program):
    """Not told to who is at the other port, nor kept for who comes next."""
    with VirtualBoard(program, BOARD) as board:
        with contextlib.closing(serial.serial_for_url(board.port, timeout=1.0)) as other:
            with transport_of(board.url) as bone:
                bone._stream.write(4 * bytes.fromhex("02 FF 00000000"))
            assert other.read(1) == b""
        with contextlib.closing(serial.serial_for_url(board.url, timeout=1.0)) as following:
            assert following.read(1) == b""


def test_a_program_that_left_in_the_middle_of_a_command(program):
    with VirtualBoard(program, BOARD) as board:
        for rest in ("01 05 0000", "02 FF 00000000", "03 02 00000010 11223344 55"):
            with transport_of(board.port) as bone:
                bone._stream.write(bytes.fromhex(rest))
            with transport_of(board.port) as bone:
                assert Accelerator(bone).config_digest == TINY.digest


def test_a_board_that_vanishes_in_the_middle_of_a_load(program):
    """It is reported, and what comes back can be loaded."""
    with contextlib.ExitStack() as stack:
        board = VirtualBoard(program, BOARD)
        accelerator = Accelerator(stack.enter_context(transport_of(board.port)))
        shares = []

        def unplug(share):
            shares.append(share)
            if len(shares) == 1:
                board.close()

        with pytest.raises(LinkError):
            accelerator.load(IMAGE, unplug)
        assert 0 < shares[-1] < 1
    with VirtualBoard(program, BOARD) as board, transport_of(board.port) as bone:
        accelerator = Accelerator(bone)
        assert accelerator.image_id == 0
        accelerator.load(IMAGE)
        np.testing.assert_array_equal(accelerator.run(X), EXPECTED)


def test_a_cable_that_is_pulled_in_the_middle_of_a_load(program):
    """What the board has then is no image; it is there to be loaded as soon as it is plugged in."""
    with VirtualBoard(program, BOARD) as board:
        shares = []
        with cable(board.url) as (url, pull), transport_of(url) as bone:
            accelerator = Accelerator(bone)

            def cut(share):
                shares.append(share)
                if len(shares) == 1:
                    pull()

            with pytest.raises(LinkError):
                accelerator.load(IMAGE, cut)
        assert 0 < shares[-1] < 1
        with transport_of(board.url) as bone:
            accelerator = Accelerator(bone)
            assert accelerator.image_id == 0
            accelerator.load(IMAGE)
            np.testing.assert_array_equal(accelerator.run(X), EXPECTED)


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


@pytest.mark.parametrize("seed", range(2))
def test_load_and_run_on_a_bad_line(program, seed):
    """One byte in 500 is lost, doubled or changed, each way."""
    with (
        VirtualBoard(program, BOARD, Line(BOARD.baud, 500, seed)) as board,
        transport_of(board.port) as bone,
    ):
        accelerator = Accelerator(bone)
        accelerator.load(IMAGE)
        np.testing.assert_array_equal(accelerator.run(X), EXPECTED)
        assert accelerator.repeated > 5


@pytest.mark.parametrize("seed", range(2))
def test_ten_thousand_accesses_on_a_bad_line(program, seed):
    """Registers and memory at random, five thousand from either seed: no wrong value is accepted.

    One byte in 1,000 is spoiled. Each place holds what was written to it last, to the end.
    """
    with (
        VirtualBoard(program, BOARD, Line(BOARD.baud, 1000, seed)) as board,
        transport_of(board.port) as bone,
    ):
        bus = VerifiedBus(Immediate(bone))
        finish(at_random(bus, random.Random(seed), accesses=5_000))
        assert bus.repeated > 50


async def at_random(bus, dice, accesses):
    """Writes and reads; `held` and `memory` have what should be there."""
    base, size = word_address(Window.ACTIVATIONS, 0), 2 * TINY.activation_depth
    memory = np.zeros(size, np.uint32)
    await bus.write([(base, memory)])
    held = {"magic": MAGIC, "version": VERSION, "config_digest": TINY.digest}
    bits = {"vectors": 16, "image_id": 32}
    held |= dict.fromkeys(bits, 0)
    for name in bits:
        await bus.set(name, 0)
    seen = collections.Counter()
    for _ in range(accesses):
        kind = dice.choice(("register", "memory")), dice.choice(("read", "read", "write"))
        seen[kind] += 1
        # Bursts, most of them short; those of two words and more that cover registers run over
        # others, so registers are one by one.
        count = min(1 + int(dice.expovariate(0.5)), 64)
        first = dice.randrange(size - count)
        part = slice(first, first + count)
        name = dice.choice(list(held))
        if kind == ("register", "read"):
            assert int((await bus.read(PLACE[name], 1))[0]) == held[name]
        elif kind == ("register", "write"):
            name = dice.choice(list(bits))
            held[name] = dice.getrandbits(bits[name])
            await bus.set(name, held[name])
        elif kind == ("memory", "read"):
            assert (await bus.read(base + first, count)).tolist() == memory[part].tolist()
        else:
            memory[part] = [dice.getrandbits(32) for _ in range(count)]
            await bus.write([(base + first, memory[part])])
    assert min(seen.values()) > accesses / 10
    np.testing.assert_array_equal(await bus.read(base, size), memory)
    assert {name: int((await bus.read(PLACE[name], 1))[0]) for name in held} == held


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    """Waves of the engine alone, and the cycles in which it is said to be at rest."""
    waves, rests = tmp_path_factory.mktemp("waves") / "rest.vcd", []
    observed = verilated.Observed(waves=waves)
    with verilated.simulate(engine_verilog(TINY), "engine", observed) as bus:

        def rest(settled):
            first = bus.cycles + settled
            bus.idle(1_000)
            rests.append(range(first, bus.cycles))

        accelerator = Accelerator(bus)
        accelerator.load(IMAGE)
        rest(ASKED_CYCLES)
        accelerator.run(X[:1])
        rest(ASKED_CYCLES)
        accelerator.release()
        for window in Window:
            bus.read(word_address(window, 0, 2), 1)
            rest(ASKED_CYCLES)
            bus.write(word_address(window, 0, 3), np.array([0x2468], np.uint32))
            rest(ASKED_CYCLES)
        accelerator.load(IMAGE)
        accelerator.run(X[:1])
        bus.write(PLACE["control"], np.array([1], np.uint32))
        bus.idle(accelerator.cycles - 5)  # a little later it will be over
        assert bus.read(PLACE["status"], 1)[0] & 1
        rest(BUSY_CYCLES)
        assert not bus.read(PLACE["status"], 1)[0] & 1
    return waves.read_text(), rests


def test_nothing_changes_in_an_engine_at_rest(at_rest):
    """So the virtual board need not clock it.

    Every signal of it but for the clock, and for the count of a layer's cycles, which goes on until
    the next layer begins it anew.
    """
    restless = changing(*at_rest)
    others = [paths for paths in restless if not all("counters" in path for path in paths)]
    assert [paths[0] for paths in others] == [("TOP", "clk")]


@pytest.fixture(scope="module")
def csr_csv(tmp_path_factory):
    """As a build of this board writes it."""
    folder = tmp_path_factory.mktemp("build")
    write_sources(Design(find("arty"), TINY), folder)
    return folder / "csr.csv"


@contextlib.contextmanager
def litex_server(port):
    """LiteX's own server at a serial port; gives the TCP port for its clients."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    command = [TOOLS / "litex_server", "--uart", "--uart-port", port, "--bind-port", f"{number}"]
    command += ["--uart-baudrate", f"{BOARD.baud}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(number)
        yield f"{number}"
    finally:
        server.kill()
        server.communicate()


def wait_for(number):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number)):
            return
        time.sleep(0.05)
    raise AssertionError("litex_server did not start")


def test_litex_reads_and_writes_registers_and_memories(program, csr_csv):
    with VirtualBoard(program, BOARD) as board, litex_server(board.port) as number:

        def litex_cli(*arguments):
            command = [TOOLS / "litex_cli", "--csr-csv", csr_csv, "--port", number, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            return done.stdout

        shown = re.findall(r"^0x\w+ : (0x\w+) thresher_(\w+)$", litex_cli("--regs"), re.M)
        registers = {name: int(value, 16) for value, name in shown}
        assert registers.keys() == PLACE.keys()
        assert registers["magic"] == MAGIC
        assert registers["config_digest"] == TINY.digest
        litex_cli("--write", "thresher_scratch", "0x12345678")
        assert "0x12345678" in litex_cli("--read", "thresher_scratch")
        memory = f"0x{word_address(Window.ACTIVATIONS, 0, 5) * 4:08x}"
        litex_cli("--write", memory, "0xcafe0123")
        assert "0xcafe0123" in litex_cli("--read", memory)


def test_what_litex_wrote_the_driver_finds(program, csr_csv):
    """One after the other, at one port."""
    with VirtualBoard(program, BOARD) as board:
        with litex_server(board.port) as number:
            command = [TOOLS / "litex_cli", "--csr-csv", csr_csv, "--port", number]
            command += ["--write", "thresher_vectors", "3"]
            subprocess.run(command, timeout=60, check=True, stdout=subprocess.DEVNULL)
        with transport_of(board.port) as bone:
            accelerator = Accelerator(bone)
            assert accelerator.info().registers.vectors == 3
            accelerator.load(IMAGE)
            np.testing.assert_array_equal(accelerator.run(X), EXPECTED)
