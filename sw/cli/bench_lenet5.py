"""`thresher bench lenet5`: what convolutions cost on the Verilated engine, and where it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table

from hw.boards import Board
from hw.config import AcceleratorConfig
from sim import golden
from sim.cycles import Prediction, predict
from sim.engine import open_engine
from sim.simulate import accuracy, first_difference
from sw import datasets, networks
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator, LayerCounts
from sw.image import Image
from sw.pack import pack_file

from .output import console, emit, json_option
from .simulate import progress_bar
from .target import accelerator_options, choose_board, choose_config

__all__ = ["lenet5"]

_Ints = NDArray[np.int64]

_NAMES = tuple(name for name in networks.NAMES if name.startswith("lenet5-"))
_PREDICTED = 100  # images; the model takes about as long as the engine
_CHUNK = 16  # images between two reports of progress
_COUNTS = tuple(field.name for field in dataclasses.fields(LayerCounts))
_BOUNDS = {"feeding": "feeder", "working": "element", "draining": "write-back"}
_WHOLE = "whole"


@dataclasses.dataclass(frozen=True)
class _Engines:
    """How many are simulated side by side, and the board whose memories they have, if any."""

    number: int
    board: Board | None


@dataclasses.dataclass(frozen=True)
class _Measured:
    """What runs of single images gave.

    Attributes
    ----------
    outputs, expected : (images, outputs) int64
        Of the engine, and of the golden model.
    products : (images, layers) int64
        Multiplications of a non-zero weight with a non-zero activation.
    cycles : (images,) int64
        Of the whole run.
    counts : (images, layers, len(_COUNTS)) int64
    """

    outputs: _Ints
    expected: _Ints
    products: _Ints
    cycles: _Ints
    counts: _Ints


@click.command(
    name="lenet5",
    short_help="Cycles of LeNet-5, layer by layer, and what bounds them.",
    epilog="""
    \b
    Examples:
      thresher bench lenet5
          100 embedded images on the Arty's engine
      thresher bench lenet5 --count 10000 --data mnist/
          the whole test set, for a quarter of an hour
      thresher bench lenet5 --lanes 8 --groups 4
          on 32 processing elements
    """,
)
@accelerator_options
@click.option(
    "--count", metavar="N", type=int, default=100, show_default=True, help="Test images of MNIST."
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of MNIST's IDX files; without it, the 1,000 embedded images.",
)
@json_option
def lenet5(
    board: str | None,
    lanes: int | None,
    groups: int | None,
    count: int,
    data: Path | None,
    as_json: bool,
) -> None:
    """Run every shipped LeNet-5 on the Verilated engine, one image at a time, and count cycles.

    Every output is compared with the golden model, to the bit; exit status 1 if one differs. The
    limit is what a perfect engine would take: a product of a non-zero weight and a non-zero
    activation on every element in every cycle. Busy, stalled and starved are shares of the
    elements' cycles: at an entry, waiting for an accumulator buffer, waiting for columns; blocked
    is the share of the feeders' cycles in which a queue was full. The cycle model predicts the
    first 100 images from the packed bits. It also says what the slowest feeder, the busiest element
    and write-back would take alone; a layer takes no less, and is bound by the greatest.

    JSON: `images`, `engines` (simulated side by side), and `networks`, each with `name`, `lanes`,
    `groups`, `agrees_with_golden`, `difference`, `accuracy`, `seconds`,
    `simulated_cycles_per_second`, and `layers`, the last of which is the whole network. A layer has
    `name`, `products` and `limit_cycles` (means of the images), `cycles` (`mean`, `max`), `ratio`
    (mean over limit), `predicted` (`images`, `cycles`, `error`: the greatest of an image, a
    share), `busy`, `stalled`, `starved`, `blocked` (shares) and `feeding`, `working`, `draining`
    (cycles alone, of feeder, element and write-back).
    """
    pixels, labels = datasets.load("mnist", count, data)
    number = min(os.cpu_count() or 1, -(-count // _CHUNK))
    engines = _Engines(number, choose_board(board, lanes))
    rows = []
    for name in _NAMES:
        network = thr.read(networks.path(name))
        config = choose_config(name, network, board, lanes, groups)
        image = pack_file(name, network, config)
        x = golden.quantise(network, pixels)
        rows.append({"name": name, **_bench(network, image, (x, labels), engines)})
    record = {"images": count, "engines": number, "networks": rows}
    emit(record, _show(record), as_json)
    wrong = [row for row in rows if not row["agrees_with_golden"]]
    for row in wrong:
        console().print(f"{row['name']} differs from the golden model: {row['difference']}")
    if wrong:
        raise click.exceptions.Exit(1)


def _bench(
    network: CompressedNetwork, image: Image, inputs: tuple[_Ints, _Ints], engines: _Engines
) -> dict[str, Any]:
    """The record of one network.

    Parameters
    ----------
    inputs : integer images, and their labels
    """
    x, labels = inputs
    with progress_bar() as bar:
        task = bar.add_task("building the simulator", total=len(x))

        def progress(what: str, images: int) -> None:
            bar.update(task, description=what, advance=images)

        measured, seconds, simulated = _measure(network, image, x, engines, progress)
        predictions = []
        bar.reset(task, total=len(x[:_PREDICTED]))
        for n in range(len(x[:_PREDICTED])):
            predictions.append(predict(image, x[n : n + 1]))
            progress("predicting", 1)
    names = [layer.name for layer in network.layers]
    return {
        "lanes": image.config.lanes,
        "groups": image.config.groups,
        "agrees_with_golden": bool(np.array_equal(measured.outputs, measured.expected)),
        "difference": first_difference(measured.outputs, measured.expected),
        "accuracy": accuracy(measured.outputs, labels),
        "seconds": seconds,
        "simulated_cycles_per_second": simulated / seconds,
        "layers": _layers(names, image, measured, predictions),
    }


def _measure(
    network: CompressedNetwork,
    image: Image,
    x: _Ints,
    engines: _Engines,
    progress: Callable[[str, int], None],
) -> tuple[_Measured, float, int]:
    """Also the seconds, and the clock cycles simulated in them with inputs and outputs."""
    idle: queue.SimpleQueue[Accelerator] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        transports = [
            stack.enter_context(open_engine(image.config, board=engines.board))
            for _ in range(engines.number)
        ]
        for transport in transports:
            accelerator = Accelerator(transport)
            accelerator.load(image)
            idle.put(accelerator)

        def run(at: int) -> _Measured:
            accelerator = idle.get()
            try:
                chunk = _run_chunk(network, accelerator, x[at : at + _CHUNK])
            finally:
                idle.put(accelerator)  # or else another thread would wait for it
            progress("simulating", len(chunk.cycles))
            return chunk

        # Threads, since each engine is a process of its own.
        pool = stack.enter_context(ThreadPoolExecutor(engines.number))
        began, before = time.perf_counter(), sum(transport.cycles for transport in transports)
        chunks = list(pool.map(run, range(0, len(x), _CHUNK)))
        seconds = time.perf_counter() - began
        simulated = sum(transport.cycles for transport in transports) - before
    parts = zip(*(dataclasses.astuple(chunk) for chunk in chunks), strict=True)
    return _Measured(*(np.concatenate(part) for part in parts)), seconds, simulated


def _run_chunk(network: CompressedNetwork, accelerator: Accelerator, x: _Ints) -> _Measured:
    expected = golden.run(network, x)
    outputs, cycles, counts = [], [], []
    for n in range(len(x)):
        outputs.append(accelerator.run(x[n : n + 1]))
        cycles.append(accelerator.cycles)
        counts.append([dataclasses.astuple(layer) for layer in accelerator.counters()])
    return _Measured(
        outputs=np.concatenate(outputs),
        expected=expected[-1],
        products=np.stack(golden.layer_products(network, x, expected), axis=1),
        cycles=np.array(cycles),
        counts=np.array(counts),
    )


def _layers(
    names: list[str], image: Image, measured: _Measured, predictions: list[Prediction]
) -> list[dict[str, Any]]:
    """The record of every layer, and of the whole network as one more."""
    products, counts = _with_whole(measured.products), _with_whole(measured.counts)
    cycles = np.column_stack([measured.counts[:, :, _COUNTS.index("cycles")], measured.cycles])
    predicted = np.array(
        [[*(layer.counts.cycles for layer in each.layers), each.cycles] for each in predictions]
    )
    alone = _with_whole(
        np.array(
            [
                [[getattr(layer, b) for b in _BOUNDS] for layer in each.layers]
                for each in predictions
            ]
        )
    )
    errors = np.abs(predicted / cycles[: len(predicted)] - 1).max(axis=0)
    return [
        {
            "name": name,
            **_cycles_record(products[:, place], cycles[:, place], image.config.elements),
            "predicted": {
                "images": len(predicted),
                "cycles": float(predicted[:, place].mean()),
                "error": float(errors[place]),
            },
            **_shares(counts[:, place].sum(axis=0), image.config),
            **dict(zip(_BOUNDS, alone[:, place].mean(axis=0).tolist(), strict=True)),
        }
        for place, name in enumerate([*names, _WHOLE])
    ]


def _with_whole(of_layers: _Ints) -> _Ints:
    """Figures (images, layers, ...), and their sum as one more layer."""
    return np.concatenate([of_layers, of_layers.sum(axis=1, keepdims=True)], axis=1)


def _cycles_record(products: _Ints, cycles: _Ints, elements: int) -> dict[str, Any]:
    limit, mean = float(products.mean()) / elements, float(cycles.mean())
    return {
        "products": float(products.mean()),
        "limit_cycles": limit,
        "cycles": {"mean": mean, "max": int(cycles.max())},
        "ratio": mean / limit if limit else None,
    }


def _shares(counts: _Ints, config: AcceleratorConfig) -> dict[str, float]:
    counted = dict(zip(_COUNTS, counts.tolist(), strict=True))
    slots = counted["cycles"] * config.elements
    shares = {name: counted[name] / slots for name in ("busy", "stalled", "starved")}
    return {**shares, "blocked": counted["blocked"] / (counted["cycles"] * config.groups)}


def _show(record: dict[str, Any]) -> Group:
    shown: list[RenderableType] = []
    for row in record["networks"]:
        agrees = "every output equal, to the bit" if row["agrees_with_golden"] else "DIFFERS"
        shown += [
            f"{row['name']} on {row['lanes']} lanes × {row['groups']} groups, {record['images']:,} "
            f"test images of MNIST: {row['accuracy']:.2%} right",
            f"golden model: {agrees}; {row['simulated_cycles_per_second']:,.0f} cycles/s, "
            f"{row['seconds']:,.1f} s, engines side by side: {record['engines']}",
            _cycles_table(row["layers"]),
            _bounds_table(row["layers"]),
            "",
        ]
    images = record["networks"][0]["layers"][0]["predicted"]["images"]
    note = (
        f"model and cycles alone: of the first {images:,} images; error: the greatest of an image"
    )
    return Group(*shown, note)


def _table(headings: Sequence[str], rows: list[list[str]]) -> Table:
    """Rows of layers, and at last that of the whole."""
    table = Table("layer")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*rows[-1])
    return table


def _cycles_table(layers: list[dict[str, Any]]) -> Table:
    headings = (
        "products",
        "limit\ncycles",
        "cycles\nmean",
        "cycles\nmax",
        "mean /\nlimit",
        "model\ncycles",
        "model\nerror",
    )
    rows = [
        [
            row["name"],
            f"{row['products']:,.0f}",
            f"{row['limit_cycles']:,.1f}",
            f"{row['cycles']['mean']:,.1f}",
            f"{row['cycles']['max']:,}",
            "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
            f"{row['predicted']['cycles']:,.1f}",
            f"{row['predicted']['error']:.2%}",
        ]
        for row in layers
    ]
    return _table(headings, rows)


def _bounds_table(layers: list[dict[str, Any]]) -> Table:
    shares = ("busy", "stalled", "starved", "blocked")
    headings = (*shares, *(f"{name}\nalone" for name in _BOUNDS.values()), "bound")
    rows = [
        [
            row["name"],
            *(f"{row[name]:.1%}" for name in shares),
            *(f"{row[name]:,.1f}" for name in _BOUNDS),
            "" if row["name"] == _WHOLE else _BOUNDS[max(_BOUNDS, key=lambda name: row[name])],
        ]
        for row in layers
    ]
    return _table(headings, rows)
