"""This project's engine beside published FPGA designs: images per second, and what they cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from hw import boards
from hw.config import MEMORY_DEPTHS, PRESETS, AcceleratorConfig
from sw.errors import BadInput
from sw.fpga_designs import (
    BOARD_CLOCK,
    Build,
    FpgaDesign,
    published_designs,
    read_build,
    resources_of,
)

from .resource_table import ROUTED, VARIED, is_stale, read_table

__all__ = [
    "choose_builds",
    "compare",
    "designs_table",
    "differences",
    "published",
    "recorded_builds",
    "say_build",
    "say_sources",
]

_DIFFERENCES = (
    "Thresher's engine takes any network that fits its memories, without a new bitstream.",
    "Published rows are other networks, most with binary or ternary weights; Thresher's has "
    "{weight_bits}-bit shared weights and {activation_bits}-bit activations.",
    "Thresher's images/s are clock / cycles: from the start to the last output written, with the "
    "inputs on the chip. No interface of the project brings them there as fast: through the "
    "fastest, AXI4-Stream (`thresher build --export axi`), an image takes the cycles above, which "
    "are computed, and images/s at the same clock are those under AXI4-Stream. Published rows "
    "count as their authors do.",
    "Thresher's figures are of simulation and of the tools named above; nothing has run on "
    "hardware.",
    "A LUT of an ECP5 has 4 inputs, one of a 7-series 6; two block RAMs of an ECP5 count as one "
    "BRAM36.",
    "Thresher's accuracy is that of the first {images:,} test images; that of published rows is "
    "as published, of other numbers of images; README.md has ours of all 10,000.",
)


def differences(config: AcceleratorConfig, images: int) -> list[str]:
    """What makes the designs differ, in plain sentences.

    Parameters
    ----------
    images : that were run
    """
    return [text.format(images=images, **dataclasses.asdict(config)) for text in _DIFFERENCES]


def choose_builds(
    config: AcceleratorConfig, board: str | None, folders: Sequence[Path], clock_mhz: float | None
) -> list[Build]:
    """Builds of an engine: those in the folders; else those recorded; else the board's clock.

    Parameters
    ----------
    board : its name; None if no board was chosen
    folders : of builds of this engine
    clock_mhz : clock to compare at, whatever that of the builds is

    Raises
    ------
    BadInput
        If the clock is none, or a folder has no build, or one of another engine.
    """
    if clock_mhz is not None and not 0 < clock_mhz < math.inf:
        raise BadInput(f"--clock-mhz is {clock_mhz:g}; it must be a finite number above 0")
    builds = []
    for folder in folders:
        build = read_build(folder)
        knob = _differs(config, build.config)
        if knob is not None:
            raise BadInput(
                f"{folder} is a build with {knob} = {build.config.get(knob)}, the engine that is "
                f"run has {getattr(config, knob)}; name its board, or another build"
            )
        builds.append(build)
    if not builds:
        found = None if board is None else boards.find(board)
        builds = recorded_builds(config, found, read_table())
    if not builds and clock_mhz is not None:
        knobs = dataclasses.asdict(config)
        builds = [Build("simulated", "simulated", knobs, clock_mhz, "")]
    if clock_mhz is not None:
        builds = [
            dataclasses.replace(build, clock_mhz=clock_mhz, clock_of="as asked for")
            for build in builds
        ]
    return builds


def _differs(config: AcceleratorConfig, built: Mapping[str, Any]) -> str | None:
    """A knob in which another engine takes other cycles; the depths of memories do not matter."""
    for knob, value in dataclasses.asdict(config).items():
        matters = knob not in (*MEMORY_DEPTHS, "shared_tables")
        if matters and built.get(knob) != value:
            return knob
    return None


def recorded_builds(
    config: AcceleratorConfig, board: boards.Board | None, table: Mapping[str, Any]
) -> list[Build]:
    """The board's build, and those that were routed, as far as their engines are this one.

    Parameters
    ----------
    board : whose clock is taken where no engine like this one was routed for it
    table : see `sw.cli.resource_table.read_table`
    """
    builds = {} if board is None else {board.name: _of_board(config, board, table)}
    rows = [("routed_lanes", VARIED, row) for row in table.get("routed_lanes", [])]
    if "routed" in table:
        rows.append(("routed", ROUTED, table["routed"]))
    for section, like, row in rows:
        if row["options"]:
            continue  # no build routes so
        grid = {"lanes": row["lanes"], "groups": row["groups"]}
        built = dataclasses.replace(PRESETS[boards.BOARDS[like].preset], **grid)
        if _differs(config, dataclasses.asdict(built)) is None and _holds(built, config):
            builds[row["board"]] = _routed(built, row, _since(table, section))
    return list(builds.values())


def _holds(built: AcceleratorConfig, config: AcceleratorConfig) -> bool:
    """Whether no memory of an engine is smaller than the other's."""
    return all(getattr(built, knob) >= getattr(config, knob) for knob in MEMORY_DEPTHS)


def _since(table: Mapping[str, Any], section: str) -> str:
    """What to say of figures that today's hardware might not have."""
    return " before the hardware changed" if is_stale(table, section) else ""


def _of_board(config: AcceleratorConfig, board: boards.Board, table: Mapping[str, Any]) -> Build:
    """The board's own engine at the board's clock; its resources if it is the engine asked for."""
    knobs = dataclasses.asdict(PRESETS[board.preset])
    build = Build(board.name, board.part, knobs, board.clock_hz / 1e6, BOARD_CLOCK)
    counted = table.get("boards", {}).get(board.name)
    if counted is None or (counted["lanes"], counted["groups"]) != (config.lanes, config.groups):
        return build
    counted_by = table["yosys"] + _since(table, "boards")
    return dataclasses.replace(build, counted_by=counted_by, **resources_of(counted["used"]))


def _routed(built: AcceleratorConfig, row: Mapping[str, Any], since: str) -> Build:
    """An engine as it was routed, with the median of its clocks."""
    return Build(
        name=row["board"],
        part=row["part"],
        config=dataclasses.asdict(built),
        clock_mhz=row["median_mhz"],
        clock_of=f"median Fmax of {len(row['seeds'])} seeds, routed by nextpnr{since}",
        counted_by="nextpnr",
        **resources_of(row["used"]),
    )


def compare(record: Mapping[str, Any], builds: Sequence[Build]) -> list[dict[str, Any]]:
    """Records of this project's design, as each build has it; see `published`.

    Parameters
    ----------
    record : cycles and accuracy of the engine, as `thresher bench latency` has them
    """
    designs = []
    for build in builds:
        hertz = 1e6 * build.clock_mhz
        design = FpgaDesign(
            design=f"Thresher, {record['lanes']} × {record['groups']}",
            part=build.part,
            lut=build.lut,
            bram36=build.bram36,
            dsp=build.dsp,
            accuracy_percent=record["accuracy_percent"],
            fps=hertz / record["throughput_cycles"]["mean"],
            latency_ns=1e9 * record["latency_cycles"]["mean"] / hertz,
            clock_mhz=build.clock_mhz,
        )
        streamed = record["axi_stream_cycles"]
        designs.append(_design(design, build, hertz / streamed if streamed else None))
    return designs


def published() -> list[dict[str, Any]]:
    """Records of the published designs."""
    return [_design(design) for design in published_designs()]


def _design(
    design: FpgaDesign, build: Build | None = None, axi_stream_fps: float | None = None
) -> dict[str, Any]:
    return {
        **dataclasses.asdict(design),
        "axi_stream_fps": axi_stream_fps,
        "fps_per_kilolut": design.fps_per_kilolut,
        "fps_per_bram36": design.fps_per_bram36,
        "ours": build is not None,
        "clock_of": None if build is None else build.clock_of,
        "counted_by": None if build is None else build.counted_by,
    }


def say_build(row: Mapping[str, Any]) -> str:
    """Where the clock and the resources of a row of ours come from."""
    counted = "resources not counted"
    if row["counted_by"] is not None:
        counted = f"resources counted by {row['counted_by']}"
    return (
        f"{row['design']}, {row['part']}: at {row['clock_mhz']:g} MHz, {row['clock_of']}; "
        f"{counted}."
    )


def say_sources(record: Mapping[str, Any]) -> list[str]:
    """What published rows are, and where each comes from."""
    by_source: dict[str, list[str]] = {}
    for row in record["designs"]:
        if not row["ours"]:
            by_source.setdefault(row["source"], []).append(row["design"])
    named = [f"{', '.join(names)}: {source}" for source, names in by_source.items()]
    return [f"Published rows: {record['source']}", *named]


def designs_table(designs: Sequence[Mapping[str, Any]]) -> Table:
    """The designs for people, at most 100 characters wide."""
    table = Table(pad_edge=False, padding=(0, 0))
    table.add_column("design, and its part")
    for heading in (
        "LUT",
        "BRAM36",
        "DSP",
        "right\n%",
        "images/s\non chip",
        "AXI4-\nStream",
        "per 1,000\nLUT",
        "per\nBRAM36",
        "one in\nµs",
    ):
        table.add_column(heading, justify="right")
    last = sum(row["ours"] for row in designs) - 1
    for place, row in enumerate(designs):
        nanoseconds = row["latency_ns"]
        clock = ""
        if row["ours"]:
            unproven = ", not routed" if row["clock_of"] == BOARD_CLOCK else ""
            clock = f"\n  at {row['clock_mhz']:g} MHz{unproven}"
        table.add_row(
            f"{row['design']}\n  {row['part']}{clock}",
            _number(row["lut"], ","),
            _number(row["bram36"], ",g"),
            _number(row["dsp"], ","),
            _number(row["accuracy_percent"], ".2f"),
            _number(row["fps"], ",.0f"),
            _number(row["axi_stream_fps"], ",.0f"),
            _number(row["fps_per_kilolut"], ",.0f"),
            _number(row["fps_per_bram36"], ",.0f"),
            _number(None if nanoseconds is None else nanoseconds / 1000, ".2f"),
            end_section=place == last,
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
