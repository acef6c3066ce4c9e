"""The open flow for Xilinx parts: Yosys, nextpnr-xilinx, and the bitstream by Project X-Ray."""

import os
import re
from pathlib import Path

from ..boards import Board
from . import yosys
from .base import Job, Outcome, ToolchainError, check_clock, check_fits, find_tool, run_tool

__all__ = ["available", "overrides", "read_fmax", "run"]

_PLACE, _FRAMES, _PACK = "nextpnr-xilinx", "fasm2frames", "xc7frames2bit"
# Folders of databases: environment variable, and where packages put them, both as Amaranth has it.
_CHIPS = ("CHIPDB_DIR", "/usr/share/nextpnr/xilinx-chipdb")
_PARTS = ("DB_DIR", "/usr/share/nextpnr/prjxray-db")
_FMAX = re.compile(r"Max frequency for clock\s+'([^']*)':\s+([\d.]+) MHz")


def _folder(place: tuple[str, str]) -> Path:
    return Path(os.environ.get(*place))


def _part(board: Board) -> str:
    """The part as the databases have it, which know no industrial grade: its fabric is the same."""
    return re.sub(r"^(xc7a\d+t)i(.*-\d)L$", r"\1\2", board.part)


def _databases(board: Board) -> tuple[Path, Path]:
    """Of the part, pins among it: what nextpnr reads, and the folder of its family's bits."""
    return _folder(_CHIPS) / f"{_part(board)}.bin", _folder(_PARTS) / "artix7"


def available(board: Board) -> bool:
    """Whether all tools for the board can be run here, and the databases know its part."""
    tools = all(find_tool(name, name) for name in (_PLACE, _FRAMES, _PACK))
    chip, bits = _databases(board)
    return tools and yosys.available() and chip.is_file() and (bits / _part(board)).is_dir()


def overrides(board: Board) -> dict[str, str]:
    """What `platform.build` is told beside the design."""
    return {}


def read_fmax(log: str) -> float:
    """The slowest routed clock in MHz, from what nextpnr prints, which tells them twice.

    Raises
    ------
    ToolchainError
        If there is none.
    """
    clocks = {name: float(mhz) for name, mhz in _FMAX.findall(log)}
    if not clocks:
        raise ToolchainError("nextpnr-xilinx told no clock")
    return min(clocks.values())


def _run(job: Job, name: str, *arguments: str) -> str:
    """What a tool prints."""
    log = f"top_{name}.log"
    run_tool([find_tool(name, name) or name, *arguments], job.folder, log)
    return (job.folder / log).read_text(errors="replace")


def run(job: Job) -> Outcome:
    """A bitstream, with the resources as Yosys counts them and the Fmax of the routed design."""
    board = job.board
    part, (chip, bits) = _part(board), _databases(board)
    used = yosys.count_design(job, netlist=True)
    check_fits(board, used)
    with job.step("place and route"):
        log = _run(
            job,
            _PLACE,
            *("--chipdb", str(chip), "--xdc", "top_open.xdc", "--json", "top.json"),
            *("--freq", f"{board.clock_hz / 1e6:g}", "--timing-allow-fail", "--seed", "1"),
            *("--fasm", "top.fasm"),
        )
    fmax_mhz = read_fmax(log)
    check_clock(board, fmax_mhz)
    with job.step("bitstream"):
        _run(job, _FRAMES, "--part", part, "--db-root", str(bits), "top.fasm", "top.frames")
        _run(
            job,
            _PACK,
            *("--part_file", str(bits / part / "part.yaml"), "--part_name", part),
            *("--frm_file", "top.frames", "--output_file", "top.bit"),
        )
    return Outcome(used, fmax_mhz, "top.bit")
