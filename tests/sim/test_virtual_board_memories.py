"""Virtual boards whose engines have memories in another form, as those of their bitstreams have."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped
from rests import ASKED_CYCLES, changing

from hw.boards import find
from hw.config import PRESETS
from hw.engine import Engine
from hw.memory import SerialMemory
from hw.regmap import Window, window_items
from hw.virtual import _Pins
from sim import board as virtual_board
from sim import cycles, golden, verilated
from sim.cell_models import with_models
from sim.random_network import Recipe, random_inputs, random_network
from sim.verilog import cached_verilog
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
def test_load_run_counters(name):
    """To the bit, and as late as reading instructions part by part makes it (decision 13)."""
    board = find(name)
    recipe, network, image = example(board)
    later = SerialMemory.latency(window_items(Window.PROGRAM, image.config)[2])
    program = virtual_board.build(board, image.config)
    with (
        virtual_board.VirtualBoard(program, board) as running,
        contextlib.closing(open_serial(running.port, board.baud, timeout=1.0)) as bone,
    ):
        accelerator = Accelerator(bone)
        accelerator.load(image)
        for x in random_inputs(recipe, 5, 1)[:, None]:
            np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])
            predicted = cycles.predict(image, x)
            first, _ = accelerator.counters()
            assert first.cycles == predicted.layers[0].counts.cycles + later
            # The second's feeders have less to wait for the first.
            assert later <= accelerator.cycles - predicted.cycles <= 2 * later
        assert all(check.failure is None for check in accelerator.selftest())


class BoardEngine(wiring.Component):
    """The engine of a board alone, with the memories that it has there."""

    def __init__(self, board):
        self.memories, self.engine = board.memories(), Engine(PRESETS[board.preset])
        super().__init__(self.engine.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine = Fragment.get(self.engine, _Pins(platform, self.memories))
        connect(m, flipped(self), self.engine)
        return m


def test_what_changes_in_an_engine_at_rest(tmp_path):
    """Whose turn it is to be read, in counters and instructions: so it need not be clocked."""
    board, waves, rests = find("icebreaker"), tmp_path / "rest.vcd", []
    recipe, _, image = example(board)
    key = f"{board.name} alone {image.config!r}"
    cells = cached_verilog("engine", key, lambda: BoardEngine(board))
    verilog = with_models(cells, board.family)
    with verilated.simulate(verilog, "engine", verilated.Observed(waves=waves)) as bus:

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
