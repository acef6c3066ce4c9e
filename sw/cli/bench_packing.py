"""`thresher bench packing`: networks as large as AlexNet and VGG-16 into .thr files and back."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
import numpy as np
from rich.console import Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sim import large_networks
from sw import format as thr
from sw.compressed import CompressedLayer
from sw.errors import BadInput

from .options import seed_option
from .output import console, emit, json_option

__all__ = ["packing"]

_FLOAT32_BYTES = 4
_T = TypeVar("_T")


@click.command(
    short_help="Bytes, seconds and memory of networks as large as AlexNet and VGG-16.",
    epilog="""
    \b
    Examples:
      thresher bench packing --net vgg16
      thresher bench packing --net alexnet --coder smallest --layer conv1 --layer conv2
    """,
)
@click.option("--net", type=click.Choice(large_networks.NAMES), default="vgg16", show_default=True)
@click.option(
    "--coder",
    type=click.Choice(thr.CODERS),
    default="huffman",
    show_default=True,
    help="Coder of the .thr files; huffman is Deep Compression's own.",
)
@click.option(
    "--layer", "names", metavar="NAME", multiple=True, help="Only this layer; may be repeated."
)
@seed_option("the random codes")
@json_option
def packing(net: str, coder: str, names: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Code a random network as large and as sparse as Deep Compression's, and decode it.

    Each layer has the published shape, density and entropy of codes, and is a .thr file of its own.
    That every sum fits is proved on both ways, and is part of the time. Zeros are spread evenly,
    which those of a trained network are not, so gaps take more bits than published; no coder goes
    below the entropy in the table. The memory is the most that the whole process has held.
    """
    models = _models(net, names)
    with _progress() as bar:
        layers = [
            large_networks.random_layer(model, seed) for model in _walk(bar, "drawing", models)
        ]
        files = [
            _timed(thr.to_bytes, large_networks.alone(layer), coder)
            for _, layer in zip(_walk(bar, "coding", models), layers, strict=True)
        ]
        rows = [
            _row(model, layer, *file)
            for model, layer, file in zip(
                _walk(bar, "decoding", models), layers, files, strict=True
            )
        ]
    record = {"net": net, "coder": coder, "seed": seed, "layers": rows, **_totals(rows, layers)}
    emit(record, _show(record), as_json)
    if not record["agrees"]:
        console().print("a decoded layer differs from the one that was coded")
        raise click.exceptions.Exit(1)


def _models(net: str, names: tuple[str, ...]) -> list[large_networks.Model]:
    """The named layers of a network, or all of them."""
    models = large_networks.models(net)
    known = [model.figures.name for model in models]
    for name in names:
        if name not in known:
            raise BadInput(f"{net} has no layer {name!r}; it has {', '.join(known)}")
    return [model for model in models if not names or model.figures.name in names]


def _walk(
    bar: Progress, what: str, models: list[large_networks.Model]
) -> Iterator[large_networks.Model]:
    """One layer after the other, with a bar that says which."""
    task = bar.add_task(what, total=sum(model.weights for model in models))
    for model in models:
        bar.update(task, description=f"{what} {model.figures.name}")
        yield model
        bar.advance(task, model.weights)
    bar.update(task, description=what)


def _timed(function: Callable[..., _T], *arguments: Any) -> tuple[_T, float]:
    """What a function gives, and the seconds it took."""
    started = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - started


def _row(
    model: large_networks.Model, layer: CompressedLayer, contents: bytes, seconds: float
) -> dict[str, Any]:
    decoded, seconds_decode = _timed(thr.from_bytes, contents)
    return {
        "name": layer.name,
        "weights": layer.codes.size,
        "density": np.count_nonzero(layer.codes) / layer.codes.size,
        "code_bits": layer.code_bits,
        "bytes": len(contents),
        "paper_bytes": round(_FLOAT32_BYTES * layer.codes.size * model.figures.rate_pqh),
        "entropy_bytes": round(large_networks.entropy_bytes(layer)),
        "seconds_code": seconds,
        "seconds_decode": seconds_decode,
        "agrees": _same(layer, decoded.layers[0]),
    }


def _same(one: CompressedLayer, other: CompressedLayer) -> bool:
    """Whether two layers agree in every field."""
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(one)
    )


def _totals(rows: list[dict[str, Any]], layers: list[CompressedLayer]) -> dict[str, Any]:
    summed = ("weights", "bytes", "paper_bytes", "entropy_bytes", "seconds_code", "seconds_decode")
    totals = {name: sum(row[name] for row in rows) for name in summed}
    parameters = totals["weights"] + sum(layer.bias.size for layer in layers)
    return totals | {
        "ratio": _FLOAT32_BYTES * parameters / totals["bytes"],
        "paper_ratio": _FLOAT32_BYTES * totals["weights"] / totals["paper_bytes"],
        "peak_bytes": _peak_bytes(),
        "agrees": all(row["agrees"] for row in rows),
    }


def _peak_bytes() -> int:
    """Most memory that this process has held at once."""
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console(),
    )


def _show(record: dict[str, Any]) -> Group:
    table = Table("layer")
    for heading in (
        "weights\n× 1,000",
        "kept",
        "KB",
        "paper's\nKB",
        "entropy\nKB",
        "code\ns",
        "decode\ns",
    ):
        table.add_column(heading, justify="right")
    for row in record["layers"]:
        weights, density = f"{row['weights'] / 1000:,.0f}", f"{row['density']:.0%}"
        table.add_row(row["name"], weights, density, *_figures(row))
    table.add_section()
    table.add_row("all", f"{record['weights'] / 1000:,.0f}", "", *_figures(record))
    total = (
        f"{record['ratio']:.1f} times less than 32-bit floats (by the paper's rates: "
        f"{record['paper_ratio']:.1f}); at most {record['peak_bytes'] / 2**20:,.0f} MiB of memory"
    )
    return Group(table, total)


def _figures(row: dict[str, Any]) -> list[str]:
    sizes = [f"{row[name] / 1000:,.1f}" for name in ("bytes", "paper_bytes", "entropy_bytes")]
    return sizes + [f"{row[name]:.2f}" for name in ("seconds_code", "seconds_decode")]
