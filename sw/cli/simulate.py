"""`thresher sim`: run a network on the golden model, its packed image, or the Verilated engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sim.simulate import PLAIN, TARGETS, EngineOptions, Simulation, Target
from sim.simulate import simulate as run_simulation
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.image import Image
from sw.pack import pack_file
from sw.progress import ToldProgress

from .inputs import check_outputs, choose_inputs, input_options, write_outputs
from .observing import Wanted, observing_options
from .output import console, emit, json_option
from .target import accelerator_options, choose_board, choose_config

__all__ = ["progress_bar", "run_with_progress", "simulate"]


@click.command(
    name="sim",
    epilog="""
    \b
    Examples:
      thresher sim lenet.thr --dataset mnist --count 100
          100 embedded MNIST images on the Verilated engine of the Arty
      thresher sim lenet.thr --lanes 4 --inputs x.npy --outputs y.npy --target image
          walks the image packed for four lanes
      thresher sim lenet.thr --dataset mnist --count 3 --waves lenet.fst --html lenet.html
          every signal while three images run, for GTKWave; and who is busy when
    """,
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@accelerator_options
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default="verilator",
    show_default=True,
    help="The integer specification, the bits of the packed memories, or the engine itself.",
)
@input_options
@observing_options
@json_option
def simulate(model: Path, outputs: Path | None, as_json: bool, **options: Any) -> None:
    """Run MODEL.thr on real inputs and compare every output with the golden model, to the bit.

    The golden model itself knows no engine: --board, --lanes and --groups do not matter to it.
    An engine of --lanes has memories in the form that they have on most FPGAs; that of a board
    with an iCE40 or a Gowin FPGA takes some cycles more, for its instructions are read part by
    part.
    Exit status 1 if an output differs. --waves, --heatmap and --html show the inside of the engine,
    in a simulator that is compiled for it; choose few inputs for waves, which grow with them.
    """
    board = choose_board(options["board"], options["lanes"])
    wanted = Wanted(board, **{name: options[name] for name in ("waves", "heatmap", "html")})
    wanted.check(options["target"], model, options["inputs"], outputs)
    check_outputs(outputs, model, options["inputs"])
    network = thr.read(model)
    image = None
    if options["target"] != "golden":
        grid = {name: options[name] for name in ("board", "lanes", "groups")}
        image = pack_file(model, network, choose_config(model, network, **grid))
    inputs = {name: options[name] for name in ("inputs", "dataset", "count", "data")}
    x, labels = choose_inputs(network, **inputs)
    with wanted.engine(None if image is None else image.config) as engine:
        result = run_with_progress(network, image, x, options["target"], engine)
    if image is not None:
        wanted.write(model, network, image, result)
    if outputs is not None:
        write_outputs(outputs, network, result.outputs)
    report = result.report(labels)
    report["written"] = wanted.files
    emit(report, _show(report), as_json)
    if not result.agrees:
        console().print(f"differs from the golden model: {result.difference}", markup=False)
        raise click.exceptions.Exit(1)


def run_with_progress(
    network: CompressedNetwork,
    image: Image | None,
    x: NDArray[np.int64],
    target: Target,
    engine: EngineOptions = PLAIN,
) -> Simulation:
    """`sim.simulate.simulate` with a progress bar on stderr."""
    with progress_bar() as bar:
        built = target != "verilator"
        task = bar.add_task("simulating" if built else "building the simulator", total=len(x))

        def report(vectors: int) -> None:
            nonlocal built
            if not built:
                bar.reset(task, description="simulating")  # its time does not count
                built = True
            bar.update(task, advance=vectors)

        return run_simulation(network, image, x, target, report, engine)


def progress_bar() -> Progress:
    """Bar with counts and elapsed time, on stderr."""
    return ToldProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(),
    )


def _show(report: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    cycles = report["cycles_per_vector"]
    rows = {
        "target": report["target"],
        "vectors": f"{report['vectors']:,}",
        "agrees with the golden model": "to the bit" if report["agrees_with_golden"] else "NO",
        "accuracy": _number(report["accuracy"], ".2%"),
        "cycles per vector, mean / max": (
            f"{_number(cycles['mean'], ',.1f')} / {_number(cycles['max'], ',')}"
        ),
        "multiply-accumulates per vector": f"{report['macs_per_vector']:,.0f}",
        "limit, cycles": _number(report["limit_cycles"], ",.1f"),
        "utilisation": _number(report["utilisation"], ".1%"),
        "seconds of the simulation alone": f"{report['seconds']:.2f}",
        "simulated cycles per second": _number(report["simulated_cycles_per_second"], ",.0f"),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
