"""`thresher load`: a network into the memories of a board."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.table import Table

from hw.config import AcceleratorConfig
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator
from sw.pack import pack_file
from sw.progress import shares

from .at_port import AtPort, device_options
from .output import console, emit, json_option

__all__ = ["check_fit", "load", "load_model"]


def check_fit(model: Path, config: AcceleratorConfig | None) -> CompressedNetwork:
    """The network of a file; it is packed, if it is known for what, before a port is opened.

    Raises
    ------
    BadInput
        If the file is damaged, or the network does not fit.
    """
    network = thr.read(model)
    if config is not None:
        pack_file(model, network, config)
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
      thresher load lenet.thr --build build/ulx3s_85f-6cbd7a02
          into an engine of other lanes than the board's own, from the folder of its build
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@device_options
@json_option
def load(model: Path, device: AtPort, as_json: bool) -> None:
    """Write MODEL.thr into the memories of a board, and verify that it arrived.

    The board must run the bitstream that `thresher build` makes for it. The network stays until
    another is loaded or the board loses power: no synthesis, no new bitstream.
    """
    check_fit(model, device.config)
    with device.opened() as accelerator:
        began, before = time.perf_counter(), accelerator.line_seconds
        words = load_model(accelerator, model)
        seconds = time.perf_counter() - began
        on_line = accelerator.line_seconds - before
        info = accelerator.info()
    names = device.board_names(info.registers)
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
