"""The exported engine synthesised with a library of cells: how many cells and how much area."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..toolchains import ToolchainError, yosys

__all__ = ["TOP", "check_liberty", "synthesise"]

TOP = "engine"

_LIBRARY = "library.lib"  # what Yosys is told, so that any path will do
_BLOCK_LEVELS = 3


def check_liberty(path: Path) -> None:
    """Refuse a file that is not a library of cells, before any work is done.

    Raises
    ------
    ToolchainError
        Naming the file, or if there is no Yosys.
    """
    if not path.is_file():
        raise ToolchainError(f"{path} cannot be read: there is no such file")
    if not yosys.available():
        raise ToolchainError("--liberty needs Yosys: pip install 'thresher[synth]'")
    with TemporaryDirectory() as name:
        folder = Path(name)
        _link(path, folder)
        try:
            _run(folder, "check", f"read_liberty -lib {_LIBRARY}")
        except ToolchainError as error:
            reason = str(error).partition("ERROR: ")[2] or str(error)
            reason = reason.replace(_LIBRARY, path.name).rstrip(".")
            raise ToolchainError(f"{path} is not a library of cells: {reason}") from error
        if "Imported 0 cell types" in (folder / "check.log").read_text():
            raise ToolchainError(f"{path} is not a library of cells: it has none")


def synthesise(
    folder: Path, sources: Sequence[str], liberty: Path, memories: Mapping[str, int]
) -> dict[str, Any]:
    """Synthesise sources in a folder; netlist.v, synthesis.log and area.json are left there.

    Parameters
    ----------
    sources : sequence of str
        Black boxes first.
    memories : name of a black box -> bits of it

    Returns
    -------
    What area.json holds: `liberty`, `area` and `cells` (type -> number) of all, memories not
    counted, and `blocks`: `block`, `instances`, `cells`, `area`, `memories`, `memory_bits`, each
    with what is in it, parents before their parts, equal parts taken together.

    Raises
    ------
    ToolchainError
        If Yosys fails, or the library lacks what is needed.
    """
    _link(liberty, folder)
    try:
        _run(folder, "synthesis", *_script(sources))
    except ToolchainError as error:
        reason = str(error).partition("ERROR: ")[2] or str(error)
        raise ToolchainError(f"{liberty} does not suffice for the engine: {reason}") from error
    modules = json.loads((folder / "statistics.json").read_text())["modules"]
    for name in (_LIBRARY, "statistics.json", "synthesis.ys"):
        (folder / name).unlink()
    own = {name.removeprefix("\\"): module for name, module in modules.items()}
    result = {"liberty": str(liberty)} | _account(own, memories, liberty)
    (folder / "area.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def _script(sources: Sequence[str]) -> list[str]:
    stubs, *designs = sources
    return [
        f"read_verilog -lib {stubs}",
        *(f"read_verilog {design}" for design in designs),
        yosys.PREPARE,
        # Cells have no contents at power-up: reset is what counts.
        "attrmap -remove init",
        f"synth -top {TOP}",
        f"dfflibmap -liberty {_LIBRARY}",
        f"abc -liberty {_LIBRARY}",
        "clean -purge",
        f"tee -q -o statistics.json stat -json -liberty {_LIBRARY}",
        "write_verilog -noattr netlist.v",
    ]


def _account(
    modules: Mapping[str, Any], memories: Mapping[str, int], liberty: Path
) -> dict[str, Any]:
    cells: dict[str, int] = defaultdict(int)
    blocks: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, module in modules.items():
        if name in memories:
            continue
        types = module["num_cells_by_type"]
        gates = {t: n for t, n in types.items() if t not in modules and t not in memories}
        macros = {t: n for t, n in types.items() if t in memories}
        for gate, number in gates.items():
            cells[gate] += number
        # Yosys' area of a module is that with its parts.
        within = sum(n * modules[t].get("area", 0.0) for t, n in types.items() if t in modules)
        path = _path(name)
        for level in range(len(path) + 1):
            block = blocks.setdefault(path[:level], _empty(path[:level]))
            block["instances"] += level == len(path)
            block["cells"] += sum(gates.values())
            block["area"] += module.get("area", 0.0) - within
            block["memories"] += sum(macros.values())
            block["memory_bits"] += sum(n * memories[t] for t, n in macros.items())
    generic = sorted(name for name in cells if name.startswith("$"))
    if generic:
        raise ToolchainError(f"{liberty} has no cell for {', '.join(generic)}, which are needed")
    shown = [
        blocks[path]
        for path in sorted(blocks)
        if len(path) <= _BLOCK_LEVELS and blocks[path]["cells"]
    ]
    return {"area": blocks[()]["area"], "cells": dict(sorted(cells.items())), "blocks": shown}


def _empty(path: tuple[str, ...]) -> dict[str, Any]:
    block = "/".join(path) or TOP
    return {
        "block": block,
        **dict.fromkeys(("instances", "cells"), 0),
        "area": 0.0,
        **dict.fromkeys(("memories", "memory_bits"), 0),
    }


def _path(module: str) -> tuple[str, ...]:
    """Kinds of blocks down to a module: those of engine.grid.element_3 are grid and element.

    Amaranth names a module by its path, and numbers it if that name was taken.
    """
    parts = module.split(".")[1:]
    return tuple(re.sub(r"(_\d+)?(\$\d+)?$", "", part) for part in parts)


def _link(liberty: Path, folder: Path) -> None:
    os.symlink(liberty.resolve(), folder / _LIBRARY)


def _run(folder: Path, name: str, *lines: str) -> None:
    (folder / f"{name}.ys").write_text("\n".join(lines) + "\n")
    yosys.run_script(folder, f"{name}.ys", f"{name}.log")
