"""`thresher demo`: build for a board, run the shipped network on a virtual one, one table of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from hw import boards
from hw.boards import Board
from sim import board as virtual_board
from sim import golden
from sim.board import VirtualBoard
from sim.simulate import Simulation, judge, one_by_one
from sw import datasets, networks
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.image import Image
from sw.pack import pack
from sw.progress import shares, steps

from .output import console, emit, json_option
from .simulate import progress_bar
from .target import board_config

__all__ = ["demo"]


@click.command()
@click.option("--board", metavar="B", default="arty", show_default=True, help="Board to build for.")
@click.option("--count", metavar="N", type=int, default=100, show_default=True, help="Images.")
@json_option
def demo(board: str, count: int, as_json: bool) -> None:
    """Build the board's accelerator, run the shipped network on it in simulation, show the figures.

    First `python -m hw.build` for the board; then its virtual board, into which the driver loads
    the network through the UART and runs test images of MNIST, every output compared with the
    golden model.
    """
    network = thr.read(networks.LENET300100)
    x, labels = datasets.load("mnist", count)
    image = pack(network, board_config(board))
    summary = _build(board)
    result, loaded = _run(boards.find(board), network, image, golden.quantise(network, x))
    record = {
        "network": _sizes(network),
        "load": loaded,
        "simulation": result.report(labels) | {"engine_cycles_per_second": _speed(result)},
        "build": summary,
    }
    emit(record, _show(record), as_json)
    if not result.agrees:
        console().print(f"differs from the golden model: {result.difference}", markup=False)
        raise click.exceptions.Exit(1)


def _run(
    board: Board, network: CompressedNetwork, image: Image, x: NDArray[np.int64]
) -> tuple[Simulation, dict[str, Any]]:
    """The network through the driver on the virtual board; how it was loaded, and how fast."""
    with steps(console()) as begin:
        program = virtual_board.build(board, image.config, begin)
    switched_on = time.perf_counter()
    with VirtualBoard(program, board) as running, Accelerator.open(running.port) as device:
        began, before = time.perf_counter(), device.line_seconds
        with shares("loading through the UART", console(), lambda: device.repeated) as report:
            words = device.load(image, report)
        loaded = {
            "words": words,
            "seconds": time.perf_counter() - began,
            "line_seconds": device.line_seconds - before,
            "baud": board.baud,
        }
        with progress_bar() as bar:
            task = bar.add_task("running images", total=len(x))
            run = one_by_one(device, x, lambda done: bar.update(task, advance=done))
        loaded["to_last_answer"] = time.perf_counter() - switched_on
    return judge(network, image, x, "virtual board", run), loaded


def _speed(result: Simulation) -> float | None:
    """Cycles of the engine alone; the board's, at which it is loaded and read, are not counted."""
    return None if result.cycles is None else float(result.cycles.sum()) / result.seconds


def _build(board: str) -> dict[str, Any]:
    """The summary of `python -m hw.build`, whose progress goes on to stderr."""
    command = [sys.executable, "-m", "hw.build", "--board", board, "--json"]
    console().print(f"python {' '.join(command[1:])}", markup=False)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as build:
        try:
            printed = build.communicate()[0]
        except BaseException:
            build.terminate()  # it tidies up then, which it could not if it were killed
            raise
    if build.returncode != 0:
        raise BadInput(f"the build for {board} failed with exit status {build.returncode}")
    summary: dict[str, Any] = json.loads(printed)
    return summary


def _sizes(network: CompressedNetwork) -> dict[str, Any]:
    path: Path = networks.LENET300100
    return {
        "name": path.stem,
        "layers": [network.inputs, *(layer.outputs for layer in network.layers)],
        "parameters": network.parameters,
        "bytes": path.stat().st_size,
        "float32_bytes": 4 * network.parameters,
    }


def _show(record: dict[str, Any]) -> Table:
    network, run, build = record["network"], record["simulation"], record["build"]
    load = record["load"]
    cycles = run["cycles_per_vector"]
    ratio = network["float32_bytes"] / network["bytes"]
    rows = [
        ("network", f"{network['name']}: {'-'.join(map(str, network['layers']))}"),
        ("size", f"{network['bytes']:,} bytes in its .thr file"),
        ("as 32-bit floats", f"{network['float32_bytes']:,} bytes, {ratio:.1f} times as many"),
        (
            "load",
            f"{load['words']:,} words through the UART, {load['line_seconds']:.2f} s "
            f"at {load['baud']:,} baud",
        ),
        ("images", f"{run['vectors']} MNIST test images on the virtual board"),
        ("time", f"{load['to_last_answer']:.0f} s from an empty board to the last answer"),
        (
            "golden model",
            "every output equal, to the bit" if run["agrees_with_golden"] else "DIFFERS",
        ),
        ("accuracy", f"{run['accuracy']:.1%} of these images"),
        ("cycles per image", f"{cycles['mean']:,.1f} mean, {cycles['max']:,} greatest"),
        (
            "multiply-accumulates",
            f"{run['macs_per_vector']:,.0f} per image, of {network['parameters']:,} parameters",
        ),
        ("utilisation", f"{run['utilisation']:.1%} of the multipliers' cycles do useful work"),
        ("board", f"{build['board']} ({build['part']}), counted by {build['toolchain']}"),
    ]
    rows += [
        (name.upper(), f"{count['used']:,} of {count['available']:,}")
        for name, count in build["resources"].items()
    ]
    fmax = build["fmax_mhz"]
    rows.append(("clock", f"{fmax:.1f} MHz" if fmax else "not routed, so no figure"))
    table = Table(show_header=False, title="thresher demo")
    for name, value in rows:
        table.add_row(name, value)
    return table
