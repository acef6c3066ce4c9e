"""`thresher run`: a network on a board, every output compared with the golden model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from hw import boards
from sim import golden
from sim.simulate import accuracy, first_difference
from sw import format as thr
from sw.driver import Accelerator
from sw.image import Image
from sw.pack import pack_file

from .inputs import choose_inputs, input_options, write_outputs
from .load import device_options, load_image, open_device
from .output import check_output, console, emit, json_option
from .simulate import progress_bar
from .target import board_config

__all__ = ["run"]


@click.command(
    epilog="""
    \b
    Examples:
      thresher run lenet.thr --port /dev/ttyUSB1 --dataset mnist --count 100
      thresher run lenet.thr --port /dev/ttyUSB1 --inputs x.npy --outputs y.npy
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@device_options
@input_options
@json_option
def run(
    model: Path,
    port: str,
    board: str,
    baud: int | None,
    outputs: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run MODEL.thr on a board and compare every output with the golden model, to the bit.

    The network is loaded first, unless the board holds it already. Exit status 1 if an output
    differs.
    """
    if outputs is not None:
        check_output(outputs, model, options["inputs"])
    network = thr.read(model)
    image = pack_file(model, network, board_config(board))
    x, labels = choose_inputs(network, **options)
    with open_device(port, board, baud) as accelerator:
        held = accelerator.image_id == image.id
        if held:
            accelerator.attach(image)
        else:
            load_image(accelerator, image)
        began = time.perf_counter()
        found, cycles = _run(accelerator, image, x)
        seconds = time.perf_counter() - began
    if outputs is not None:
        write_outputs(outputs, network, found)
    difference = first_difference(found, golden.run(network, x)[-1])
    record = {
        "model": model,
        "board": boards.find(board).name,
        "port": port,
        "image_id": f"{image.id:08x}",
        "loaded": not held,
        "vectors": len(x),
        "agrees_with_golden": difference is None,
        "accuracy": None if labels is None else accuracy(found, labels),
        "cycles_per_vector": cycles / len(x),
        "microseconds_per_vector": cycles / len(x) / boards.find(board).clock_hz * 1e6,
        "seconds": seconds,
    }
    emit(record, _show(record), as_json)
    if difference is not None:
        console().print(f"differs from the golden model: {difference}", markup=False)
        raise click.exceptions.Exit(1)


def _run(
    accelerator: Accelerator, image: Image, x: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Outputs, and the clock cycles of all runs."""
    outputs, cycles = [], 0
    with progress_bar() as bar:
        task = bar.add_task("running vectors", total=len(x))
        for start in range(0, len(x), image.vectors):
            outputs.append(accelerator.run(x[start : start + image.vectors]))
            cycles += accelerator.cycles
            bar.update(task, advance=len(outputs[-1]))
    return np.concatenate(outputs), cycles


def _show(record: dict[str, Any]) -> Table:
    rows = {
        "board": f"{record['board']} at {record['port']}",
        "image": f"{record['image_id']}, {'loaded now' if record['loaded'] else 'held already'}",
        "vectors": f"{record['vectors']:,}",
        "agrees with the golden model": "to the bit" if record["agrees_with_golden"] else "NO",
        "accuracy": "-" if record["accuracy"] is None else f"{record['accuracy']:.2%}",
        "cycles per vector": f"{record['cycles_per_vector']:,.1f}",
        "microseconds per vector": f"{record['microseconds_per_vector']:,.1f} in the engine",
        "seconds": f"{record['seconds']:.2f}, the serial port included",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table
