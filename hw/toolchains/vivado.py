"""AMD Vivado, for Xilinx parts; its own installation, not a Python package."""

import os
import re

from ..boards import Board
from .base import Job, Outcome, ToolchainError, check_clock, check_fits, find_tool, run_tool

__all__ = ["available", "overrides", "read_slack", "read_utilization", "run"]

_SITES = {"Slice LUTs": "lut", "Slice Registers": "ff", "Block RAM Tile": "bram36", "DSPs": "dsp"}


def available(board: Board) -> bool:
    """Whether Vivado can be run here, straight or by the script in AMARANTH_ENV_VIVADO."""
    return "AMARANTH_ENV_VIVADO" in os.environ or find_tool("vivado", "vivado") is not None


def overrides(board: Board) -> dict[str, str]:
    """What `platform.build` is told beside the design."""
    return {}


def read_utilization(text: str) -> dict[str, float]:
    """Resources used, from the text of ``report_utilization``.

    Raises
    ------
    ToolchainError
        If one of them is not in the report.
    """
    used: dict[str, float] = {}
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "Site Type" in cells:
            header = cells
        # After synthesis, before placement, the LUTs carry an asterisk and a footnote.
        resource = _SITES.get(cells[0].rstrip("*"))
        if resource is not None and "Used" in header and len(cells) == len(header):
            used.setdefault(resource, float(cells[header.index("Used")]))
    missing = [site for site, resource in _SITES.items() if resource not in used]
    if missing:
        raise ToolchainError(f"Vivado's utilization report has no row {missing[0]!r}")
    return used


def read_slack(text: str) -> tuple[float, float]:
    """Worst (setup, hold) slack in ns, from the text of ``report_timing_summary``.

    Raises
    ------
    ToolchainError
        If the report has no such summary, or no path was timed.
    """
    after = text.partition("| Design Timing Summary")[2].splitlines()
    for place, line in enumerate(after):
        names = re.split(r"\s{2,}", line.strip())
        if "WNS(ns)" not in names:
            continue
        values = after[place + 2].split()
        try:
            return (
                float(values[names.index("WNS(ns)")]),
                float(values[names.index("WHS(ns)")]),
            )
        except (ValueError, IndexError):
            break
    raise ToolchainError("Vivado's timing report has no slack")


def run(job: Job) -> Outcome:
    """A bitstream, with the resources and the Fmax of the routed design."""
    reports = job.folder
    try:
        with job.step("Vivado"):
            # The plan's own script: it sources AMARANTH_ENV_VIVADO where that is set.
            run_tool(["sh", "build_top.sh"], job.folder, "top_vivado.log")
    except ToolchainError:
        synthesised = reports / "top_utilization_synth.rpt"
        if synthesised.exists():
            check_fits(job.board, read_utilization(synthesised.read_text()))
        raise
    used = read_utilization((reports / "top_utilization_place.rpt").read_text())
    check_fits(job.board, used)
    setup, hold = read_slack((reports / "top_timing.rpt").read_text())
    fmax_mhz = 1e3 / (1e9 / job.board.clock_hz - setup)
    check_clock(job.board, fmax_mhz)
    if hold < 0:
        raise ToolchainError(f"the routed design misses hold times by {-hold:.3f} ns")
    return Outcome(used, fmax_mhz, "top.bit")
