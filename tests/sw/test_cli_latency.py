"""`thresher bench latency` on a few images, and the designs that it is compared with."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from faulty import wrongly_packed

from hw.boards import BOARDS
from hw.config import PRESETS
from sim import golden
from sim.cycles import predict
from sw import datasets, networks
from sw import format as thr
from sw.cli import bench_latency, main
from sw.cli.fpga_comparison import recorded_builds
from sw.cli.resource_table import read_table, stamp
from sw.errors import BadInput
from sw.fpga_designs import published_designs, read_build
from sw.pack import pack

ARTY = PRESETS["arty_a7_35t"]


def run(*arguments):
    return CliRunner().invoke(main, ["bench", "latency", *map(str, arguments)])


def summary(**changed):
    """As `thresher build` writes it."""
    resources = {"lut": 10_000, "ff": 9_000, "bram36": 40, "dsp": 16}
    return {
        "board": "arty_a7_35t",
        "part": "xc7a35ticsg324-1L",
        "config": dataclasses.asdict(ARTY),
        "toolchain": "yosys",
        "clock_mhz": 50.0,
        "resources": {name: {"used": n, "available": n} for name, n in resources.items()},
        "fmax_mhz": None,
    } | changed


@pytest.fixture
def build(tmp_path):
    """Writes the folder of a build."""

    def write(**changed):
        (tmp_path / "summary.json").write_text(json.dumps(summary(**changed)))
        return tmp_path

    return write


@pytest.fixture(scope="module")
def images():
    """One more than a run takes, so that two runs share them."""
    return pack(thr.read(networks.LENET300100), ARTY).vectors + 1


@pytest.fixture(scope="module")
def record(images):
    result = run("--count", images, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_cycles_are_those_of_runs(record, images):
    """The cycle model, which the RTL equals, says the same."""
    network = thr.read(networks.LENET300100)
    image = pack(network, ARTY)
    pixels, labels = datasets.load("mnist", images)
    x = golden.quantise(network, pixels)
    predictions = [predict(image, one[None]) for one in x]
    single = [each.cycles for each in predictions]
    assert record["latency_cycles"] == {"mean": np.mean(single), "max": max(single)}
    parts = np.array_split(x, 2)
    row = [predict(image, part).cycles for part in parts]
    assert record["images_per_run"] == len(parts[0])
    assert record["throughput_cycles"] == {
        "mean": pytest.approx(sum(row) / images),
        "max": max(n / len(part) for n, part in zip(row, parts, strict=True)),
    }
    tensors = golden.run(network, x)
    assert record["products"] == pytest.approx(golden.products(network, x, tensors).mean())
    assert record["limit_cycles"] == pytest.approx(record["products"] / ARTY.elements)
    right = np.mean(tensors[-1].argmax(axis=1) == labels)
    assert (
        record["accuracy_percent"] == record["designs"][0]["accuracy_percent"] == 100 * right > 90
    )
    assert record["agrees_with_golden"]
    assert (record["network"], record["images"]) == ("lenet300100-best", images)
    assert (record["lanes"], record["groups"]) == (ARTY.lanes, ARTY.groups)
    assert [layer["name"] for layer in record["layers"]] == ["ip1", "ip2", "ip3"]
    for place, layer in enumerate(record["layers"]):
        cycles = [each.layers[place].counts.cycles for each in predictions]
        assert layer["cycles"] == pytest.approx(np.mean(cycles))


def test_through_axi_stream(record, images):
    """Image after image by the times that docs/integration.md states, which a bench asserts."""
    network, outputs = thr.read(networks.LENET300100), 10
    image = pack(network, ARTY)
    x = golden.quantise(network, datasets.load("mnist", images)[0])
    words = 4 * 25 * ARTY.groups  # of 8 activations each: 25 of 32 activations hold 784
    cycles = [
        5 * words + max(predict(image, one[None]).cycles + 9 * outputs + 14, 784 + 15) for one in x
    ]
    assert record["axi_stream_cycles"] == np.mean(cycles)
    ours, *_, last = record["designs"]
    assert ours["axi_stream_fps"] == pytest.approx(1e6 * ours["clock_mhz"] / np.mean(cycles))
    assert last["axi_stream_fps"] is None


def test_activations_that_streams_do_not_take():
    odd = dataclasses.replace(ARTY, activation_bits=12)
    image = dataclasses.replace(pack(thr.read(networks.LENET300100), ARTY), config=odd)
    assert bench_latency._axi_stream_cycles(image, np.array([200])) is None


def test_every_published_row_has_a_source(record):
    for row in record["designs"]:
        assert (row["source"] is None) == row["ours"]


def test_without_a_build_the_boards_clock_is_taken(record):
    ours = record["designs"][0]
    published = [design for design in record["designs"] if not design["ours"]]
    assert ours["ours"]
    hertz = BOARDS["arty_a7_35t"].clock_hz
    assert (ours["clock_mhz"], ours["clock_of"]) == (hertz / 1e6, "the board's clock, not routed")
    assert ours["fps"] == pytest.approx(hertz / record["throughput_cycles"]["mean"])
    assert ours["latency_ns"] == pytest.approx(1e9 * record["latency_cycles"]["mean"] / hertz)
    lfc = published[0]
    assert (lfc["design"], lfc["accuracy_percent"]) == ("BNN-PYNQ LFC W1A1 (FINN)", 98.4)
    assert lfc["fps_per_kilolut"] == pytest.approx(356_633 / 28.36)
    assert lfc["fps_per_bram36"] == pytest.approx(356_633 / 110)
    assert published[-1]["fps_per_kilolut"] is None


def test_beside_it_is_an_engine_at_a_routed_clock(record, images):
    """That of the ULX3S-85F, its cycles of the same images, its clock and LUTs those recorded."""
    network, config = thr.read(networks.LENET300100), PRESETS["ulx3s_85f"]
    routed = record["routed"]
    x = golden.quantise(network, datasets.load("mnist", images)[0])
    image = pack(network, config)
    single = [predict(image, one[None]).cycles for one in x]
    assert routed["latency_cycles"] == {"mean": np.mean(single), "max": max(single)}
    assert (routed["lanes"], routed["groups"]) == (config.lanes, config.groups)
    assert routed["agrees_with_golden"]
    (row,) = (row for row in record["designs"] if row["part"] == "LFE5U-85F-6BG381C")
    recorded = read_table()["routed"]
    assert row["clock_mhz"] == recorded["median_mhz"]
    assert row["lut"] == recorded["used"]["lut"]
    assert row["counted_by"] == "nextpnr"
    hertz = 1e6 * recorded["median_mhz"]
    assert row["fps"] == pytest.approx(hertz / routed["throughput_cycles"]["mean"])
    assert row["ours"]


def test_a_network_that_the_routed_engine_does_not_hold(monkeypatch, images):
    small = dataclasses.replace(PRESETS["ulx3s_85f"], entry_depth=100)
    monkeypatch.setattr(bench_latency, "board_config", lambda _board: small)
    result = run("--count", 1, "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert record["routed"] is None
    assert [row["part"] for row in record["designs"] if row["ours"]] == ["xc7a35ticsg324-1L"]
    assert "note: no row at a routed clock: lenet300100-best" in result.stderr


class TestRecordedBuilds:
    GRID: ClassVar = {"lanes": ARTY.lanes, "groups": ARTY.groups}
    ULX3S = PRESETS["ulx3s_85f"]

    @pytest.fixture
    def table(self):
        used = {"lut": 30_000, "ff": 1, "ebr": 80, "dsp": 32}
        routed = {
            "board": "ulx3s_85f",
            "part": "LFE5U-85F-6BG381C",
            "lanes": self.ULX3S.lanes,
            "groups": self.ULX3S.groups,
            "options": "",
            "median_mhz": 101.5,
            "seeds": [{}, {}, {}],
            "used": used,
        }
        counted = {"lut": 16_000, "ff": 1, "bram36": 43, "dsp": 32}
        return {
            "yosys": "pyosys 1",
            "boards": {"arty_a7_35t": {**self.GRID, "used": counted}},
            "routed": routed,
            "routed_lanes": [
                routed | {"lanes": lanes, "groups": 1, "median_mhz": 90.0 + lanes}
                for lanes in (4, 8)
            ],
            "measured": {name: stamp(name) for name in ("boards", "routed", "routed_lanes")},
        }

    def test_clock_and_resources(self, table):
        (build,) = recorded_builds(ARTY, BOARDS["arty_a7_35t"], table)
        assert (build.lut, build.bram36, build.counted_by) == (16_000, 43, "pyosys 1")
        assert build.clock_of == "the board's clock, not routed"
        (build,) = recorded_builds(self.ULX3S, BOARDS["ulx3s_85f"], table)
        assert (build.lut, build.bram36, build.clock_mhz) == (30_000, 40, 101.5)
        assert build.clock_of == "median Fmax of 3 seeds, routed by nextpnr"

    def test_an_engine_routed_over_lanes(self, table):
        wide = dataclasses.replace(ARTY, lanes=8, groups=1)
        (build,) = recorded_builds(wide, None, table)
        assert (build.name, build.clock_mhz) == ("ulx3s_85f", 98.0)
        other = table["routed_lanes"][-1] | {"options": "--router router2", "median_mhz": 1.0}
        table["routed_lanes"].append(other)
        assert recorded_builds(wide, None, table) == [build]
        assert build.config == dataclasses.asdict(wide)
        smaller = dataclasses.replace(wide, entry_depth=ARTY.entry_depth // 2)
        assert recorded_builds(smaller, None, table) == [build]
        larger = dataclasses.replace(wide, entry_depth=ARTY.entry_depth + 1)
        other = dataclasses.replace(wide, queue_depth=8)
        assert recorded_builds(larger, None, table) == recorded_builds(other, None, table) == []

    def test_of_other_hardware(self, table):
        for section in table["measured"]:
            table["measured"][section] = "of another day"
        (build,) = recorded_builds(ARTY, BOARDS["arty_a7_35t"], table)
        assert build.counted_by == "pyosys 1 before the hardware changed"
        (build,) = recorded_builds(self.ULX3S, BOARDS["ulx3s_85f"], table)
        assert build.clock_of.endswith("routed by nextpnr before the hardware changed")

    def test_a_preset_that_has_another_grid_now(self, table):
        table["boards"]["arty_a7_35t"]["lanes"] += 1
        table["routed"]["lanes"] += 1
        (build,) = recorded_builds(ARTY, BOARDS["arty_a7_35t"], table)
        assert build.lut is None
        (build,) = recorded_builds(self.ULX3S, BOARDS["ulx3s_85f"], table)
        assert build.clock_of == "the board's clock, not routed"


def test_a_build_gives_clock_and_resources(build):
    result = run("--count", 1, "--build", build(), "--json")
    assert result.exit_code == 0, result.output
    design = json.loads(result.stdout)["designs"][0]
    assert (design["lut"], design["bram36"], design["counted_by"]) == (10_000, 40, "yosys")
    assert design["fps_per_kilolut"] == pytest.approx(design["fps"] / 10)
    assert design["fps_per_bram36"] == pytest.approx(design["fps"] / 40)


def test_tables(build):
    result = run("--count", 1, "--build", build(), "--clock-mhz", 100)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "every output equal, to the bit" in result.stdout
    said = " ".join(result.stdout.split())
    assert "xc7a35ticsg324-1L: at 100 MHz, as asked for; resources counted by yosys." in said
    assert "│ at 100 MHz │" in said
    for design in published_designs():
        assert any(line.startswith((f"│{design.design} ", f"│{design.design}│")) for line in lines)


def test_a_routed_build_on_an_ecp5(build):
    used = {"lut": 30_000, "ff": 1, "ebr": 63, "dsp": 16}
    resources = {name: {"used": n, "available": n} for name, n in used.items()}
    found = read_build(build(toolchain="nextpnr", fmax_mhz=66.4, resources=resources))
    assert (found.clock_mhz, found.clock_of) == (66.4, "Fmax, routed by nextpnr")
    assert (found.lut, found.bram36) == (30_000, 31.5)


def test_outputs_that_differ_are_an_error(monkeypatch):
    monkeypatch.setattr(bench_latency, "pack_file", wrongly_packed)
    result = run("--count", 1)
    assert result.exit_code == 1
    assert "golden model: DIFFERS" in result.stdout
    assert "lenet300100-best differs from the golden model: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--net", "lenet"], "network 'lenet' is neither a .thr file nor one of lenet300100-best,"),
        (["--net", "none.thr"], "none.thr"),
        (["--count", 0], "0 images of mnist are asked for; it must be 1 or more"),
        (["--clock-mhz", 0], "--clock-mhz is 0; it must be a finite number above 0"),
        (["--clock-mhz", "nan"], "--clock-mhz is nan; it must be a finite number above 0"),
        (["--clock-mhz", "inf"], "--clock-mhz is inf; it must be a finite number above 0"),
        (["--build", "none"], "none is no folder of a build: it has no summary.json"),
        (["--board", "none"], "unknown board 'none'"),
    ],
)
def test_refusals(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_build_of_another_engine_is_refused(build):
    config = dataclasses.asdict(ARTY) | {"queue_depth": 7, "entry_depth": 4}
    result = run("--count", 1, "--build", build(config=config))
    assert result.exit_code == 2
    message = f"is a build with queue_depth = 7, the engine that is run has {ARTY.queue_depth}"
    assert message in result.stderr


def test_a_damaged_summary_is_refused(build):
    folder = build(resources={})
    with pytest.raises(BadInput, match="is not a build's summary: KeyError"):
        read_build(folder)
