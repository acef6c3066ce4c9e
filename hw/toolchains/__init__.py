"""What turns a build plan into counts or a bitstream: one module a toolchain."""

from types import ModuleType

from ..boards import Board
from . import nextpnr, vivado, yosys
from .base import Job, Outcome, ToolchainError

__all__ = ["TOOLCHAINS", "Job", "Outcome", "ToolchainError", "choose"]

# Each has available(board), run(job) and overrides(board): its options for `platform.build`.
TOOLCHAINS: dict[str, ModuleType] = {"vivado": vivado, "nextpnr": nextpnr, "yosys": yosys}


def choose(board: Board, name: str) -> str:
    """Name of the toolchain for a board: `name` itself, or for "auto" the first that is installed.

    Raises
    ------
    ToolchainError
        If it is unknown, not for this board, or not installed.
    """
    names = board.toolchains if name == "auto" else (name,)
    if name != "auto" and name not in board.toolchains:
        raise ToolchainError(
            f"unknown toolchain {name!r} for {board.name}: "
            f"it can be auto, {' or '.join(board.toolchains)}"
        )
    for candidate in names:
        if TOOLCHAINS[candidate].available(board):
            return candidate
    if name == "vivado":
        raise ToolchainError("Vivado is not on PATH; --toolchain yosys counts without it")
    raise ToolchainError(f"{names[-1]} is not installed: pip install 'thresher[synth]'")
