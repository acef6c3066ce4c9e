"""The open flows: Yosys, nextpnr for the family, and what packs the bitstream."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..boards import Board
from . import yosys
from .base import Job, Outcome, ToolchainError, check_clock, check_fits, find_tool, run_tool
from .families import FAMILIES

__all__ = ["available", "critical_path", "overrides", "read_report", "route", "run", "synthesise"]


@dataclass(frozen=True)
class _Flow:
    """What follows the synthesis for a family.

    Parameters
    ----------
    place, pack : str
        The tools, by their plain names.
    resources : kind of site, as nextpnr reports it -> resource, as `Board.capacity` has it
    bitstream : str
        Name of the file.
    options : str
        Of nextpnr, beside those of all.
    """

    place: str
    pack: str
    resources: Mapping[str, str]
    bitstream: str
    options: str = ""

    @property
    def tools(self) -> dict[str, str]:
        """Tool -> what it does."""
        return {self.place: "place and route", self.pack: "bitstream"}


_ICE40 = {"ICESTORM_LC": "lut", "ICESTORM_RAM": "ebr4"}
_FLOWS = {
    "ecp5": _Flow(
        "nextpnr-ecp5",
        "ecppack",
        {"TRELLIS_COMB": "lut", "TRELLIS_FF": "ff", "DP16KD": "ebr", "MULT18X18D": "dsp"},
        "top.bit",
    ),
    "ice40up": _Flow(
        "nextpnr-ice40",
        "icepack",
        _ICE40 | {"ICESTORM_DSP": "dsp", "ICESTORM_SPRAM": "spram"},
        "top.bin",
        # Else the placer leaves a tenth of each place free, which a full part has not.
        "--placer-heap-beta 1.0",
    ),
    "ice40hx": _Flow("nextpnr-ice40", "icepack", _ICE40, "top.bin"),
    "gw1n": _Flow(
        "nextpnr-himbaechel-gowin",
        "gowin_pack",
        {"LUT4": "lut", "DFF": "ff", "BSRAM": "bsram"},
        "top.fs",
    ),
}


def overrides(board: Board) -> dict[str, str]:
    """What `platform.build` is told beside the design.

    A clock that is missed is not nextpnr's to refuse: it would not write the report that says by
    how much.
    """
    synthesis = FAMILIES[board.family].options
    routing = "--report top_report.json --timing-allow-fail --seed 1"
    return {
        "script_after_read": yosys.PREPARE,
        "script_after_synth": "tee -q -o top_statistics.json stat -json",
        "nextpnr_opts": f"{routing} {_FLOWS[board.family].options}".strip(),
        **({"synth_opts": synthesis} if synthesis else {}),
    }


def _find(name: str) -> str | None:
    return find_tool(name, f"yowasp-{name}") or find_tool(name, name)


def available(board: Board) -> bool:
    """Whether all tools for the board can be run here."""
    return yosys.available() and all(_find(name) for name in _FLOWS[board.family].tools)


def read_report(text: str, family: str = "ecp5") -> tuple[dict[str, float], float, str]:
    """(resources used, Fmax in MHz, slowest path) from the JSON of nextpnr's ``--report``.

    Fmax is that of the clock which comes nearest to missing its constraint, and the path is the
    one that sets it, as "CELL to CELL".
    """
    report = json.loads(text)
    names = _FLOWS[family].resources
    used = {key: report["utilization"][name]["used"] for name, key in names.items()}
    fmax_mhz, path = _slowest(report)
    return used, fmax_mhz, f"{path[0]['from']['cell']} to {path[-1]['to']['cell']}"


def _slowest(report: dict[str, Any]) -> tuple[float, list[dict[str, Any]]]:
    """Fmax in MHz, and the steps of its path."""
    if not report["fmax"]:
        raise ToolchainError("nextpnr found no clock in the design")
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


def route(
    folder: Path, commands: tuple[tuple[str, ...], ...], seed: int, options: Sequence[str] = ()
) -> str:
    """JSON text of nextpnr's report on a synthesised design, placed and routed from a seed.

    Parameters
    ----------
    options : of nextpnr, beside those of the commands
    """
    name, *command = next(c for c in commands if c[0].startswith("nextpnr-"))
    command[command.index("--seed") + 1] = str(seed)
    run_tool([_require(name), *command, *options], folder, f"top_{name}.log")
    return (folder / "top_report.json").read_text()


def _require(name: str) -> str:
    tool = _find(name)
    if tool is None:
        raise ToolchainError(f"there is no {name} here: pip install 'thresher[synth]'")
    return tool


def run(job: Job) -> Outcome:
    """A bitstream, with the resources and the Fmax of the routed design."""
    flow = _FLOWS[job.board.family]
    commands = {command[0]: list(command[1:]) for command in job.commands}
    with job.step("synthesis"):
        used = synthesise(job)
    for name, step in flow.tools.items():
        tool = _require(name)
        with job.step(step):
            run_tool([tool, *commands[name]], job.folder, f"top_{name}.log")
        if name == flow.place:
            report = (job.folder / "top_report.json").read_text()
            routed, fmax_mhz, slowest = read_report(report, job.board.family)
            used |= routed  # of the iCE40 nextpnr reports no flip-flops
            check_fits(job.board, used)
            check_clock(job.board, fmax_mhz, slowest)
    return Outcome(used, fmax_mhz, flow.bitstream)
