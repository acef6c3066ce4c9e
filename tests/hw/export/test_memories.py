"""Exports with the memories of a board that has none made of LUTs, or other ones."""

import dataclasses
import json

import pytest
from cases import Case, software

from hw.boards import find
from hw.config import PRESETS
from hw.export import Export, write
from hw.export.verilog import TOP
from hw.toolchains import yosys
from hw.toolchains.families import FAMILIES
from sim.bench.runner import run_verilog
from sim.random_network import Recipe

ONE_LANE = dataclasses.replace(PRESETS["tiny"], lanes=1)
CASE = Case(ONE_LANE, Recipe([20, 12, 5], density=0.3), 1)


def exported(folder, name):
    """(Verilog, summary) of an export for a board."""
    summary = write(Export("wishbone", ONE_LANE, find(name)), folder)
    return (folder / f"{TOP}.v").read_text(), summary


@pytest.mark.parametrize(
    ("name", "luts", "spram", "memories"),
    [
        ("arty", True, False, None),
        ("tang", True, False, "tang_nano_9k"),
        ("hx8k", False, False, "ice40_hx8k_b_evn"),
        ("icebreaker", False, True, "icebreaker"),
    ],
)
def test_what_they_are_made_of(tmp_path, name, luts, spram, memories):
    """Of LUTs only where there are such; `memories` is what the summary says."""
    verilog, summary = exported(tmp_path / "export", name)
    assert ('ram_style = "distributed"' in verilog) == luts
    assert ("SB_SPRAM256KA" in verilog) == spram
    assert summary["memories"] == memories


@pytest.mark.parametrize(("name", "sprams"), [("icebreaker", 2), ("hx8k", 0)])
def test_yosys_finds_a_block_for_every_memory(tmp_path, name, sprams):
    """With the board's own synthesis, as far as memories matter."""
    exported(tmp_path / "export", name)
    script = [
        f"read_verilog export/{TOP}.v",
        # Behind that, LUTs are made of what is left.
        f"synth_ice40 {FAMILIES[find(name).family].options} -top {TOP} -run begin:map_gates",
        "tee -q -o statistics.json stat -json",
    ]
    (tmp_path / "script.ys").write_text("\n".join(script) + "\n")
    yosys.run_script(tmp_path, "script.ys", "log")
    design = json.loads((tmp_path / "statistics.json").read_text())["design"]
    cells = design["num_cells_by_type"]
    assert cells["SB_RAM40_4K"] > 10
    assert cells.get("SB_SPRAM256KA", 0) == sprams
    assert design["num_memories"] == 0


def test_resident_network(tmp_path):
    """It computes what the golden model does."""
    folder = tmp_path / "export"
    write(dataclasses.replace(CASE.export("verilog"), board=find("hx8k")), folder)
    env, results = software(CASE, folder)
    run_verilog(
        (folder / f"{TOP}.v").read_text,
        module="sim.bench.export.plain",
        name=TOP,
        env=env,
        files=sorted(folder.glob("*.mem")),
    )
    assert results("results") == CASE.outputs.tolist()
