"""`thresher load`: a network into the memories of a board."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hw import boards
from sw import format as thr
from sw.driver import Accelerator
from sw.image import Image
from sw.pack import pack_file
from sw.transport import open_serial
from sw.words import image_words

from .output import emit, json_option
from .simulate import progress_bar
from .target import board_config

__all__ = ["device_options", "load", "load_image", "open_device"]


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --port, --board and --baud."""
    options = (
        click.option(
            "--port",
            metavar="PORT",
            required=True,
            help="Serial port of the board, such as /dev/ttyUSB1 or COM4, or a pyserial URL.",
        ),
        click.option(
            "--board", metavar="B", default="arty", show_default=True, help="Which board it is."
        ),
        click.option("--baud", metavar="N", type=int, help="Baud rate.  [default: the board's]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextlib.contextmanager
def open_device(port: str, board: str, baud: int | None) -> Iterator[Accelerator]:
    """The accelerator at a serial port; the port is closed in the end."""
    rate = boards.find(board).baud if baud is None else baud
    with contextlib.closing(open_serial(port, rate)) as transport:
        accelerator = Accelerator(transport)
        yield accelerator
        accelerator.release()


def load_image(accelerator: Accelerator, image: Image) -> int:
    """`Accelerator.load` with a progress bar on stderr; returns the words that were written."""
    words = sum(len(burst) for _, burst in image_words(image))
    with progress_bar() as bar:
        task = bar.add_task("loading words", total=words)
        accelerator.load(image, lambda share: bar.update(task, completed=round(share * words)))
    return words


@click.command(
    epilog="""
    \b
    Example:
      thresher load lenet.thr --port /dev/ttyUSB1 --board arty
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@device_options
@json_option
def load(model: Path, port: str, board: str, baud: int | None, as_json: bool) -> None:
    """Write MODEL.thr into the memories of a board, and verify that it arrived.

    The board must run the bitstream that `thresher build` makes for it. The network stays until
    another is loaded or the board loses power: no synthesis, no new bitstream.
    """
    image = pack_file(model, thr.read(model), board_config(board))
    with open_device(port, board, baud) as accelerator:
        began = time.perf_counter()
        words = load_image(accelerator, image)
        seconds = time.perf_counter() - began
    record = {
        "model": model,
        "board": boards.find(board).name,
        "port": port,
        "config_digest": f"{image.config.digest:08x}",
        "image_id": f"{image.id:08x}",
        "words": words,
        "seconds": seconds,
    }
    table = Table(show_header=False)
    table.add_row("image", f"{record['image_id']}, verified by its checksum")
    table.add_row("board", f"{record['board']} at {port}")
    table.add_row("words of 32 bits", f"{words:,}")
    table.add_row("seconds", f"{seconds:.2f}")
    emit(record, table, as_json)
