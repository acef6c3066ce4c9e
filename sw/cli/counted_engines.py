"""The shipped table that `thresher explore` predicts from, sw/data/counted_engines.json.

Builds are counted into it, as many as one likes, all of the logic of today:

    thresher build --board arty --toolchain yosys --no-model --lanes 4 --groups 2
    python -m sw.cli.counted_engines build/arty_a7_35t-* build/ulx3s_85f-*
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import click

from hw import boards
from hw.config import AcceleratorConfig, ConfigError
from hw.project import Design
from sw.errors import BadInput
from sw.format import write_file
from sw.fpga_designs import Build, read_build
from sw.resource_model import FAMILIES, counted_logic

from .blocks import logic_digest
from .todays_logic import is_of_today

__all__ = ["config_of", "is_stale", "main", "stamp", "table_of"]

_FILE = Path(str(resources.files("sw").joinpath("data", "counted_engines.json")))


@functools.cache
def stamp(preset: str) -> str:
    """Digest of the logic that engines like a preset are made of, as it is today."""
    # The preset's own grid would take seconds more; this one has every kind of block, too.
    return logic_digest(preset, grid=(2, 2))


def is_stale(family: str) -> bool:
    """Whether the logic has changed since the table's engines of a family were counted."""
    presets = {board.preset for board in boards.BOARDS.values() if board.family == family}
    logic = {name: digest for name, digest in counted_logic().items() if name in presets}
    return not logic or any(stamp(name) != digest for name, digest in logic.items())


def config_of(folder: Path, build: Build) -> AcceleratorConfig:
    """The engine of a build.

    Raises
    ------
    BadInput
        If this release has other knobs.
    """
    try:
        return AcceleratorConfig(**build.config)
    except TypeError as error:
        raise BadInput(f"{folder} is a build of another release: {error}") from error


def table_of(folders: Sequence[Path]) -> dict[str, Any]:
    """The table of the engines that were built into these folders, in any order.

    It is stamped with the logic of today, so every build must be of that.

    Raises
    ------
    BadInput
        Naming the folder: it is no build, is of an FPGA that nothing is predicted for, was counted
        by other than Yosys, or its Verilog is not what would be built today without a network.
    """
    rows, presets = [], set()
    for folder in folders:
        build = read_build(folder)
        board = boards.find(build.name)
        if board.family not in FAMILIES:
            raise BadInput(f"{folder} is a build for {board.part}, which nothing is predicted for")
        if build.counted_by != "yosys":
            raise BadInput(f"{folder} was counted by {build.counted_by}: build --toolchain yosys")
        if not is_of_today(folder, Design(board, config_of(folder, build))):
            raise BadInput(
                f"{folder} is of other logic than today's, or has a network: build it anew"
            )
        rows.append({"counted_by": build.counted_by, "used": build.used, "config": build.config})
        presets.add(board.preset)
    rows.sort(key=lambda row: json.dumps(row))
    return {"logic": {name: stamp(name) for name in sorted(presets)}, "engines": rows}


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Write the table of the engines that were built into these folders, and of no others."""
    if not folders:
        raise click.UsageError("name the folders of builds")
    try:
        write_file(_FILE, (json.dumps(table_of(folders), indent=1) + "\n").encode())
    except (BadInput, ConfigError) as error:
        raise click.UsageError(str(error)) from error


if __name__ == "__main__":
    main()
