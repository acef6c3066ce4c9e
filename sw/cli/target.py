"""The options by which verbs name an accelerator: a board, or a grid of elements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hw import boards
from hw.config import PRESETS, AcceleratorConfig
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.pack import config_for, naming

__all__ = ["DEFAULT_BOARD", "accelerator_options", "board_config", "choose_board", "choose_config"]

DEFAULT_BOARD = "arty"


def accelerator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --board, --lanes and --groups."""
    options = (
        click.option(
            "--board", metavar="B", help=f"Engine of this board.  [default: {DEFAULT_BOARD}]"
        ),
        click.option(
            "--lanes", metavar="L", type=int, help="An engine of L lanes that holds the network."
        ),
        click.option("--groups", metavar="G", type=int, help="Its groups.  [default: 1]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def board_config(name: str) -> AcceleratorConfig:
    """The configuration of a board's engine."""
    return PRESETS[boards.find(name).preset]


def choose_board(board: str | None, lanes: int | None) -> boards.Board | None:
    """The board that the options name; None if they name an engine of its own."""
    return boards.find(board or DEFAULT_BOARD) if lanes is None else None


def choose_config(
    model: str | Path,
    network: CompressedNetwork,
    board: str | None,
    lanes: int | None,
    groups: int | None,
) -> AcceleratorConfig:
    """The accelerator that the options name, for the network of the file `model`.

    A board's engine is taken as it is; one given by --lanes gets memories that hold the network.
    """
    if lanes is None and groups is None:
        return board_config(board or DEFAULT_BOARD)
    if board is not None:
        raise BadInput("--board names a whole engine; give it or --lanes and --groups, not both")
    if lanes is None:
        raise BadInput("--groups needs --lanes")
    grid = {"lanes": lanes, "groups": 1 if groups is None else groups}
    wide = max(layer.code_bits for layer in network.layers) + 5
    with naming(model):
        return config_for(network, **grid, entry_bits=max(9, wide))
