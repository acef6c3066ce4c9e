"""The export with the engine's own bus: its folder's files alone, against the golden model."""

import dataclasses

from cases import Case, software

from hw.config import PRESETS
from sim.bench.runner import run_verilog
from sim.random_network import Recipe

# Every third activation lies across two words of the bus.
CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=3, activation_bits=12)
CASE = Case(CONFIG, Recipe([41, 17, 9], density=0.3, activation_bits=12), 1)


def test_resident_network(tmp_path):
    folder = CASE.written("verilog", tmp_path / "export")
    env, found = software(CASE, folder)
    run_verilog(
        (folder / "thresher.v").read_text,
        module="sim.bench.export.plain",
        name="thresher",
        env=env,
        files=sorted(folder.glob("*.mem")),
    )
    assert found("results") == CASE.outputs.tolist()
