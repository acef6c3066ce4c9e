"""`thresher bench resources`."""

import dataclasses
import json
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from hw.boards import find
from hw.config import PRESETS
from sw import format as thr
from sw import networks
from sw.cli import boards, largest_grid, main
from sw.cli.blocks import Block, blocks, count_block
from sw.errors import BadInput


def resources(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["bench", "resources", *arguments])
    return result.exit_code, result.stdout, result.stderr


class TestBlocks:
    def test_names_and_copies(self):
        config = PRESETS["tiny"]
        copies = {name: block.copies for name, block in blocks(config, find("arty")).items()}
        assert copies["element"] == copies["element.queue"] == config.elements
        assert copies["feeder"] == copies["activations"] == config.groups
        assert copies["writeback.lane"] == config.lanes
        single = {"host", "sequencer", "counters", "writeback", "writeback.pool", "uart bridge"}
        assert {copies[name] for name in single} == {1}

    def test_what_is_in_none_of_the_parts(self):
        config, board = PRESETS["tiny"], find("arty")
        found = blocks(config, board)
        assert {name for name, block in found.items() if block.rest} == {
            f"{name}.rest" for name in ("engine", "grid", "element", "writeback")
        }
        rest = {name: count_block(block, "ecp5") for name, block in found.items() if block.rest}
        assert not any(rest["element.rest"].values())  # wires alone
        # Two counts of elements, each with a flag an element and two registers of three bits.
        assert rest["grid.rest"]["ff"] > 2 * (config.elements + 3 + 3)
        for used in rest.values():
            assert used["ebr"] == used["dsp"] == 0

    def test_a_block_is_the_same_wherever_it_lies(self):
        tiny, board = PRESETS["tiny"], find("arty")
        one = blocks(dataclasses.replace(tiny, lanes=1), board)
        four = blocks(tiny, board)
        for name in ("element.queue", "element.accumulate", "uart bridge"):
            assert one[name].rtlil == four[name].rtlil
        assert one["feeder"].rtlil != four["feeder"].rtlil


class TestVerb:
    def test_one_block(self):
        arguments = ("--lanes", "1", "--family", "ecp5", "--block", "uart bridge", "--json")
        status, out, err = resources(*arguments)
        assert status == 0, err
        (row,) = json.loads(out)["lanes"]
        shown = resources(*arguments[:-1])[1].split()
        assert {"LUT", "FF", "EBR", "DSP"} < set(shown)
        used = row["blocks"]["uart bridge"]["used"]
        assert (row["lanes"], row["groups"], row["family"]) == (1, 1, "ecp5")
        assert used["lut"] > 100
        assert used["dsp"] == used["ebr"] == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--lanes", "0"], "--lanes is '0'; it must be numbers above 0"),
            (["--lanes", "1,x"], "--lanes is '1,x'"),
            (["--seeds", ""], "--seeds is ''"),
            (["--lanes", "4,65"], "--lanes has 65; it must be from 1 to 64"),
            (["--groups", "0"], "--groups has 0; it must be from 1 to 64"),
            (["--lanes", "64", "--groups", "8", "--presets-only", "--route-lanes"], "is 512; it"),
            (["--board", "artyy"], "did you mean arty?"),
            (["--lanes", "1", "--block", "cache"], "there is no block 'cache': it can be engine, "),
            (["--write", "--lanes", "4", "--family", "xc7"], "leave out --lanes and --family"),
            (["--write", "--seeds", "1,2"], "--write writes the whole table: leave out --seeds"),
            (["--write", "--route-lanes", "--route", "--seeds", "1"], "leave out --seeds"),
            (["--write", "--route", "--nextpnr", "--threads 1"], "leave out --nextpnr"),
            (["--boards", "--nextpnr", ""], "--nextpnr would be ignored: nothing is routed"),
            (["--route", "--nextpnr", "--seed '1"], '--nextpnr is "--seed \'1": No closing quo'),
            (["--write", "--route-lanes", "--lanes", "4", "--groups", "2"], "leave out --groups"),
            (["--route", "--lanes", "4"], "--route takes the engine of ulx3s_85f as it is: leave "),
            (["--route", "--groups", "2", "--board", "arty"], "leave out --groups and --board"),
            (["--route", "--route-lanes", "--board", "arty"], "by --route-lanes"),
            (["--block", "element", "--seeds", "3"], "--seeds would be ignored: nothing is routed"),
            (["--boards", "--seeds", "1,2,3,4,5"], "--seeds would be ignored: nothing is routed"),
            (["--block", "element", "--presets-only", "--boards"], "--block would be ignored: no "),
            (["--presets-only", "--family", "xc7"], "--family would be ignored: no engine over "),
            (["--boards", "--lanes", "4"], "--lanes would be ignored: no engine over lanes is "),
            (["--largest", "--groups", "2", "--board", "arty"], "--groups would be ignored: no "),
            (["--boards", "--lanes", "4", "--seeds", "1"], "is counted and nothing is routed in"),
            (["--route-lanes", "--family", "ecp5"], "--family would be ignored: no engine over "),
        ],
    )
    def test_bad_input(self, arguments, message):
        status, out, err = resources(*arguments)
        assert (status, out) == (2, "")
        assert message in err.splitlines()[-1]


class TestRoutedPath:
    def test_where_it_goes(self):
        path = [
            ("clk-to-q", "a.engine.grid.element_0.memory.x", 2.0),
            ("routing", "a.engine.grid.element_0.accumulate.y", 1.0),
            ("logic", "a.engine.grid.element_0.accumulate.y", 0.5),
            ("routing", "a.engine.grid.element_0.accumulate.z", 0.5),
            ("setup", "a.engine.grid.element_0.accumulate.z", 0.0),
        ]
        assert boards._describe(path) == {
            "from": "a.engine.grid.element_0.memory.x",
            "to": "a.engine.grid.element_0.accumulate.z",
            "ns": {"clk-to-q": 2.0, "routing": 1.5, "logic": 0.5, "setup": 0.0},
            "blocks": {"grid.element_0.memory": 0.5, "grid.element_0.accumulate": 0.5},
        }


class TestLargestGrid:
    """The search, with blocks whose cost is given."""

    COST = MappingProxyType(
        {"element": 500, "feeder": 400, "activations": 100, "writeback": 300, "host": 600}
    )

    def lut(self, lanes, groups):
        """Of all blocks of a grid."""
        return 500 * lanes * groups + 500 * groups + 900

    @pytest.fixture
    def search(self, monkeypatch):
        def counted(block, family):
            name = block.rtlil
            return {"lut": self.COST[name], "ff": 1, "bram36": 0, "dsp": name == "element"}

        def search(share):
            """`share`: what the whole takes of its blocks."""

            def whole(design):
                lut = self.lut(design.config.lanes, design.config.groups)
                return {"lut": lut * share, "ff": 1, "bram36": 0, "dsp": design.config.elements}

            made = {name: Block(1, name) for name in self.COST}
            monkeypatch.setattr(largest_grid, "blocks", lambda config, board: made)
            monkeypatch.setattr(largest_grid, "count_block", counted)
            monkeypatch.setattr(largest_grid, "count_board", whole)
            network = thr.read(networks.LENET300100)
            return largest_grid.largest_grid(
                find("arty"), networks.LENET300100, network, lambda _: None, most=50
            )

        return search

    @pytest.mark.parametrize("share", [0.92, 1.0, 1.2])
    def test_no_larger_grid_fits(self, search, share):
        """Whether a whole takes less than its blocks or more."""
        found = search(share)
        assert found["elements"] == found["lanes"] * found["groups"]
        assert found["used"]["lut"] == self.lut(found["lanes"], found["groups"]) * share <= 20_800
        larger = [
            self.lut(lanes, elements // lanes) * share
            for elements in range(found["elements"] + 1, 51)
            for lanes in range(1, elements + 1)
            if elements % lanes == 0 and 1 / 8 <= lanes * lanes / elements <= 8
        ]
        assert min(larger) > 20_800
        assert all(grid["fits"] or grid["used"]["lut"] > 20_800 for grid in found["tried"])


def test_nothing_fits(monkeypatch):
    monkeypatch.setattr(largest_grid, "_candidates", lambda *_: [])
    network = thr.read(networks.LENET300100)
    with pytest.raises(BadInput, match=r"lenet300100-best\.thr: no engine .* fits the xc7a35t"):
        largest_grid.largest_grid(find("arty"), networks.LENET300100, network, lambda _: None)
