"""The boards that can be built for."""

import difflib

from .arty import ARTY_A7_35T, ARTY_A7_100T
from .board import RESOURCES, Board, BoardError
from .cmod import CMOD_A7_35T
from .colorlight import COLORLIGHT_5A75B
from .hx8k import ICE40_HX8K_B_EVN
from .icebreaker import ICEBREAKER
from .nexys import NEXYS_A7
from .orangecrab import ORANGECRAB
from .tang_nano import TANG_NANO_9K
from .ulx3s import ULX3S_25F, ULX3S_85F

__all__ = ["BOARDS", "RESOURCES", "Board", "BoardError", "find"]

BOARDS = {
    board.name: board
    for board in (
        ARTY_A7_35T,
        ARTY_A7_100T,
        NEXYS_A7,
        CMOD_A7_35T,
        ULX3S_85F,
        ULX3S_25F,
        COLORLIGHT_5A75B,
        ORANGECRAB,
        ICEBREAKER,
        ICE40_HX8K_B_EVN,
        TANG_NANO_9K,
    )
}


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
    hint = f"did you mean {nearest[0]}? The" if nearest else "the"
    raise BoardError(f"unknown board {name!r}: {hint} boards are {', '.join(sorted(names))}")
