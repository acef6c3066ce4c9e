"""`thresher bench compression`: from random weights to the table of Deep Compression."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from sw import architectures, datasets, rivals
from sw import format as thr
from sw.compress import compress
from sw.compress.recipe import Recipe, Training
from sw.compress.recipe import load as load_recipe
from sw.compressed import CompressedNetwork
from sw.datasets import TrainingSet
from sw.errors import BadInput
from sw.network import Network
from sw.read import read_network
from sw.report.account import account
from sw.report.record import record

from .options import seed_option
from .output import console, emit, json_option
from .training import error_percent, integer_error, require_torch, write_network

__all__ = ["compression"]

_NETS = ("lenet300100", "lenet5")
_RECIPES = ("deep-compression", "best")


# How the dense network is trained; what is compressed is no better than its teacher.
_DENSE = Training(epochs=20, decay=0.01, dropout=0.1, smoothing=0.05, distortion=1.0)


@dataclasses.dataclass(frozen=True)
class _Output:
    """Where networks are kept, and what is part of their names."""

    folder: Path
    seed: int
    dense: Training


@click.command(
    short_help="Error and size of compressed networks, trained from nothing.",
    epilog="""
    \b
    Examples:
      thresher bench compression --data mnist/ --net lenet300100 --recipe best
      thresher bench compression --data data/ --dataset mnist --dataset fashion-mnist
    """,
)
@click.option("--net", "nets", type=click.Choice(_NETS), multiple=True, help="Both if not given.")
@click.option(
    "--recipe",
    "recipes",
    metavar="R",
    multiple=True,
    help=f"Shipped recipe or .toml file; {' and '.join(_RECIPES)} if not given.",
)
@click.option(
    "--dataset",
    "sets",
    type=click.Choice(datasets.NAMES),
    multiple=True,
    default=("mnist",),
    show_default=True,
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the data set's IDX files, or of one such folder a data set.",
)
@seed_option("training")
@click.option(
    "--dense-epochs",
    metavar="N",
    type=click.IntRange(1),
    default=_DENSE.epochs,
    show_default=True,
    help="Passes over the training images before compression.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("build/compression"),
    show_default=True,
    help="Where networks are kept. What is there already is gone on with.",
)
@json_option
def compression(
    nets: tuple[str, ...],
    recipes: tuple[str, ...],
    sets: tuple[str, ...],
    data: Path,
    seed: int,
    dense_epochs: int,
    output: Path,
    as_json: bool,
) -> None:
    """Train LeNet-300-100 and LeNet-5, compress them, and print errors and sizes.

    The error is that of the integer golden model on all 10,000 test images, which nothing before
    has looked at; the size is that of the .thr file, everything in it, against 32-bit floats. Takes
    from minutes to an hour a network; Ctrl-C stops it with nothing lost, and the same command goes
    on: networks that are finished are not made again. Seconds are those of the run that finished
    a network, without what was done before it was stopped.
    """
    require_torch()
    for recipe in recipes:
        load_recipe(recipe)  # a mistake shows before the first network is trained
    if importlib.util.find_spec("nncodec") is None:
        console().print("note: nncodec is not installed, so its column stays empty")
    output.mkdir(parents=True, exist_ok=True)
    to = _Output(output, seed, _DENSE.model_copy(update={"epochs": dense_epochs}))
    folders = {dataset: _folder(data, dataset, len(sets) > 1) for dataset in sets}
    rows = [
        _row(net, recipe, dataset, folders[dataset], to)
        for dataset in sets
        for net in nets or _NETS
        for recipe in recipes or _RECIPES
    ]
    emit({"networks": rows}, _show(rows), as_json)


def _folder(data: Path, dataset: str, several: bool) -> Path:
    """Folder of the data set; with several of them, each needs its own."""
    folder = datasets.folder_of(data, dataset)
    if several and folder == data:
        raise BadInput(f"{data} has no folder {dataset}; with several data sets each has its own")
    return folder


def _row(net: str, recipe_name: str, dataset: str, folder: Path, to: _Output) -> dict[str, Any]:
    """One line of the table, measured now or by a run that was stopped afterwards."""
    recipe = load_recipe(recipe_name)
    stem = to.folder / f"{net}-{dataset}-{to.seed}-{to.dense.epochs}"
    # Two recipes may have one name.
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8]
    path = Path(f"{stem}-{Path(recipe_name).stem}-{digest}.thr")
    row_path = path.with_suffix(".json")
    if path.exists() and row_path.exists():
        console().print(f"{path}: was made and measured before; delete it to begin again")
        kept: dict[str, Any] = json.loads(row_path.read_bytes())
        return kept
    images = datasets.load_training(folder)
    dense, dense_seconds = _dense(net, images, stem, to)
    console().print(f"{net} on {dataset}, recipe {recipe_name}")
    compressed, seconds = _compress(dense, recipe, images, path, to.seed)
    # Only now, when nothing is left to be chosen.
    x, labels = datasets.load(dataset, folder=folder)
    row = {
        "net": net,
        "dataset": dataset,
        "recipe": recipe_name,
        "seed": to.seed,
        "error_dense": error_percent(dense.predict(x), labels),
        "error_compressed": integer_error(compressed, x, labels),
        **record(account(path.read_bytes(), compressed)),
        "nncodec_bytes": _nncodec_bytes(compressed),
        "zstd_bytes": rivals.zstd_bytes(compressed),
        "seconds": seconds,
        "seconds_dense": dense_seconds,
        "file": str(path),
    }
    thr.write_file(row_path, json.dumps(row).encode())
    return row


def _compress(
    dense: Network, recipe: Recipe, images: TrainingSet, path: Path, seed: int
) -> tuple[CompressedNetwork, float]:
    """Compress and write a network; also the seconds that this took now."""
    from sw.train.stages import Run

    started = time.perf_counter()
    kept = _checkpoint(path)
    compressed = compress(dense, recipe, run=Run(images, seed, kept, kept.exists()))
    thr.write(path, compressed, recipe.coders(dense))
    kept.unlink(missing_ok=True)  # the training has come to something
    return compressed, time.perf_counter() - started


def _checkpoint(path: Path) -> Path:
    """Where a run keeps its state."""
    return path.with_name(path.name + ".checkpoint")


def _nncodec_bytes(network: CompressedNetwork) -> int | None:
    """What the ISO coder needs; None if it is not installed."""
    if importlib.util.find_spec("nncodec") is None:
        return None
    return rivals.nncodec_bytes(network)


def _dense(net: str, images: TrainingSet, stem: Path, to: _Output) -> tuple[Network, float | None]:
    """The dense network, trained unless it has been, and the seconds that this took now."""
    from sw.train.stages import Run, train_dense

    path = stem.with_name(stem.name + "-dense.npz")
    seconds = None
    if not path.exists():
        console().print(f"{path.stem}: training")
        started = time.perf_counter()
        kept = _checkpoint(path)
        run = Run(images, to.seed, kept, kept.exists())
        write_network(path, train_dense(architectures.template(net), to.dense, run))
        seconds = time.perf_counter() - started
    return read_network(path, net), seconds


def _show(rows: list[dict[str, Any]]) -> Table:
    table = Table("network", "recipe")
    for heading in (
        "error %\ndense",
        "error %\nintegers",
        "bytes",
        "ratio",
        "ratio at\nrun time",
        "nncodec\nbytes",
        "zstd\nbytes",
        "seconds",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            f"{row['net']}, {row['dataset']}",
            row["recipe"],
            f"{row['error_dense']:.2f}",
            f"{row['error_compressed']:.2f}",
            f"{row['bytes']:,}",
            f"{row['ratio']:.1f}",
            f"{row['ratio_runtime']:.1f}",
            "-" if row["nncodec_bytes"] is None else f"{row['nncodec_bytes']:,}",
            f"{row['zstd_bytes']:,}",
            f"{row['seconds']:,.0f}",
        )
    return table
