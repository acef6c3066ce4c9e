"""`thresher load`: a network into the memories of a board."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hw import boards
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.device_errors import WrongGateware
from sw.driver import Accelerator
from sw.pack import pack_file
from sw.ports import PORTS_VARIABLE, boards_of
from sw.progress import shares
from sw.registers import Registers

from .output import console, emit, json_option
from .target import board_config

__all__ = [
    "board_names",
    "check_fit",
    "device_options",
    "load",
    "load_model",
    "open_device",
]


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --port, --board and --baud."""
    options = (
        click.option(
            "--port",
            metavar="PORT",
            default="auto",
            show_default=True,
            help="Serial port of the board, such as /dev/ttyUSB1 or COM4, or a pyserial URL; auto: "
            "the first at which an accelerator answers, of the ports that the environment variable "
            f"{PORTS_VARIABLE} lists, with commas between them, and then of USB's.",
        ),
        click.option("--board", metavar="B", help="Which board it is.  [default: what it says]"),
        click.option(
            "--baud",
            metavar="N",
            type=int,
            help="Baud rate; a pseudo-terminal and a TCP port have none.  [default: the board's]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def open_device(port: str, board: str | None, baud: int | None) -> Accelerator:
    """The accelerator at a serial port; "auto" is told on stderr."""
    config = None if board is None else board_config(board)
    if baud is None and board is not None:
        baud = boards.find(board).baud

    def say(line: str) -> None:
        console().print(line, markup=False, highlight=False)

    accelerator = Accelerator.open(port, baud=baud, config=config, say=say)
    try:
        if board is not None:
            _check_board(board, accelerator.config_digest)
    except BaseException:
        accelerator.close()
        raise
    return accelerator


def _check_board(board: str, digest: int) -> None:
    """Refuse a device that has not the engine of the board that is named."""
    if digest == board_config(board).digest:
        return
    known = " or ".join(boards_of(digest))
    what = f"the engine of {known}" if known else f"an engine of configuration {digest:08x}"
    raise WrongGateware(
        f"the device has {what}, not that of {boards.find(board).name}; leave --board out, or "
        "build for that board"
    )


def board_names(board: str | None, registers: Registers) -> list[str]:
    """The board that an option names, or those that a device may be."""
    if board is not None:
        return [boards.find(board).name]
    return list(boards_of(registers.config_digest))


def check_fit(model: Path, board: str | None) -> CompressedNetwork:
    """The network of a file; it is packed for the board, if that is named, before a port is opened.

    Raises
    ------
    BadInput
        If the file is damaged, or the network does not fit.
    """
    network = thr.read(model)
    if board is not None:
        pack_file(model, network, board_config(board))
    return network


def load_model(accelerator: Accelerator, model: Path) -> int:
    """`Accelerator.load` with a progress bar on stderr; returns the words that were written."""
    with shares("loading", console(), lambda: accelerator.repeated) as report:
        return accelerator.load(model, report)


@click.command(
    epilog="""
    \b
    Examples:
      thresher load lenet.thr
      thresher load lenet.thr --port /dev/ttyUSB1 --board arty
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@device_options
@json_option
def load(model: Path, port: str, board: str | None, baud: int | None, as_json: bool) -> None:
    """Write MODEL.thr into the memories of a board, and verify that it arrived.

    The board must run the bitstream that `thresher build` makes for it. The network stays until
    another is loaded or the board loses power: no synthesis, no new bitstream.
    """
    check_fit(model, board)
    with open_device(port, board, baud) as accelerator:
        began, before = time.perf_counter(), accelerator.line_seconds
        words = load_model(accelerator, model)
        seconds = time.perf_counter() - began
        on_line = accelerator.line_seconds - before
        info = accelerator.info()
    names = board_names(board, info.registers)
    record = {
        "model": model,
        "boards": names,
        "port": info.port,
        "config_digest": f"{info.registers.config_digest:08x}",
        "image_id": info.image_id,
        "loaded": words > 0,
        "words": words,
        "seconds": seconds,
        "line_seconds": on_line,
        "exchanges_repeated": info.repeated,
    }
    table = Table(show_header=False)
    how = "verified by its checksum" if words else "held already: nothing was sent"
    table.add_row("image", f"{record['image_id']}, {how}")
    table.add_row("board", f"{' or '.join(names) or 'unknown'} at {info.port}")
    table.add_row("words of 32 bits", f"{words:,}" if words else "none: it was there already")
    if words:
        table.add_row("seconds", f"{seconds:.2f}; all bytes take {on_line:.2f} at the baud rate")
        table.add_row("spoiled on the line, and repeated", f"{info.repeated}")
    emit(record, table, as_json)
