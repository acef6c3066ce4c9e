"""The engine with its memories as black boxes: simulated with their models, and synthesised."""

import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest
from amaranth.hdl import Fragment
from amaranth.lib.memory import Memory
from click.testing import CliRunner
from numpy.testing import assert_array_equal

from hw.config import PRESETS, ConfigError
from hw.export.area import synthesise
from hw.export.macros import Macro, Macros
from hw.toolchains import ToolchainError
from sim import golden, verilated
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sw.cli import main
from sw.driver import Accelerator
from sw.pack import pack

TINY = PRESETS["tiny"]
AREAS = {"INV": 1.0, "BUF": 2.0, "NAND2": 2.0, "NOR2": 2.5, "DFF": 8.0}
FUNCTIONS = {"INV": "A'", "BUF": "A", "NAND2": "(A*B)'", "NOR2": "(A+B)'"}
FLIP_FLOP = """
  cell(DFF) { area : 8; ff(IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    pin(C) { direction : input; clock : true; } pin(D) { direction : input; }
    pin(Q) { direction : output; function : "IQ"; } }"""


def library(path, *, flip_flop=FLIP_FLOP):
    """A library of cells as small as one can be."""
    cells = ""
    for name, function in FUNCTIONS.items():
        pins = "".join(f"pin({p}) {{ direction : input; }} " for p in "AB" if p in function)
        out = f'pin(Y) {{ direction : output; function : "{function}"; }}'
        cells += f"\n  cell({name}) {{ area : {AREAS[name]}; {pins}{out} }}"
    path.write_text(f"library(small) {{{cells}{flip_flop}\n}}\n")
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["build", "--export", "asic", *map(str, arguments)])


def refused(*arguments):
    """The one sentence that it says, and nothing before it."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asic") / "tiny"
    result = run("--preset", "tiny", "-o", folder)
    assert result.exit_code == 0, result.output
    return folder


def scrambled(text):
    """The same Verilog, all registers random at power-up."""
    random = np.random.default_rng(0)

    def value(found):
        bits = int(found[2])
        return f"{found[1]}{bits}'b{''.join(map(str, random.integers(0, 2, bits)))};"

    return re.subn(r"^(  reg .*= )(\d+)'h[0-9a-f]+;$", value, text, flags=re.M)


@pytest.fixture(scope="module")
def accelerator(exported):
    """The exported files and nothing else, registers and memories random before the reset."""
    text, registers = scrambled((exported / "engine.v").read_text())
    assert registers > 400
    text += (exported / "memories_model.v").read_text()
    program = verilated.build(text, "engine", quick=True)
    with verilated.VerilatedTransport(program) as transport:
        yield Accelerator(transport)


@pytest.mark.parametrize("kind", ["dense", "planes"])
def test_the_exported_files_compute_what_the_golden_model_does(accelerator, kind):
    if kind == "dense":
        recipe = Recipe(sizes=[30, 20, 10], density=0.3)
        network, x = random_network(recipe, 1), random_inputs(recipe, 3, 1)
    else:
        network = random_graph(Limits(channels=6, side=5, layers=5, kernel=3), 4256)
        x = random_planes(network, 3, 1)
    accelerator.load(pack(network, TINY))
    assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])


def test_every_memory_is_in_the_list(exported):
    """And no other is in the Verilog; where it is, is a path of instances."""
    listed = json.loads((exported / "memories.json").read_text())
    text = (exported / "engine.v").read_text()
    assert not re.search(r"^  reg .*\[\d+:\d+\];$", text, re.M)
    found = Counter(re.findall(r"^  (memory_\w+) ", text, re.M))
    assert found == {memory["module"]: memory["instances"] for memory in listed}
    places = [place for memory in listed for place in memory["where"]]
    assert len(set(places)) == len(places) == sum(found.values())
    assert "grid.element_3.queue.fifo.storage.macro" in places
    assert {memory["bits"] for memory in listed if memory["depth"] == TINY.entry_depth} == {
        TINY.entry_depth * TINY.entry_bits
    }
    stubs = (exported / "memories.v").read_text()
    models = (exported / "memories_model.v").read_text()
    for kind in (stubs, models):
        assert set(re.findall(r"^module (\w+)", kind, re.M)) == set(found)


def test_the_constraints_have_the_clock_of_the_board(exported, tmp_path):
    assert "-period 20.000 [get_ports clk]" in (exported / "engine.sdc").read_text()
    run("--preset", "tiny", "--board", "ulx3s_85f", "-o", tmp_path / "out")
    assert "-period 11.111 " in (tmp_path / "out" / "engine.sdc").read_text()


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory):
    """An engine of one lane, which is enough to have every block."""
    folder = tmp_path_factory.mktemp("cells")
    cells = library(folder / "a library.lib")
    options = ("--preset", "tiny", "--lanes", 1, "--liberty", cells, "--json")
    result = run(*options, "-o", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out", json.loads(result.stdout)["synthesis"]


def test_the_netlist_has_cells_of_the_library_and_memories_alone(synthesised):
    folder, synthesis = synthesised
    netlist = (folder / "netlist.v").read_text()
    modules = set(re.findall(r"^module \\?(\S+?)\s*\(", netlist, re.M))
    types = re.findall(r"^  (\\?[^\s(]+) \\?\S+ \($", netlist, re.M)
    cells = Counter(t for t in types if t.lstrip("\\") not in modules)
    memories = {m["module"] for m in json.loads((folder / "memories.json").read_text())}
    assert set(cells) == set(synthesis["cells"]) | memories
    assert set(synthesis["cells"]) <= set(AREAS)
    assert {t: n for t, n in cells.items() if t in AREAS} == synthesis["cells"]


def test_areas_add_up(synthesised):
    folder, synthesis = synthesised
    assert synthesis["area"] == sum(AREAS[t] * n for t, n in synthesis["cells"].items())
    blocks = {block["block"]: block for block in synthesis["blocks"]}
    assert json.loads((folder / "area.json").read_text()) == synthesis
    within = [name for name in blocks if "/" not in name and name != "engine"]
    for what in ("area", "cells", "memories", "memory_bits"):
        of_parts = sum(blocks[name][what] for name in within)
        glue = blocks["engine"][what] - of_parts
        assert 0 <= glue < 0.02 * blocks["engine"][what] + 1
    names = ("accumulate", "decoder", "fetch", "pointers", "queue", "tables")
    parts = [blocks[f"grid/element/{name}"] for name in names]
    assert blocks["grid/element"]["area"] == sum(part["area"] for part in parts)
    assert {"host", "sequencer", "feeder", "writeback", "counters", "activations"} <= set(within)
    listed = json.loads((folder / "memories.json").read_text())
    assert blocks["engine"]["memories"] == sum(m["instances"] for m in listed)
    assert blocks["engine"]["memory_bits"] == sum(m["instances"] * m["bits"] for m in listed)


def test_nothing_but_results_is_left(synthesised):
    folder, _ = synthesised
    assert {path.name for path in folder.iterdir()} == {
        *("engine.v", "memories.v", "memories_model.v", "memories.json", "engine.sdc"),
        *("config.json", "summary.json", "netlist.v", "area.json", "synthesis.log"),
    }


DESIGN = """
module engine(input clk, input a, output reg b);
  wire c;
  part part_0(.clk(clk), .d(a), .q(c));
  always @(posedge clk) b <= c ^ a;
endmodule
module part(input clk, input d, output q);
  box macro(.clk(clk), .d(d), .q(q));
endmodule
"""
BOX = "(* blackbox *) module box(input clk, input d, output q); endmodule\n"


def small(folder, cells):
    folder.mkdir()
    (folder / "design.v").write_text(DESIGN)
    (folder / "box.v").write_text(BOX)
    return synthesise(folder, ("box.v", "design.v"), cells, {"box": 40})


def test_a_library_without_flip_flops_is_refused(tmp_path):
    assert small(tmp_path / "good", library(tmp_path / "good.lib"))["cells"]["DFF"] == 1
    with pytest.raises(
        ToolchainError, match=r"poor\.lib does not suffice.*D flip-flops are not supported"
    ):
        small(tmp_path / "poor", library(tmp_path / "poor.lib", flip_flop=""))


@pytest.mark.parametrize("text", ["", "nonsense", "library(x) {", "library(x) { }", "\0\xff"])
def test_a_bad_library_is_refused_and_nothing_written(tmp_path, text):
    path = tmp_path / "bad.lib"
    path.write_text(text)
    said = refused("--preset", "tiny", "--liberty", path, "-o", tmp_path / "out")
    assert f"{path} is not a library of cells" in said
    assert list(tmp_path.iterdir()) == [path]


def test_what_stands_in_the_way_is_refused(tmp_path):
    out = tmp_path / "out"
    missing = tmp_path / "missing.lib"
    assert "no such file" in refused("--preset", "tiny", "--liberty", missing, "-o", out)
    assert "-o DIR" in refused("--preset", "tiny")
    assert "--model" in refused("--model", "x.thr", "-o", out)
    assert "unknown preset" in refused("--preset", "huge", "-o", out)
    (tmp_path / "mine.txt").write_text("keep")
    assert "which no export wrote" in refused("--preset", "tiny", "-o", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    result = CliRunner().invoke(main, ["build", "--export", "chips", "-o", str(out)])
    assert result.exit_code == 2
    assert "it can be" in result.stderr
    result = CliRunner().invoke(main, ["build", "--board", "arty", "--liberty", "x.lib"])
    assert result.exit_code == 2
    assert "--export asic" in result.stderr


def test_memories_that_no_wrapper_can_be_are_refused():
    full = Memory(shape=8, depth=4, init=[1])
    full.read_port()
    with pytest.raises(ConfigError, match="4 × 8 bits has contents at power-up"):
        Fragment.get(full, Macros())
    transparent = Memory(shape=8, depth=4, init=[])
    transparent.read_port(transparent_for=[transparent.write_port()])
    with pytest.raises(ConfigError, match="ports of another kind"):
        Fragment.get(transparent, Macros())


def test_names_tell_shapes_apart():
    base = Macro(8, 4, 1, 1, ("sync",))
    others = [
        dataclasses.replace(base, **change)
        for change in (
            {"width": 16},
            {"depth": 8},
            {"parts": 2},
            {"writes": 2},
            {"reads": ("async",)},
            {"reads": ("sync", "sync")},
        )
    ]
    assert len({macro.name for macro in (base, *others)}) == 7
    assert Macro(8, 1, 1, 1, ("sync",)).ports.keys() == {
        *("clk", "w0_en", "w0_data", "r0_en", "r0_data")
    }
