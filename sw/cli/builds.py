"""What `thresher build` left in its folders, for verbs that take one by --build."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from hw import boards
from hw.config import AcceleratorConfig
from sw.errors import BadInput

__all__ = ["Built", "newest_engine", "summaries"]


@dataclasses.dataclass(frozen=True)
class Built:
    """The engine of a build.

    Attributes
    ----------
    board : Board
        What it was built for.
    config : AcceleratorConfig
    """

    board: boards.Board
    config: AcceleratorConfig


def summaries(folder: Path, board: boards.Board | None = None) -> list[Path]:
    """The summary.json in the folder of a build; else those in a folder of builds, of a board's.

    Raises
    ------
    BadInput
        If there is no such folder.
    """
    if not folder.is_dir():
        if folder.exists():
            raise BadInput(f"{folder} is no folder of a build")
        raise BadInput(f"there is no folder {folder}: thresher build makes one")
    whole = folder / "summary.json"
    if whole.exists():
        return [whole]
    names = boards.BOARDS if board is None else [board.name]
    return [path for name in names for path in folder.glob(f"{name}-*/summary.json")]


def newest_engine(folder: Path, board: boards.Board | None = None) -> Built:
    """The engine that was built last, in the folder of a build or in one of builds.

    Parameters
    ----------
    board : Board, optional
        What it must be built for.

    Raises
    ------
    BadInput
        If there is none, or the summary.json of a newer one cannot be read.
    """
    found = summaries(folder, board)
    # No further than to the first that suits: what is older may be of other times.
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        built = _built(path)
        if board in (None, built.board):
            return built
    name = "" if board is None else f" for {board.name}"
    raise BadInput(f"there is no build{name} in {folder}: thresher build makes one")


def _built(summary: Path) -> Built:
    try:
        record = json.loads(summary.read_text())
        return Built(boards.BOARDS[record["board"]], AcceleratorConfig(**record["config"]))
    except KeyError as error:
        raise BadInput(f"{summary} is not the summary of a build: it has no {error}") from error
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{summary} is not the summary of a build: {error!r}") from error
