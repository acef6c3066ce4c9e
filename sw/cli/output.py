"""What verbs print: one JSON object or a table on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import click
import numpy as np
from rich.console import Console, RenderableType

from sw.errors import BadInput

__all__ = ["check_folder", "check_output", "console", "counted", "emit", "json_option"]

_WIDTH = 100  # of tables that go into a pipe or a file

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout, nothing else there."
)


def console() -> Console:
    """Console on stderr, for progress and notes."""
    # Made when needed: a console keeps the stream that stderr is at that time.
    # What is no terminal has no width: lines stay whole there, for programs that look for words.
    soft_wrap = not sys.stderr.isatty()
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


def check_output(output: Path, *sources: Path | None) -> None:
    """Refuse, before any work is done, to write over an input or what cannot be written.

    Raises
    ------
    BadInput
        Naming the file.
    """
    for source in sources:
        if source is not None and os.path.realpath(source) == os.path.realpath(output):
            raise BadInput(f"{output} is read and would be overwritten: name another output")
    if not output.absolute().parent.is_dir():
        raise BadInput(f"{output} cannot be written: there is no folder {output.parent}")
    target = Path(os.path.realpath(output))
    try:
        if target.exists() and not target.is_file():
            raise BadInput(f"{output} cannot be written: it is not a regular file")
        # Outputs come to be beside their place. Permissions do not say what a file system allows.
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from error


def check_folder(folder: Path) -> None:
    """Refuse, before any work is done, a folder of outputs that can neither be made nor written to.

    Raises
    ------
    BadInput
        Naming the folder.
    """
    path = folder.absolute()
    try:
        nearest = next(at for at in (path, *path.parents) if at.is_symlink() or at.exists())
        if not nearest.is_dir():
            raise BadInput(f"{folder} cannot be a folder of outputs: {nearest} is none")
        # Permissions do not say that a file system is read-only.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}") from error


def counted(number: int, noun: str) -> str:
    """A number of things, in words: 1 lane, 2 lanes."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def emit(record: Mapping[str, Any], shown: RenderableType, as_json: bool) -> None:
    """Print a verb's result on stdout.

    Parameters
    ----------
    record : mapping
        The result as JSON; NumPy scalars, arrays and paths may be in it.
    shown : RenderableType
        The result for people, such as a rich table.
    as_json : bool
        Which of the two.
    """
    if as_json:
        click.echo(json.dumps(record, default=_plain, allow_nan=False))
    elif isinstance(shown, str):
        click.echo(shown)  # whole, for it may be a command to be copied
    else:
        # A pipe or a file has no width of its own. Names come from files: no markup in them.
        width = None if sys.stdout.isatty() else _WIDTH
        Console(highlight=False, markup=False, emoji=False, width=width).print(shown)


def _plain(value: object) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
