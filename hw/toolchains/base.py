"""What every toolchain takes and gives, and how its tools are run."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..boards import Board
from ..config import ConfigError

__all__ = ["Job", "Outcome", "ToolchainError", "check_clock", "check_fits", "find_tool", "run_tool"]


class ToolchainError(ConfigError):
    """A toolchain is not there, has failed, or has found that the design cannot be."""


@dataclass(frozen=True)
class Job:
    """A design to be built.

    Parameters
    ----------
    board : Board
    folder : Path
        Holds the files of the platform's build plan; the toolchain writes its own beside them.
    commands : tuple of command lines
        What the build plan would run, tools by their plain names.
    step : name -> context manager
        Shows that a step is under way, and takes its time.
    """

    board: Board
    folder: Path
    commands: tuple[tuple[str, ...], ...]
    step: Callable[[str], AbstractContextManager]


@dataclass(frozen=True)
class Outcome:
    """What a toolchain found.

    Parameters
    ----------
    used : resource -> number
        The same keys as `Board.capacity`.
    fmax_mhz : float or None
        The greatest clock after routing; None if the design was not routed.
    bitstream : str or None
        Name of the file in the folder.
    """

    used: Mapping[str, float]
    fmax_mhz: float | None = None
    bitstream: str | None = None


def check_fits(board: Board, used: Mapping[str, float]) -> None:
    """Refuse a design that is too large for the part.

    Raises
    ------
    ToolchainError
        With every resource that is short, and by how much.
    """
    short = [
        f"{resource} {used[resource]:,g} of {available:,} ({used[resource] - available:,g} over)"
        for resource, available in board.capacity.items()
        if used[resource] > available
    ]
    if short:
        raise ToolchainError(
            f"the design is too large for the {board.part} of {board.name}: {', '.join(short)}; "
            "use fewer --lanes or --groups, or a larger board"
        )


def check_clock(board: Board, fmax_mhz: float, slowest: str = "") -> None:
    """Refuse a design that is too slow for the board's clock.

    Raises
    ------
    ToolchainError
        With both clocks, and the slowest path where it is given.
    """
    clock_mhz = board.clock_hz / 1e6
    if fmax_mhz < clock_mhz:
        where = f" (slowest: {slowest})" if slowest else ""
        raise ToolchainError(
            f"the design reaches {fmax_mhz:.2f} MHz on {board.name}, {clock_mhz - fmax_mhz:.2f} "
            f"MHz less than its clock of {clock_mhz:g} MHz{where}; use fewer --lanes or --groups"
        )


def find_tool(name: str, command: str) -> str | None:
    """Path of a tool: what its environment variable says, or `command` where Python is or on PATH.

    The variable is the one of Amaranth: NEXTPNR_ECP5 for nextpnr-ecp5.
    """
    chosen = os.environ.get(name.upper().replace("-", "_"))
    if chosen:
        return shutil.which(chosen)
    return shutil.which(command, path=sysconfig.get_path("scripts")) or shutil.which(command)


def run_tool(command: Sequence[str], folder: Path, log: str) -> None:
    """Run a tool in a folder, with what it prints in the file `log` there.

    Raises
    ------
    ToolchainError
        If it fails; the message ends with the first error that it printed.
    """
    with (folder / log).open("w") as output:
        result = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if result.returncode:
        lines = (folder / log).read_text(errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line] or lines[-1:] or ["no message"]
        # Killed from outside: by a signal, most often for want of memory.
        how = f"exit status {result.returncode}" if result.returncode > 0 else "killed"
        raise ToolchainError(f"{Path(command[0]).name} failed ({how}): {errors[0].strip()}")
