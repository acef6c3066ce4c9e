"""`thresher bench eie`: EIE's nine layers on the Verilated engine, against the least possible."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import QUEUE_RESERVE, AcceleratorConfig
from hw.regmap import Window
from sim import golden
from sim.cycles import predict
from sim.eie import (
    Single,
    engine_for_all,
    entries_of,
    geometric_mean,
    larger,
    random_single,
    single,
)
from sim.engine import open_engine
from sim.preload import preload
from sim.simulate import first_difference
from sim.verilated import VerilatedTransport
from sim.walk import walk
from sw.driver import LayerCounts
from sw.errors import BadInput
from sw.image import Image
from sw.pack import config_for, naming, pack
from sw.published import EieLayer, eie
from sw.read.coded_layer import read_coded_layer

from .eie_tables import eie_tables
from .options import seed_option
from .output import console, emit, json_option
from .simulate import progress_bar

__all__ = ["chosen_layers", "eie_layers"]

_Ints = NDArray[np.int64]

_LAYERS = {layer.name: layer for layer in eie().layers}
_MODEL_ERROR = 0.02  # of the cycle model, at most


@dataclasses.dataclass(frozen=True)
class _Job:
    """A layer packed, and all that is to be known of it beforehand.

    `figures` is what EIE says of it, if it is one of EIE's; `expected` the golden model's outputs.
    """

    name: str
    figures: EieLayer | None
    image: Image
    x: _Ints
    expected: _Ints
    products: int
    shape: dict[str, Any]


@click.command(
    name="eie",
    short_help="EIE's nine layers: cycles against a product per multiplier and cycle.",
    epilog="""
    \b
    Examples:
      thresher bench eie
          all nine, for some minutes; most of it compiles the engine, once
      thresher bench eie --layers NT-We,VGG-7 --lanes 32 --groups 2 --queue 32
          another shape: its engine is compiled first, for minutes
      thresher bench eie --layer-file fc8.npz --json
          a layer of a real network; an engine that holds it is compiled first, for minutes
    """,
)
@click.option(
    "--layers",
    metavar="NAME,NAME,...",
    help=f"Some of {', '.join(_LAYERS)}.  [default: all]",
)
@click.option("--lanes", metavar="L", type=int, default=64, show_default=True)
@click.option("--groups", metavar="G", type=int, default=1, show_default=True)
@click.option(
    "--queue",
    "queue_depth",
    metavar="N",
    type=int,
    default=64,
    show_default=True,
    help=f"Places of a queue; {QUEUE_RESERVE} are held in reserve, so EIE's "
    f"{eie().queue_depth} correspond to {eie().queue_depth + QUEUE_RESERVE}.",
)
@click.option(
    "--entry-bits", metavar="B", type=int, default=10, show_default=True, help="Code and gap."
)
@click.option(
    "--layer-file",
    metavar="F.npz",
    type=click.Path(path_type=Path),
    help="A layer instead: arrays codes (rows, columns), codebook and activations (columns,). Its "
    "engine is compiled first, for minutes.",
)
@seed_option("the random layers")
@json_option
def eie_layers(
    layers: str | None, layer_file: Path | None, seed: int, as_json: bool, **knobs: int
) -> None:
    """Run the nine layers of EIE's table III on the Verilated engine, one vector each.

    Weights and activations are random, of the published sizes and densities, with a codebook of 16
    entries. One engine runs all layers. Every output is compared with the golden model, to the bit;
    exit status 1 if one differs. The limit is a product of a non-zero weight and a non-zero
    activation on every element in every cycle. Cycles are those of the engine's own counter: from
    the start of the layer, some cycles before the first activation is fed, to the last output
    written. EIE's are its clock times the microseconds it published, against the limit of the
    published densities.

    Entries and pointers are put into the simulated memories by the simulator, since over the bus
    they would take longer than all the rest; everything else, inputs and outputs among it, goes
    over the bus. The engine counts busy, stalled and starved cycles of all elements together; how
    they lie over the elements is from a walk of the packed bits, whose sum must be the counter's,
    or exit status 1. What the cycle model says of each layer is beside it; exit status 1 if it is
    off by more than 2 %.

    `seconds` of the whole are those of everything, compiling among it; those of a layer are of
    filling its memories and of its run. Cycles per second are those of the runs alone, with input
    and output. `blocked` are cycles in which a group waits for a place in a queue, summed over the
    groups.

    A layer file's floats are scaled to 16 bits; integers are taken as they are.

    JSON: `lanes`, `groups`, `queue_depth`, `entry_bits`, `seed`, `layers`, `geometric_mean` of
    their ratios, `eie_geometric_mean`, `agrees_with_golden`, `seconds`,
    `simulated_cycles_per_second`. A layer has `name`, `inputs`, `outputs`, `weight_density`,
    `activation_density`, `products`, `limit_cycles`, `cycles`, `ratio`, `predicted` (`cycles`,
    `error`), `eie` (`cycles`, `ratio`), `entries`, `padding_entries`, `weight_bits`,
    `eie_entries`, `eie_weight_bits`, `pointer_bits`, `busy`, `stalled`, `starved` (cycles of an
    element: `min`, `mean`, `max`), `blocked`, `seconds`, `agrees_with_golden`, `difference`,
    `counters_agree`.
    """
    began = time.perf_counter()
    if layer_file is not None:
        if layers is not None:
            raise BadInput("--layers names EIE's layers; give it or --layer-file, not both")
        config, jobs = _from_file(layer_file, knobs)
    else:
        config, jobs = _published(chosen_layers(layers), knobs, seed)
    rows, speed = _run(config, jobs)
    record = _record(knobs, rows) | {
        "seed": None if layer_file is not None else seed,
        "seconds": time.perf_counter() - began,
        "simulated_cycles_per_second": speed,
    }
    emit(record, eie_tables(record), as_json)
    if wrong := [f"{row['name']} {fault}" for row in rows for fault in _faults(row)]:
        console().print("\n".join(wrong))
        raise click.exceptions.Exit(1)


def _faults(row: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a layer's run, in words that follow its name."""
    if not row["agrees_with_golden"]:
        yield f"differs: {row['difference']}"
    elif not row["counters_agree"]:
        yield "differs: the elements' entries are not what the engine counted"
    predicted = row["predicted"]
    if predicted["error"] > _MODEL_ERROR:
        yield (
            f"took {row['cycles']:,} cycles, but the cycle model says {predicted['cycles']:,}: "
            f"{predicted['error']:.1%} off, where {_MODEL_ERROR:.0%} is the most"
        )


def chosen_layers(names: str | None) -> list[EieLayer]:
    """The named layers, in the order of the table."""
    if names is None:
        return list(_LAYERS.values())
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in _LAYERS:
            raise BadInput(f"--layers has {name!r}; EIE's layers are {', '.join(_LAYERS)}")
    return [layer for name, layer in _LAYERS.items() if name in wanted]


def _published(
    layers: list[EieLayer], knobs: dict[str, int], seed: int
) -> tuple[AcceleratorConfig, list[_Job]]:
    """All packed for one engine."""
    config, jobs = engine_for_all(knobs), list[_Job]()
    with progress_bar() as bar:
        task = bar.add_task("packing", total=len(layers))
        while len(jobs) < len(layers):
            figures = layers[len(jobs)]
            bar.update(task, description=f"packing {figures.name}", completed=len(jobs))
            layer = random_single(figures, seed)
            try:
                jobs.append(_job(layer, config, figures))
            except BadInput:
                # More padding than was thought of; or more than any engine holds, which it says.
                config, jobs = larger(config, config_for(layer.network, **knobs)), []
    return config, jobs


def _from_file(path: Path, knobs: dict[str, int]) -> tuple[AcceleratorConfig, list[_Job]]:
    read = read_coded_layer(path)
    layer = single(path.stem[:40], read.codes, read.codebook, read.activations)
    with naming(path):
        config = config_for(layer.network, **knobs)
        return config, [_job(layer, config, None)]


def _job(layer: Single, config: AcceleratorConfig, figures: EieLayer | None) -> _Job:
    image = pack(layer.network, config)
    outputs = golden.run(layer.network, layer.x)
    entries = sum(len(items) for items in image.contents[Window.ENTRIES])
    columns = sum(len(items) for items in image.contents[Window.POINTERS])
    published = eie()
    entries_eie = entries_of(layer.layer.codes, published.elements, published.gap_bits)
    shape = {
        "inputs": layer.layer.columns,
        "outputs": layer.layer.rows,
        "weight_density": layer.nonzeros / layer.layer.codes.size,
        "activation_density": np.count_nonzero(layer.x) / layer.x.size,
        "entries": entries,
        "padding_entries": entries - layer.nonzeros,
        "weight_bits": entries * config.entry_bits,
        "eie_entries": entries_eie,
        "eie_weight_bits": entries_eie * published.entry_bits,
        "pointer_bits": columns * layouts.pointer(config).size,
    }
    products = int(golden.products(layer.network, layer.x, outputs)[0])
    return _Job(layer.layer.name, figures, image, layer.x, outputs[-1], products, shape)


def _run(config: AcceleratorConfig, jobs: list[_Job]) -> tuple[list[dict[str, Any]], float]:
    """Records of the layers, and clock cycles simulated in a second of the runs."""
    with progress_bar() as bar:
        task = bar.add_task("compiling the engine, if it is new", total=len(jobs))
        rows, cycles, seconds = [], 0, 0.0
        with open_engine(config) as transport:
            for job in jobs:
                bar.update(task, description=f"simulating {job.name}")
                row, simulated, took = _run_layer(transport, job)
                rows.append(row)
                cycles, seconds = cycles + simulated, seconds + took
                bar.advance(task)
    return rows, cycles / seconds


def _run_layer(transport: VerilatedTransport, job: _Job) -> tuple[dict[str, Any], int, float]:
    """The record of a layer; cycles and seconds of its run, with input and output."""
    began = time.perf_counter()
    accelerator = preload(transport, job.image)
    started, before = time.perf_counter(), transport.cycles
    outputs = accelerator.run(job.x, timeout=600)
    took, simulated = time.perf_counter() - started, transport.cycles - before
    (counts,) = accelerator.counters()
    seconds = time.perf_counter() - began
    elements = job.image.config.elements
    limit = job.products / elements
    predicted = predict(job.image, job.x).layers[0].counts.cycles
    entries = walk(job.image, job.x)[0].entries[0]
    published = eie()
    return (
        {
            "name": job.name,
            **job.shape,
            "products": job.products,
            "limit_cycles": limit,
            "cycles": counts.cycles,
            "ratio": counts.cycles / limit if limit else None,
            "predicted": {"cycles": predicted, "error": abs(predicted / counts.cycles - 1)},
            "eie": None
            if job.figures is None
            else {
                "cycles": published.cycles(job.figures),
                "ratio": published.ratio(job.figures),
            },
            **_per_element(counts, entries),
            "blocked": counts.blocked,
            "seconds": seconds,
            "agrees_with_golden": bool(np.array_equal(outputs, job.expected)),
            "difference": first_difference(outputs, job.expected),
            "counters_agree": int(entries.sum()) == counts.busy,
        },
        simulated,
        took,
    )


def _per_element(counts: LayerCounts, busy: _Ints) -> dict[str, Any]:
    """Least, mean and greatest of the elements.

    No element stalls in a run of one vector, since the other accumulator buffer is free; if the
    engine counted otherwise, only the mean is known.
    """
    mean = counts.stalled / len(busy)
    of = {"busy": _spread(busy)}
    if counts.stalled:
        known = {"min": None, "max": None}
        starved = counts.starved / len(busy)
        return of | {"stalled": known | {"mean": mean}, "starved": known | {"mean": starved}}
    return of | {
        "stalled": _spread(np.zeros_like(busy)),
        "starved": _spread(counts.cycles - busy),
    }


def _spread(values: _Ints) -> dict[str, float]:
    return {"min": int(values.min()), "mean": float(values.mean()), "max": int(values.max())}


def _record(knobs: dict[str, int], rows: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    theirs = [row["eie"]["ratio"] for row in rows if row["eie"] is not None]
    return {
        **knobs,
        "layers": rows,
        "geometric_mean": geometric_mean(ratios) if ratios else None,
        "eie_geometric_mean": geometric_mean(theirs) if theirs else None,
        "agrees_with_golden": all(row["agrees_with_golden"] for row in rows),
    }
