"""`thresher run`: a network on a board, every output compared with the golden model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from hw import boards
from sim import golden
from sim.simulate import accuracy, first_difference
from sw.async_driver import Progress
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator, LayerCounts
from sw.progress import shares

from .at_port import AtPort, device_options
from .inputs import check_outputs, choose_inputs, input_options, write_outputs
from .load import check_fit, load_model
from .output import console, counted, emit, json_option

__all__ = ["run"]

_SHARES = ("busy", "stalled", "starved")  # what an element does in a cycle


@click.command(
    epilog="""
    \b
    Examples:
      thresher run lenet.thr --dataset mnist --count 100
      thresher run lenet.thr --port /dev/ttyUSB1 --inputs x.npy --outputs y.npy
      thresher run lenet.thr --port /dev/ttyUSB1 --inputs x.npy --trace-layers
          find the first activation that is wrong
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@device_options
@input_options
@click.option(
    "--batch",
    metavar="N",
    type=int,
    help="Vectors of one run.  [default: as many as the board has memory for]",
)
@click.option("--trace-layers", is_flag=True, help="Compare every layer with the golden model.")
@json_option
def run(
    model: Path,
    device: AtPort,
    batch: int | None,
    trace_layers: bool,
    outputs: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run MODEL.thr on a board and compare every output with the golden model, to the bit.

    The network is loaded first, unless the board holds it already. What each layer counted in the
    last run is shown: its cycles, its non-zero activations, and shares of the elements' cycles:
    busy, stalled (a column waits for write-back) or starved; blocked is the share of the feeders'
    cycles in which a queue was full. Exit status 1 if an output differs.

    JSON: `model`, `boards` (those that it may be), `port`, `image_id`, `loaded` (false if it was
    there), `vectors`, `batch` (the most of one run), `layers_traced` (null without
    --trace-layers), `agrees_with_golden`, `accuracy` (null without labels), `lanes`, `groups`,
    `cycles_per_vector`, `last_run`, `microseconds_per_vector` (in the engine; null if nobody knows
    the clock), `seconds` (of all runs, the serial port included) and `exchanges_repeated`.
    `last_run` has `vectors` and `layers`, each with `layer`, `cycles`, `activations`, `blocked`
    (cycles of all feeders), `busy`, `stalled` and `starved` (cycles of all elements).
    """
    check_outputs(outputs, model, options["inputs"])
    network = check_fit(model, device.config)
    x, labels = choose_inputs(network, **options)
    with device.opened() as accelerator:
        loaded = load_model(accelerator, model) > 0
        found, measured = _measure(accelerator, network, x, batch)
        difference = first_difference(found, golden.run(network, x)[-1])
        traced = None
        if trace_layers:
            traced, other = _trace(accelerator, x)
            difference = other or difference
        info = accelerator.info()
    names = device.board_names(info.registers)
    if outputs is not None:
        write_outputs(outputs, network, found)
    record: dict[str, Any] = {
        "model": model,
        "boards": names,
        "port": info.port,
        "image_id": info.image_id,
        "loaded": loaded,
        **measured,
        "layers_traced": traced,
        "agrees_with_golden": difference is None,
        "accuracy": None if labels is None else accuracy(found, labels),
        "lanes": None if info.config is None else info.config.lanes,
        "groups": None if info.config is None else info.config.groups,
        "microseconds_per_vector": _microseconds(measured["cycles_per_vector"], names),
        "exchanges_repeated": info.repeated,
    }
    emit(record, Group(_show(record), _show_layers(record)), as_json)
    if difference is not None:
        console().print(f"differs from the golden model: {difference}", markup=False)
        raise click.exceptions.Exit(1)


def _trace(accelerator: Accelerator, x: NDArray[np.int64]) -> tuple[int, str | None]:
    """The number of layers, and where the first of them that differs does so."""
    with _bar(accelerator, "tracing layers") as report:
        trace = accelerator.trace(x, progress=report)
    return len(trace.layers), None if trace.difference is None else str(trace.difference)


def _measure(
    accelerator: Accelerator, network: CompressedNetwork, x: NDArray[np.int64], batch: int | None
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """The outputs, and what the record has of the runs."""
    began = time.perf_counter()
    with _bar(accelerator, f"running {counted(len(x), 'vector')}") as report:
        outputs = accelerator.run(x, progress=report, batch=batch)
    seconds = time.perf_counter() - began
    batch = accelerator.batch if batch is None else batch
    return outputs, {
        "vectors": len(x),
        "batch": batch,
        "cycles_per_vector": accelerator.cycles / len(x),
        "seconds": seconds,
        "last_run": {
            "vectors": len(x) % batch or batch,
            "layers": _layers(network, accelerator.counters()),
        },
    }


def _bar(accelerator: Accelerator, text: str) -> AbstractContextManager[Progress]:
    return shares(text, console(), lambda: accelerator.repeated)


def _layers(network: CompressedNetwork, counters: list[LayerCounts]) -> list[dict[str, Any]]:
    return [
        {"layer": layer.name, **dataclasses.asdict(counts)}
        for layer, counts in zip(network.layers, counters, strict=True)
    ]


def _microseconds(cycles: float, names: Sequence[str]) -> float | None:
    """At the clock of the boards; None if it is not known which board it is."""
    clocks = {boards.find(name).clock_hz for name in names}
    return cycles / clocks.pop() * 1e6 if len(clocks) == 1 else None


def _show(record: dict[str, Any]) -> Table:
    microseconds = record["microseconds_per_vector"]
    together = min(record["batch"], record["vectors"])
    rows = {
        "board": f"{' or '.join(record['boards']) or 'unknown'} at {record['port']}",
        "image": f"{record['image_id']}, {'loaded now' if record['loaded'] else 'held already'}",
        "vectors": f"{record['vectors']:,}",
        "agrees with the golden model": "to the bit" if record["agrees_with_golden"] else "NO",
        "accuracy": "-" if record["accuracy"] is None else f"{record['accuracy']:.2%}",
        "cycles per vector": (
            f"{record['cycles_per_vector']:,.1f}, {together} in a run: "
            f"{'each alone' if together == 1 else 'they overlap'}"
        ),
        "microseconds per vector": (
            "-" if microseconds is None else f"{microseconds:,.1f} in the engine"
        ),
        "seconds": f"{record['seconds']:.2f}, the serial port included",
        "spoiled on the line, and repeated": f"{record['exchanges_repeated']}",
    }
    if record["layers_traced"] is not None:
        rows["layers traced"] = f"{record['layers_traced']}"
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _show_layers(record: dict[str, Any]) -> Table:
    """What the engine counted in its last run, shares being of all elements' or feeders' cycles."""
    vectors = record["last_run"]["vectors"]
    alone = "1 vector" if vectors == 1 else f"{vectors:,} vectors that overlap"
    table = Table(title=f"the last run: {alone}")
    table.add_column("layer")
    for name in ("cycles", "non-zero activations", *_SHARES, "blocked"):
        table.add_column(name, justify="right")
    for layer in record["last_run"]["layers"]:
        cycles = layer["cycles"] or 1
        shares = [layer[name] / (cycles * record["lanes"] * record["groups"]) for name in _SHARES]
        shares.append(layer["blocked"] / (cycles * record["groups"]))
        numbers = (f"{layer[name]:,}" for name in ("cycles", "activations"))
        table.add_row(layer["layer"], *numbers, *(f"{share:.1%}" for share in shares))
    return table
