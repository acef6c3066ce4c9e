"""The open flow for Lattice ECP5: Yosys, nextpnr-ecp5, ecppack."""

import json
from pathlib import Path
from typing import Any

from . import yosys
from .base import Job, Outcome, ToolchainError, check_clock, check_fits, find_tool, run_tool

__all__ = ["OVERRIDES", "available", "critical_path", "read_report", "route", "run", "synthesise"]

_TOOLS = {"nextpnr-ecp5": "place and route", "ecppack": "bitstream"}
_RESOURCES = {"TRELLIS_COMB": "lut", "TRELLIS_FF": "ff", "DP16KD": "ebr", "MULT18X18D": "dsp"}

# For `platform.build`. A clock that is missed is not nextpnr's to refuse: it would not write the
# report that says by how much.
OVERRIDES = {
    "script_after_read": yosys.PREPARE,
    "script_after_synth": "tee -q -o top_statistics.json stat -json",
    "nextpnr_opts": "--report top_report.json --timing-allow-fail --seed 1",
}


def _find(name: str) -> str | None:
    return find_tool(name, f"yowasp-{name}")


def available() -> bool:
    """Whether all tools can be run here."""
    return yosys.available() and all(_find(name) for name in _TOOLS)


def read_report(text: str) -> tuple[dict[str, float], float, str]:
    """(resources used, Fmax in MHz, slowest path) from the JSON of ``nextpnr-ecp5 --report``.

    Fmax is that of the clock which comes nearest to missing its constraint, and the path is the
    one that sets it, as "CELL to CELL".
    """
    report = json.loads(text)
    used = {key: report["utilization"][name]["used"] for name, key in _RESOURCES.items()}
    fmax_mhz, path = _slowest(report)
    return used, fmax_mhz, f"{path[0]['from']['cell']} to {path[-1]['to']['cell']}"


def _slowest(report: dict[str, Any]) -> tuple[float, list[dict[str, Any]]]:
    """Fmax in MHz, and the steps of its path."""
    if not report["fmax"]:
        raise ToolchainError("nextpnr-ecp5 found no clock in the design")
    clocks = report["fmax"].items()
    clock, figures = min(clocks, key=lambda item: item[1]["achieved"] / item[1]["constraint"])
    path = next(
        path["path"]
        for path in report["critical_paths"]
        if path["from"] == path["to"] == f"posedge {clock}"
    )
    return figures["achieved"], path


def critical_path(text: str) -> list[tuple[str, str, float]]:
    """Steps of the path that sets Fmax, as (kind, cell, ns), from the same JSON as `read_report`.

    The kind is clk-to-q, logic, routing or setup; the cell is the one at the step's end.
    """
    path = _slowest(json.loads(text))[1]
    return [(step["type"], step["to"]["cell"], step["delay"]) for step in path]


def synthesise(job: Job) -> dict[str, float]:
    """Counts of the design, whose netlist is left in the folder; too large a design is refused."""
    yosys.run_script(job.folder, "top.ys", "top_synthesis.log")
    # Before the minutes of placement; and nextpnr's own message would name a cell, not a number.
    used = yosys.finish_design(job)
    check_fits(job.board, used)
    return used


def route(folder: Path, commands: tuple[tuple[str, ...], ...], seed: int) -> str:
    """JSON text of nextpnr's report on a synthesised design, placed and routed from a seed."""
    command = list(next(c for c in commands if c[0] == "nextpnr-ecp5"))[1:]
    command[command.index("--seed") + 1] = str(seed)
    run_tool([_require("nextpnr-ecp5"), *command], folder, "top_nextpnr-ecp5.log")
    return (folder / "top_report.json").read_text()


def _require(name: str) -> str:
    tool = _find(name)
    if tool is None:
        raise ToolchainError(f"there is no {name} here: pip install 'thresher[synth]'")
    return tool


def run(job: Job) -> Outcome:
    """A bitstream, with the resources and the Fmax of the routed design."""
    commands = {command[0]: list(command[1:]) for command in job.commands}
    with job.step("synthesis"):
        synthesise(job)
    for name, step in _TOOLS.items():
        tool = _require(name)
        with job.step(step):
            run_tool([tool, *commands[name]], job.folder, f"top_{name}.log")
        if name == "nextpnr-ecp5":
            used, fmax_mhz, slowest = read_report((job.folder / "top_report.json").read_text())
            check_fits(job.board, used)
            check_clock(job.board, fmax_mhz, slowest)
    return Outcome(used, fmax_mhz, "top.bit")
