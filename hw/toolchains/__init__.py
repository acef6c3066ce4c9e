"""What turns a build plan into counts or a bitstream: one module a toolchain."""

from types import ModuleType

from ..boards import Board
from . import nextpnr, vivado, xray, yosys
from .base import Job, Outcome, ToolchainError

__all__ = ["TOOLCHAINS", "Job", "Outcome", "ToolchainError", "choose"]

# Each has available(board), run(job) and overrides(board): its options for `platform.build`.
TOOLCHAINS: dict[str, ModuleType] = {
    "vivado": vivado,
    "xray": xray,
    "nextpnr": nextpnr,
    "yosys": yosys,
}
# What to say where one of them is not installed.
_MISSING = {
    "vivado": "Vivado is not on PATH; --toolchain yosys counts without it",
    "xray": "nextpnr-xilinx, fasm2frames, xc7frames2bit, or the part in their databases, "
    "CHIPDB_DIR and DB_DIR, is missing; --toolchain yosys counts without them",
}


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
            f"it can be {', '.join(('auto', *board.toolchains[:-1]))} or {board.toolchains[-1]}"
        )
    for candidate in names:
        if TOOLCHAINS[candidate].available(board):
            return candidate
    wanted = "Yosys" if name == "auto" else name
    raise ToolchainError(
        _MISSING.get(name, f"{wanted} is not installed: pip install 'thresher[synth]'")
    )
