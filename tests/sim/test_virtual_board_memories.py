"""Virtual boards whose engines have memories in another form, as those of their bitstreams have."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from aborts import run_after_aborts
from click.testing import CliRunner
from rests import ASKED_CYCLES, changing

from hw.boards import find
from hw.config import PRESETS
from hw.memory import SerialMemory
from hw.regmap import Window, window_items
from sim import board as virtual_board
from sim import cycles, golden, verilated
from sim.engine import open_engine
from sim.random_network import Recipe, random_inputs, random_network
from sw import format as thr
from sw.cli import main
from sw.driver import Accelerator
from sw.image import word_address
from sw.pack import pack
from sw.serial_port import open_serial


def example(board):
    """A network for a board: its recipe, and its image."""
    config = PRESETS[board.preset]
    widths = {"activation_bits": config.activation_bits, "weight_bits": config.weight_bits}
    widths["accumulator_bits"] = config.accumulator_bits
    recipe = Recipe(sizes=[30, 20, 10], density=0.3, code_bits=3, **widths)
    network = random_network(recipe, 0)
    return recipe, network, pack(network, config)


@pytest.mark.parametrize("name", ["icebreaker", "hx8k"])
def test_aborts(name):
    board = find(name)
    config = PRESETS[board.preset]
    with open_engine(config, board=board) as bus:
        assert run_after_aborts(bus, config) > 0.8


@pytest.mark.parametrize("name", ["icebreaker", "hx8k"])
def test_load_run_counters(name):
    """To the bit, in the cycles of the engine alone with the same memories (decision 13)."""
    board = find(name)
    recipe, network, image = example(board)
    later = SerialMemory.latency(window_items(Window.PROGRAM, image.config)[2])
    program = virtual_board.build(board, image.config)
    with (
        virtual_board.VirtualBoard(program, board) as running,
        contextlib.closing(open_serial(running.port, board.baud, timeout=1.0)) as bone,
        open_engine(image.config, board=board) as bus,
    ):
        accelerator, alone = Accelerator(bone), Accelerator(bus)
        accelerator.load(image)
        alone.load(image)
        for x in random_inputs(recipe, 5, 1)[:, None]:
            np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])
            np.testing.assert_array_equal(alone.run(x), golden.run(network, x)[-1])
            assert alone.counters() == accelerator.counters()
            assert alone.cycles == accelerator.cycles
            predicted = cycles.predict(image, x)
            first, _ = accelerator.counters()
            assert first.cycles == predicted.layers[0].counts.cycles + later
            # The second's feeders have less to wait for the first.
            assert later <= accelerator.cycles - predicted.cycles <= 2 * later
        assert all(check.failure is None for check in accelerator.selftest())


def test_thresher_sim_has_them_too(tmp_path):
    board = find("icebreaker")
    recipe, network, image = example(board)
    x = random_inputs(recipe, 3, 1)
    thr.write_file(tmp_path / "network.thr", thr.to_bytes(network))
    np.save(tmp_path / "x.npy", x * 2.0**-network.input.fraction)
    command = ["sim", "network.thr", "--board", board.name, "--inputs", "x.npy", "--json"]
    with contextlib.chdir(tmp_path):
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    with open_engine(image.config, board=board) as bus:
        accelerator, cycles_of = Accelerator(bus), []
        accelerator.load(image)
        for vector in x[:, None]:
            accelerator.run(vector)
            cycles_of.append(accelerator.cycles)
    assert found["agrees_with_golden"]
    assert found["cycles_per_vector"] == {"mean": np.mean(cycles_of), "max": max(cycles_of)}
    assert found["cycles_per_vector"]["mean"] > np.mean(
        [cycles.predict(image, vector).cycles for vector in x[:, None]]
    )


def test_what_changes_in_an_engine_at_rest(tmp_path):
    """Whose turn it is to be read, in counters and instructions: so it need not be clocked."""
    board, waves, rests = find("icebreaker"), tmp_path / "rest.vcd", []
    recipe, _, image = example(board)
    with open_engine(image.config, verilated.Observed(waves=waves), board) as bus:

        def rest():
            first = bus.cycles + ASKED_CYCLES
            bus.idle(500)
            rests.append(range(first, bus.cycles))

        accelerator = Accelerator(bus)
        accelerator.load(image)
        rest()
        accelerator.run(random_inputs(recipe, 1, 1))
        rest()
        accelerator.release()
        for window in Window:
            bus.read(word_address(window, 0, 2), 1)
            rest()
            bus.write(word_address(window, 0, 3), np.array([0x2468], np.uint32))
            rest()
    found = [paths for paths in changing(waves.read_text(), rests) if paths[0] != ("TOP", "clk")]
    assert any(path[-3:] == ("sequencer", "memory", "turn") for paths in found for path in paths)
    for path in (path for paths in found for path in paths):
        assert "counters" in path or path[-3:-1] == ("sequencer", "memory")
