"""The boards that can be built for."""

import difflib

from .arty import ARTY_A7_35T, ARTY_A7_100T
from .board import Board, BoardError
from .ulx3s import ULX3S_85F

__all__ = ["BOARDS", "Board", "BoardError", "find"]

BOARDS = {board.name: board for board in (ARTY_A7_35T, ARTY_A7_100T, ULX3S_85F)}


def find(name: str) -> Board:
    """The board of this name or alias.

    Raises
    ------
    BoardError
        If there is none; the message has all names, and the nearest one.
    """
    names = {alias: board for board in BOARDS.values() for alias in (board.name, *board.aliases)}
    if name in names:
        return names[name]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    raise BoardError(f"unknown board {name!r}: {hint}The boards are {', '.join(sorted(names))}")
