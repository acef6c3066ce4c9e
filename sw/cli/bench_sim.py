"""`thresher bench sim`: how fast the Verilated engine runs."""

from __future__ import annotations

import platform

import click
from rich.table import Table

from hw.config import PRESETS
from sim import golden
from sw import datasets, networks
from sw import format as thr
from sw.errors import BadInput
from sw.pack import pack

from .output import console, emit, json_option
from .simulate import run_with_progress

__all__ = ["simulation_speed"]


@click.command(name="sim", short_help="Clock cycles per second of the Verilated engine.")
@click.option("--preset", default="arty_a7_35t", show_default=True, help="Engine to simulate.")
@click.option("--count", metavar="N", type=int, default=1000, show_default=True, help="Images.")
@json_option
def simulation_speed(preset: str, count: int, as_json: bool) -> None:
    """Clock cycles per second of the Verilated engine, run from the C++ loop.

    The shipped LeNet-300-100 on embedded MNIST images, one at a time; writing inputs and reading
    outputs through the bus is part of it, building and loading are not.
    """
    if preset not in PRESETS:
        raise BadInput(f"preset {preset!r} is unknown; there are {', '.join(PRESETS)}")
    network = thr.read(networks.LENET300100)
    x, _ = datasets.load("mnist", count)
    image = pack(network, PRESETS[preset])
    result = run_with_progress(network, image, golden.quantise(network, x), "verilator")
    record = {
        "preset": preset,
        "elements": image.config.elements,
        "images": count,
        "simulated_cycles": result.simulated_cycles,
        "seconds": result.seconds,
        "cycles_per_second": result.simulated_cycles / result.seconds,
        "images_per_second": count / result.seconds,
        "machine": platform.machine(),
    }
    table = Table(show_header=False)
    for name, value in record.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), shown)
    emit(record, table, as_json)
    if not result.agrees:
        console().print(f"differs from the golden model: {result.difference}", markup=False)
        raise click.exceptions.Exit(1)
