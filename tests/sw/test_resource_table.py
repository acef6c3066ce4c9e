"""The checked-in table of what the engine costs: no change moves its figures unseen."""

import copy
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from hw.boards import BOARDS, find
from hw.config import PRESETS
from hw.toolchains import nextpnr
from sw import networks
from sw.cli import bench_resources, blocks, resource_table

TABLE = resource_table.read_table()
PRESET_FAMILIES = [
    (name, family)
    for name in resource_table.PRESETS_COUNTED
    for family in resource_table.families(name)
]
ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "resources.md"
STALE = "*The hardware has changed since this was measured.*"


def is_held(family, name):
    """Every block of ECP5s; of the 7 series, where each takes Yosys five times as long, the most.

    Write-back is held part by part there, elements as a whole.
    """
    return family == "ecp5" or not (name == "writeback" or name.startswith("element."))


class TestTable:
    def test_has_every_preset_and_family(self):
        counted = [
            (preset, family) for preset in TABLE["presets"] for family in TABLE["presets"][preset]
        ]
        assert counted == PRESET_FAMILIES, resource_table.REWRITE

    def test_an_element_of_the_arty_has_350_lut_at_most(self):
        assert TABLE["presets"]["arty_a7_35t"]["xc7"]["element"]["used"]["lut"] <= 350

    def test_the_ulx3s_is_routed_at_100_mhz_and_more(self):
        routed = TABLE["routed"]
        assert (routed["lanes"], routed["groups"]) == (4, 4)
        clocks = sorted(seed["fmax_mhz"] for seed in routed["seeds"])
        assert len(clocks) == 5
        assert clocks[2] == routed["median_mhz"] >= 100

    def test_engines_are_counted_over_lanes(self):
        counted = {(row["lanes"], row["groups"]) for row in TABLE["lanes"]}
        assert counted == {(lanes, 1) for lanes in (1, 4, 8, 16, 32)}

    def test_the_arty_has_room_for_32_elements_beside_lenet_300_100(self):
        largest = TABLE["largest"]
        assert largest["board"] == "arty_a7_35t"
        assert largest["network"] == networks.LENET300100.name
        assert largest["lanes"] * largest["groups"] == largest["elements"] >= 32
        for name, used in largest["used"].items():
            assert 0 < used <= largest["capacity"][name] == BOARDS["arty_a7_35t"].capacity[name]

    def test_document_says_what_is_not_routed(self):
        few = [row for row in TABLE["routed_lanes"] if row["lanes"] in (1, 8)]
        text = resource_table.document({**TABLE, "routed_lanes": few})
        assert "\nNot routed: 4 × 1, 16 × 1, 32 × 1.\n" in text
        all_of_them = [{**few[0], "lanes": lanes} for lanes in (1, 4, 8, 16, 32)]
        text = resource_table.document({**TABLE, "routed_lanes": all_of_them})
        assert "Not routed" not in text

    @pytest.mark.parametrize(("preset", "family"), PRESET_FAMILIES)
    def test_presets_cost_what_it_says(self, preset, family):
        named = functools.partial(is_held, family)
        counted = resource_table.count_preset(preset, family, named)
        table = TABLE["presets"][preset][family]
        moved = resource_table.differences(f"{preset}, {family}", counted, table)
        moved += [
            f"{preset}, {family}: {name} is no longer counted"
            for name in table.keys() - counted.keys()
            if named(name)
        ]
        moved.append(f"if that is meant: {resource_table.REWRITE}")
        assert len(moved) == 1, "\n".join(moved)

    def test_every_block_is_held_somewhere(self):
        rows = [(f, name) for p, f in PRESET_FAMILIES for name in TABLE["presets"][p][f]]
        held = {name for family, name in rows if is_held(family, name)}
        assert held == {name for _, name in rows}

    def test_document_is_made_from_it(self):
        assert DOCUMENT.read_text() == resource_table.document(TABLE), resource_table.REWRITE


class TestDifferences:
    ROW = MappingProxyType({"copies": 4, "used": {"lut": 200, "ff": 100, "dsp": 0}})

    def moved(self, **used):
        row = {"copies": 4, "used": self.ROW["used"] | used}
        table = {"element": self.ROW}
        return resource_table.differences("tiny, xc7", {"element": row}, table)

    def test_within_three_per_cent(self):
        assert self.moved(lut=206, ff=97) == []

    def test_beyond(self):
        assert self.moved(lut=207) == ["tiny, xc7: element takes 207 LUT, not 200 (+3.5%)"]
        assert self.moved(ff=96) == ["tiny, xc7: element takes 96 FF, not 100 (-4.0%)"]

    def test_from_nothing(self):
        assert self.moved(dsp=1) == ["tiny, xc7: element takes 1 DSP, not 0"]

    def test_copies(self):
        moved = resource_table.differences(
            "tiny, xc7", {"element": self.ROW}, {"element": self.ROW | {"copies": 5}}
        )
        assert moved == ["tiny, xc7: copies of element are 4, not 5"]

    def test_new_block(self):
        moved = resource_table.differences("tiny, xc7", {"cache": self.ROW}, {"element": self.ROW})
        assert moved == ["tiny, xc7: cache is not in the table"]


class TestBoards:
    def test_each_fits_its_part(self):
        for name, row in TABLE["boards"].items():
            preset, capacity = PRESETS[BOARDS[name].preset], BOARDS[name].capacity
            assert (row["lanes"], row["groups"]) == (preset.lanes, preset.groups)
            assert row["used"].keys() == capacity.keys()
            over = {key: n for key, n in row["used"].items() if not 0 < n <= capacity[key]}
            assert not over, f"{name}: {over} of {capacity}"

    def test_used_of_what_there_is(self):
        board = BOARDS["arty_a7_35t"]
        used = {"lut": 20_001, "ff": 5, "bram36": 4.5, "dsp": 3}
        said = "20,001 of 20,800 LUT, 5 of 41,600 FF, 4.5 of 50 BRAM36, 3 of 90 DSP"
        assert resource_table.used_words(used, board.capacity) == said
        row = {"lanes": 1, "groups": 1, "used": used}
        table = {**TABLE, "boards": {"arty_a7_35t": row}}
        assert f"- arty_a7_35t, 1 × 1 elements: {said}\n" in resource_table.document(table)


def sections(text):
    """Heading -> text below it, of a document."""
    parts = text.split("\n## ")[1:]
    return {part.partition("\n")[0]: part for part in parts}


class TestStamp:
    def test_document_tells_which_sections_are_stale(self):
        table = copy.deepcopy(TABLE)
        table["measured"] = {name: resource_table.stamp(name) for name in table["measured"]}
        assert STALE not in resource_table.document(table)
        table["measured"]["boards"] = "of another day"
        stale = sections(resource_table.document(table))
        assert [name for name, text in stale.items() if STALE in text] == ["Whole boards"]
        assert stale["Whole boards"].splitlines()[:3] == ["Whole boards", "", STALE]
        table["measured"]["presets"] = "of another day"
        stale = sections(resource_table.document(table))
        noted = [name for name, text in stale.items() if text.splitlines()[2] == STALE]
        assert noted == [*(name for name in stale if name.startswith("Preset")), "Whole boards"]
        assert len(noted) == 1 + len(PRESET_FAMILIES)

    def test_it_is_the_logic_that_counts(self, tmp_path):
        """Comments do not change it, one knob, one constant, or another divisor do."""
        hardware = tmp_path / "hw"
        shutil.copytree(ROOT / "hw", hardware, ignore=shutil.ignore_patterns("__pycache__"))
        for package in ("sim", "sw"):
            (tmp_path / package).symlink_to(ROOT / package)

        def digests():
            code = "from sw.cli.blocks import logic_digest as d; print(d('tiny'), d('ice40hx8k'))"
            env = {
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "THRESHER_BUILD": str(tmp_path / "build"),
            }
            command = [sys.executable, "-c", code]
            done = subprocess.run(
                command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True
            )
            return done.stdout.split()

        presets = ("tiny", "ice40hx8k")
        file = hardware / "engine" / "feeder.py"
        file.write_text(f"# A comment.\n\n{file.read_text()}")
        (hardware / "unrelated.py").write_text("x = 1\n")
        assert digests() == [blocks.logic_digest(preset) for preset in presets]
        config = hardware / "config.py"
        config.write_text(config.read_text().replace("entry_depth=512", "entry_depth=1024"))
        board = hardware / "boards" / "hx8k.py"
        board.write_text(board.read_text().replace("clock_hz=", "baud=500_000, clock_hz="))
        for digest, preset in zip(digests(), presets, strict=True):
            assert digest != blocks.logic_digest(preset)


class TestWrite:
    @pytest.fixture
    def checkout(self, tmp_path, monkeypatch):
        """Where the table and the document are, copies of those of the checkout."""
        file = tmp_path / "sw" / "data" / "resources.json"
        for path, source in (
            (file, resource_table.table_file()),
            (tmp_path / "docs" / "resources.md", DOCUMENT),
        ):
            path.parent.mkdir(parents=True)
            shutil.copy(source, path)
        for module in (bench_resources, resource_table):
            monkeypatch.setattr(module, "table_file", lambda: file)
        return tmp_path

    def test_what_was_not_measured_is_kept(self, checkout):
        measured = copy.deepcopy(TABLE["boards"])
        measured["ulx3s_85f"]["used"]["lut"] += 1
        stamps = {section: f"stamp of {section}" for section in resource_table.SECTIONS}
        record = {"yosys": "pyosys 0.99", "boards": measured, "routed_lanes": [ROUTED]}
        file, shown = bench_resources._write(record, stamps)
        assert (file.parents[2], shown) == (checkout, checkout / "docs" / "resources.md")
        table = resource_table.read_table()
        assert shown.read_text() == resource_table.document(table)
        assert list(table)[-1] == "measured"
        assert {name: table[name] for name in record} == record
        new = ("boards", "routed_lanes")
        for section in resource_table.SECTIONS:
            if section in new:
                assert table["measured"][section] == f"stamp of {section}"
            elif section in TABLE:
                assert table[section] == TABLE[section]
                assert table["measured"][section] == TABLE["measured"][section]
            else:
                assert section not in table["measured"]

    @pytest.mark.parametrize("stamp", ["today", "before"])
    def test_routed_engines_are_added(self, checkout, stamp):
        def routed(lanes, *clocks):
            seeds = [{**ROUTED["seeds"][0], "seed": n, "fmax_mhz": mhz} for n, mhz in clocks]
            return {**ROUTED, "lanes": lanes, "seeds": seeds}

        def write(measured, *rows):
            stamps = {"routed_lanes": measured}
            bench_resources._write({"yosys": "pyosys 0.99", "routed_lanes": list(rows)}, stamps)

        write(stamp, routed(16, (1, 80.0), (2, 70.0)), routed(1, (1, 99.0)))
        write("today", routed(16, (3, 90.5), (2, 85.0)), routed(8, (7, 50.0)))
        rows = resource_table.read_table()["routed_lanes"]
        shown = [(row["lanes"], row["median_mhz"], row["best_mhz"]) for row in rows]
        if stamp == "today":
            assert shown == [(1, 99.0, 99.0), (8, 50.0, 50.0), (16, 85.0, 90.5)]
            assert [each["seed"] for each in rows[-1]["seeds"]] == [1, 2, 3]
        else:  # figures of two hardwares do not mix
            assert [row["lanes"] for row in rows] == [16, 8]
            assert [each["seed"] for each in rows[0]["seeds"]] == [3, 2]

    def test_options_of_nextpnr_do_not_mix(self):
        other = {
            **ROUTED,
            "options": "--router router2",
            "seeds": [{**ROUTED["seeds"][0], "fmax_mhz": 50.0}],
        }
        rows = resource_table.merge_routes([other], [ROUTED])
        shown = [(row["options"], row["median_mhz"]) for row in rows]
        assert shown == [("", 95.5), ("--router router2", 50.0)]

    def test_nothing_is_written_where_there_are_no_documents(self, checkout):
        before = resource_table.table_file().read_text()
        shutil.rmtree(checkout / "docs")
        with pytest.raises(bench_resources.BadInput, match=r"there is no folder .*docs"):
            bench_resources._write({"yosys": "pyosys 0.99"}, {})
        assert resource_table.table_file().read_text() == before


ROUTED = {
    "board": "ulx3s_85f",
    "part": "LFE5U-85F-6BG381C",
    "lanes": 4,
    "groups": 1,
    "target_mhz": 90.0,
    "used": {"lut": 9000, "ff": 6000, "ebr": 30, "dsp": 4},
    "options": "",
    "median_mhz": 95.5,
    "best_mhz": 97.25,
    "seeds": [
        {"seed": seed, "fmax_mhz": mhz, "slowest": {"blocks": {"engine.host": 0.6, "": 0.4}}}
        for seed, mhz in ((1, 95.5), (2, 90.0), (3, 97.25))
    ],
}


def report(mhz):
    """What nextpnr reports of a design with one clock, and one path that sets it."""

    def step(kind, cell, delay):
        return {"type": kind, "delay": delay, "to": {"cell": cell}, "from": {"cell": cell}}

    path = [
        step("clk-to-q", "accelerator.engine.host.state", 0.5),
        step("routing", "accelerator.engine.grid.element_0.queue.level", 7.25),
        step("setup", "accelerator.engine.grid.element_0.queue.level", 0.0),
    ]
    sites = {"TRELLIS_COMB": 4000, "TRELLIS_FF": 3000, "DP16KD": 2, "MULT18X18D": 1}
    return json.dumps(
        {
            "utilization": {name: {"used": used} for name, used in sites.items()},
            "fmax": {"clk": {"achieved": mhz, "constraint": 90.0}},
            "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": path}],
        }
    )


class TestRoute:
    """The smallest of engines, really synthesised; nextpnr's reports are given."""

    CONFIG = dataclasses.replace(
        PRESETS["tiny"],
        lanes=1,
        queue_depth=6,
        activation_bits=8,
        weight_bits=8,
        accumulator_bits=24,
        entry_depth=64,
        column_depth=64,
        segment_depth=16,
        activation_depth=64,
        accumulator_depth=4,
        codebook_depth=16,
        bias_depth=16,
        layer_depth=2,
    )

    def test_row_and_what_is_said_of_it(self, tmp_path, monkeypatch):
        clocks = {3: 100.125, 1: 96.5, 7: 120.0}
        asked = []

        def route(folder, commands, seed, options):
            assert (folder / "top.json").stat().st_size > 100_000  # the netlist
            assert any(command[0] == "nextpnr-ecp5" for command in commands)
            asked.append((seed, *options))
            return report(clocks[seed])

        monkeypatch.setenv("THRESHER_BUILD", str(tmp_path))
        monkeypatch.setattr(nextpnr, "route", route)
        row = bench_resources._route(self.CONFIG, tuple(clocks), "", lambda _: None)
        again = bench_resources._route(self.CONFIG, (1,), "", lambda _: None)
        assert again["median_mhz"] == 96.5
        other = bench_resources._route(self.CONFIG, (7,), "--router router2", lambda _: None)
        # What is known is not routed again, unless it is with other options.
        assert asked == [*((seed,) for seed in clocks), (7, "--router", "router2")]
        assert (row["options"], other["options"]) == ("", "--router router2")
        board = find("ulx3s")
        assert (row["board"], row["part"]) == (board.name, board.part)
        assert (row["lanes"], row["groups"], row["target_mhz"]) == (1, 1, board.clock_hz / 1e6)
        assert row["used"] == {"lut": 4000, "ff": 3000, "ebr": 2, "dsp": 1}
        assert (row["median_mhz"], row["best_mhz"]) == (100.12, 120.0)
        assert [(each["seed"], each["fmax_mhz"]) for each in row["seeds"]] == [
            (3, 100.12),
            (1, 96.5),
            (7, 120.0),
        ]
        names = ("routed", "routed_lanes")
        measured = TABLE["measured"] | {name: resource_table.stamp(name) for name in names}
        table = {**TABLE, "routed": row, "routed_lanes": [other, ROUTED], "measured": measured}
        said = sections(resource_table.document(table))
        routed = said["Routed on the LFE5U-85F-6BG381C"]
        assert "1 × 1 elements, by nextpnr with 90 MHz as its aim: median 100.12 MHz" in routed
        ends = "`accelerator.engine.host.state` to `accelerator.engine.grid.element_0.queue.level`"
        assert f"| 1 | 96.5 | {ends} | 0.5 | 7.25 |" in routed
        over_lanes = said["Routed over lanes"]
        assert (
            "| 1 × 1 | `--router router2` | 1 | 120.0 | 120.0 | 4,000 | 3,000 | 2 | 1 "
            "| grid.element_0.queue |" in over_lanes
        )
        assert (
            "| 4 × 1 | as in a build | 3 | 95.5 | 97.25 | 9,000 | 6,000 | 30 | 4 | host |"
            in over_lanes
        )
        assert STALE not in routed + over_lanes
