"""The largest grid of elements that a part holds with a network resident."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hw.boards import Board
from hw.config import PRESETS, AcceleratorConfig
from hw.project import Design
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.pack import config_for, pack_file

from .blocks import blocks, count_block
from .boards import count_board

__all__ = ["largest_grid"]

_SQUARE = 8  # lanes over groups, or the other way round, at most
_LEAST = 0.9  # share of the sum of its blocks that a whole takes, to begin with
_LOGIC = ("lut", "ff")  # what of a whole differs from the sum of its blocks
_KEPT = ("queue_depth", "entry_bits", "shared_tables")  # knobs of the board's preset


@dataclasses.dataclass
class _Candidate:
    config: AcceleratorConfig
    used: dict[str, float]  # sum of its blocks


def largest_grid(
    board: Board,
    model: str | Path,
    network: CompressedNetwork,
    note: Callable[[str], None],
    *,
    most: int | None = None,
) -> dict[str, Any]:
    """Search the grid with the most elements whose whole design fits a board's part.

    Memories are just large enough for the network, whose contents are in them. What a grid takes
    is first estimated by the sum of its blocks, each counted by itself; the largest grid that
    should fit is counted whole, which also says how far such sums are off, until one does fit and
    none above it should. Grids much wider than high, or the other way round, are left out.

    Parameters
    ----------
    model : file of the network, for errors
    note : told what is about to be done
    most : elements to begin with; if not given, as many as the part has multipliers

    Returns
    -------
    dict
        `board`, `part`, `network`, `lanes`, `groups`, `elements`, `used`, `capacity`, and `tried`:
        every grid that was counted whole, with `lanes`, `groups`, `used` and `fits`.

    Raises
    ------
    BadInput
        If not even one element fits.
    """
    best, tried = _search(board, model, network, note, most or board.capacity["dsp"])
    if best is None:
        raise BadInput(f"{model}: no engine that holds it fits the {board.part}")
    return {
        "board": board.name,
        "part": board.part,
        "network": Path(model).name,
        "lanes": best["lanes"],
        "groups": best["groups"],
        "elements": best["lanes"] * best["groups"],
        "used": best["used"],
        "capacity": dict(board.capacity),
        "tried": tried,
    }


def _search(
    board: Board,
    model: str | Path,
    network: CompressedNetwork,
    note: Callable[[str], None],
    most: int,
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The largest grid that fits, None if none does, and all that were counted whole."""
    share = _LEAST
    tried: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None

    @functools.cache
    def candidates(elements: int) -> list[_Candidate]:
        return _candidates(board, network, elements, note)

    def hopeful() -> Iterator[_Candidate]:
        """Grids larger than the best that should fit and were not tried, the largest first."""
        done = [(grid["lanes"], grid["groups"]) for grid in tried]
        least = 0 if best is None else best["lanes"] * best["groups"]
        for elements in range(most, least, -1):
            for candidate in candidates(elements):
                grid = (candidate.config.lanes, candidate.config.groups)
                if grid not in done and _fits(board, candidate.used, share):
                    yield candidate

    while (candidate := next(hopeful(), None)) is not None:
        config = candidate.config
        note(f"{config.lanes} × {config.groups} elements, whole")
        image = pack_file(model, network, config)
        used = count_board(Design(board, config, image.contents, image.id, str(model)))
        share = used["lut"] / candidate.used["lut"]
        fits = _fits(board, used, 1.0)
        tried.append({"lanes": config.lanes, "groups": config.groups, "used": used, "fits": fits})
        if fits:
            best = tried[-1]
    return best, tried


def _fits(board: Board, used: dict[str, float], share: float) -> bool:
    """Whether it fits if the whole takes that share of the logic."""
    return all(
        used[name] * (share if name in _LOGIC else 1) <= number
        for name, number in board.capacity.items()
    )


def _candidates(
    board: Board, network: CompressedNetwork, elements: int, note: Callable[[str], None]
) -> list[_Candidate]:
    """Grids of so many elements whose elements alone fit, the smallest first."""
    preset = PRESETS[board.preset]
    found = []
    for lanes in (n for n in range(1, elements + 1) if elements % n == 0):
        groups = elements // lanes
        if max(lanes, groups) > _SQUARE * min(lanes, groups):
            continue
        kept = {knob: getattr(preset, knob) for knob in _KEPT}
        try:
            config = config_for(network, lanes=lanes, groups=groups, **kept)
        except (BadInput, ValueError):
            continue
        # Blocks of a single element, which are no larger, tell most of those that are too large.
        single = dataclasses.replace(config, lanes=1, groups=1)
        if not _fits(board, _sum(single, board, (lanes, groups)), _LEAST):
            continue
        note(f"{lanes} × {groups} elements, block by block")
        found.append(_Candidate(config, _sum(config, board, (lanes, groups))))
    return sorted(found, key=lambda candidate: candidate.used["lut"])


def _sum(config: AcceleratorConfig, board: Board, grid: tuple[int, int]) -> dict[str, float]:
    """What the blocks of a configuration take that stand in a grid of (lanes, groups)."""
    lanes, groups = grid
    copies = {"element": lanes * groups, "feeder": groups, "activations": groups}
    used = dict.fromkeys(board.capacity, 0.0)
    for name, block in blocks(config, board).items():
        # The blocks of write-back are in it, except that it has more lanes here.
        more = lanes - config.lanes if name == "writeback.lane" else 0
        number = copies.get(name, more if "." in name else 1)
        if number:
            one = count_block(block, board.family)
            used = {key: used[key] + one[key] * number for key in used}
    return used
