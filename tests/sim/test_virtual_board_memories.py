"""Virtual boards whose engines have memories in another form, as those of their bitstreams have."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from hw.boards import find
from hw.config import PRESETS
from hw.memory import SerialMemory
from hw.regmap import Window, window_items
from sim import board as virtual_board
from sim import cycles, golden
from sim.random_network import Recipe, random_inputs, random_network
from sw.driver import Accelerator
from sw.pack import pack
from sw.serial_port import open_serial


@pytest.mark.parametrize("name", ["icebreaker", "hx8k"])
def test_load_run_counters(name):
    """To the bit, and as late as reading instructions part by part makes it (decision 13)."""
    board = find(name)
    config = PRESETS[board.preset]
    widths = {"activation_bits": config.activation_bits, "weight_bits": config.weight_bits}
    widths["accumulator_bits"] = config.accumulator_bits
    recipe = Recipe(sizes=[30, 20, 10], density=0.3, code_bits=3, **widths)
    network = random_network(recipe, 0)
    image = pack(network, config)
    later = SerialMemory.latency(window_items(Window.PROGRAM, config)[2])
    program = virtual_board.build(board, config)
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
