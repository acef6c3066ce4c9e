"""Virtual boards whose engines have memories in another form, as those of their bitstreams have."""

from __future__ import annotations

import contextlib
import re

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


@contextlib.contextmanager
def loaded(board):
    """An accelerator on a virtual board, the image that is loaded there, and its network."""
    config = PRESETS[board.preset]
    widths = {"activation_bits": config.activation_bits, "weight_bits": config.weight_bits}
    widths["accumulator_bits"] = config.accumulator_bits
    recipe = Recipe(sizes=[30, 20, 10], density=0.3, code_bits=3, **widths)
    network = random_network(recipe, 0)
    image, x = pack(network, config), random_inputs(recipe, 5, 1)
    program = virtual_board.build(board, config)
    with (
        virtual_board.VirtualBoard(program, board) as running,
        contextlib.closing(open_serial(running.port, board.baud, timeout=1.0)) as bone,
    ):
        accelerator = Accelerator(bone)
        accelerator.load(image)
        yield accelerator, image, network, x


@pytest.mark.parametrize("name", ["icebreaker", "hx8k"])
def test_load_run_counters(name):
    """To the bit, and as late as reading instructions part by part makes it (decision 13)."""
    with loaded(find(name)) as (accelerator, image, network, x):
        later = SerialMemory.latency(window_items(Window.PROGRAM, image.config)[2])
        for vector in x:
            expected = golden.run(network, vector[None])[-1]
            np.testing.assert_array_equal(accelerator.run(vector[None]), expected)
            predicted = cycles.predict(image, vector[None])
            first, _ = accelerator.counters()
            assert first.cycles == predicted.layers[0].counts.cycles + later
            # The second's feeders have less to wait for the first.
            assert later <= accelerator.cycles - predicted.cycles <= 2 * later
        assert all(check.failure is None for check in accelerator.selftest())


def test_rests_do_not_show(tmp_path, monkeypatch):
    """Turns of memories and counters stand still while the engine is not clocked: it may."""

    def counted():
        with loaded(find("icebreaker")) as (accelerator, _, _, x):
            for vector in x:
                accelerator.run(vector[None])
                yield accelerator.cycles, accelerator.counters()

    resting = list(counted())
    server = virtual_board._SERVER.read_text()
    restless = tmp_path / "restless.cpp"
    restless.write_text(re.sub(r"(kBusyCycles) = \d+;", r"\1 = ~0u;", server))
    assert restless.read_text() != server
    monkeypatch.setattr(virtual_board, "_SERVER", restless)
    assert list(counted()) == resting
