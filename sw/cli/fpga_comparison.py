"""This project's engine beside published FPGA designs: images per second, and what they cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from hw import boards
from hw.config import PRESETS, AcceleratorConfig
from sw.errors import BadInput
from sw.fpga_designs import (
    BOARD_CLOCK,
    Build,
    FpgaDesign,
    published_designs,
    read_build,
    resources_of,
)

from .resource_table import is_stale, read_table

__all__ = [
    "choose_builds",
    "compare",
    "designs_table",
    "differences",
    "recorded_builds",
    "say_build",
]

_DIFFERENCES = (
    "Thresher's engine takes any network that fits its memories, without a new bitstream.",
    "Published rows are other networks, most with binary or ternary weights; Thresher's has "
    "{weight_bits}-bit shared weights and {activation_bits}-bit activations.",
    "Thresher's images/s are clock / cycles: from the start to the last output written, with the "
    "inputs on the chip; the link to a host is not in them. Published rows count as their authors "
    "do.",
    "Thresher's figures are of simulation and of the tools named above; nothing has run on "
    "hardware.",
    "A LUT of an ECP5 has 4 inputs, one of a 7-series 6; two block RAMs of an ECP5 count as one "
    "BRAM36.",
    "Thresher's accuracy is that of this run's images, that of published rows as published.",
)


def differences(config: AcceleratorConfig) -> list[str]:
    """What makes the designs differ, in plain sentences."""
    return [text.format(**dataclasses.asdict(config)) for text in _DIFFERENCES]


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
        raise BadInput(f"--clock-mhz is {clock_mhz:g}; it must be above 0")
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
    if not builds and board is not None:
        builds = recorded_builds(config, boards.find(board), read_table())
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
        matters = knob == "queue_depth" or knob.endswith("_bits") or knob in ("lanes", "groups")
        if matters and built.get(knob) != value:
            return knob
    return None


def recorded_builds(
    config: AcceleratorConfig, board: boards.Board, table: Mapping[str, Any]
) -> list[Build]:
    """The board's build, and the routed one, as far as their engines are this one.

    Parameters
    ----------
    table : see `sw.cli.resource_table.read_table`
    """
    builds = {board.name: _build(board, board.clock_hz / 1e6, BOARD_CLOCK)}
    counted = table.get("boards", {}).get(board.name)
    if counted is not None and (counted["lanes"], counted["groups"]) == (
        config.lanes,
        config.groups,
    ):
        builds[board.name] = dataclasses.replace(
            builds[board.name], counted_by=table["yosys"], **resources_of(counted["used"])
        )
    routed = table.get("routed")
    if routed is not None:
        found = boards.find(routed["board"])
        clock_of = f"median Fmax of {len(routed['seeds'])} seeds, routed by nextpnr"
        if is_stale(table, "routed"):
            clock_of += " before the hardware changed"
        build = _build(found, routed["median_mhz"], clock_of)
        build = dataclasses.replace(build, counted_by="nextpnr", **resources_of(routed["used"]))
        grid = (routed["lanes"], routed["groups"])
        if grid == (config.lanes, config.groups) and _differs(config, build.config) is None:
            builds[found.name] = build
    return list(builds.values())


def _build(board: boards.Board, clock_mhz: float, clock_of: str) -> Build:
    """A board's own engine."""
    knobs = dataclasses.asdict(PRESETS[board.preset])
    return Build(board.name, board.part, knobs, clock_mhz, clock_of)


def compare(record: Mapping[str, Any], builds: Sequence[Build]) -> list[dict[str, Any]]:
    """Records of this project's design, as each build has it, and of the published ones."""
    designs = []
    for build in builds:
        hertz = 1e6 * build.clock_mhz
        design = FpgaDesign(
            design=f"Thresher, {record['lanes']} × {record['groups']}",
            part=build.part,
            lut=build.lut,
            bram36=build.bram36,
            dsp=build.dsp,
            accuracy=100 * record["accuracy"],
            fps=hertz / record["throughput_cycles"]["mean"],
            latency_ns=1e9 * record["latency_cycles"]["mean"] / hertz,
            clock_mhz=build.clock_mhz,
        )
        designs.append(_design(design, build))
    return [*designs, *(_design(design) for design in published_designs())]


def _design(design: FpgaDesign, build: Build | None = None) -> dict[str, Any]:
    return {
        **dataclasses.asdict(design),
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
        f"{row['design']}, {row['part']}: clock {row['clock_mhz']:g} MHz, {row['clock_of']}; "
        f"{counted}."
    )


def designs_table(designs: Sequence[Mapping[str, Any]]) -> Table:
    """The designs for people, at most 100 characters wide."""
    table = Table(pad_edge=False)
    table.add_column("design, and its part")
    for heading in (
        "LUT",
        "BRAM36",
        "right\n%",
        "images/s",
        "per 1,000\nLUT",
        "per\nBRAM36",
        "one in\nµs",
    ):
        table.add_column(heading, justify="right")
    for row in designs:
        nanoseconds = row["latency_ns"]
        table.add_row(
            f"{row['design']}\n  {row['part']}",
            _number(row["lut"], ","),
            _number(row["bram36"], ",g"),
            _number(row["accuracy"], ".2f"),
            _number(row["fps"], ",.0f"),
            _number(row["fps_per_kilolut"], ",.0f"),
            _number(row["fps_per_bram36"], ",.0f"),
            _number(None if nanoseconds is None else nanoseconds / 1000, ".2f"),
            end_section=row["ours"],
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
