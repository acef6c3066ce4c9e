"""`thresher sensitivity`: how much pruning each layer bears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sw import datasets
from sw.compress.formats import blocks
from sw.compress.sensitivity import scan
from sw.errors import BadInput
from sw.network import Network
from sw.read import read_network

from .inputs import arch_option
from .output import check_output, console, emit, json_option

__all__ = ["sensitivity"]

_DENSITIES = "1,0.7,0.5,0.4,0.3,0.2,0.15,0.1,0.07,0.05,0.03,0.02,0.01"
_TABLE_LAYERS = 6  # side by side
_LEGEND_LINES, _LEGEND_INCHES = 8, 0.25  # inside the axes; a line beside them


@click.command(
    epilog="""
    \b
    Examples:
      thresher sensitivity lenet.onnx --data mnist/
          a table: one row a density, one column a layer
      thresher sensitivity lenet5.npz --arch lenet5 --data mnist/ --plot layers.png
          also a plot of the error against the density, one line a layer
      thresher sensitivity lenet.npz --data mnist/ --densities 0.2,0.1,0.05 --count 1000
          a quick look
    """
)
@click.argument("source", metavar="NET", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the training images, as IDX files, or of one such folder a data set.",
)
@click.option(
    "--dataset",
    type=click.Choice(datasets.NAMES),
    default="mnist",
    show_default=True,
    help="Which of the folders in DIR, if there are; and what the plot is called by.",
)
@click.option(
    "--densities",
    metavar="D,D,...",
    default=_DENSITIES,
    show_default=True,
    help="Shares of a layer's weights to keep, above 0 and at most 1.",
)
@click.option(
    "--count",
    metavar="N",
    type=int,
    default=datasets.HELD_OUT,
    show_default=True,
    help="Number of held-out images.",
)
@arch_option
@click.option(
    "--plot", metavar="OUT.png", type=click.Path(path_type=Path), help="Draw error over density."
)
@json_option
def sensitivity(
    source: Path,
    data: Path,
    dataset: str,
    densities: str,
    count: int,
    arch: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Prune one layer of NET at a time, and show the error at each density.

    A layer whose error stays low bears much pruning; one whose error soon rises wants a density of
    its own in a recipe (thresher recipes). Pruned are the weights of least magnitude, without
    training after it, so trained networks bear more than this shows; the order of the layers is
    what tells.

    The errors are those of the float network on the training images that no recipe trains on. The
    test images are not looked at. NET is read as thresher compress reads it.
    """
    wanted = _parse(densities)
    if not 0 < count <= datasets.HELD_OUT:
        raise BadInput(f"--count is {count}; it must be from 1 to {datasets.HELD_OUT}")
    if plot is not None:
        from sw.plots import check_png  # matplotlib takes long to import

        check_png(plot)
        check_output(plot, source)
    network = read_network(source, arch)
    folder = datasets.folder_of(data, dataset)
    images = datasets.load_training(folder)
    x, labels = images.held_x[:count], images.held_labels[:count]
    if x.shape[1] != network.inputs:
        raise BadInput(
            f"{source}: layer {network.layers[0].name!r} takes {network.inputs} inputs, an image "
            f"of {folder} has {x.shape[1]} pixels"
        )
    wrong = sum(
        np.count_nonzero(network.predict(x[part].astype(np.float64)).argmax(axis=1) != labels[part])
        for part in blocks(network.layers, len(x))
    )
    with _progress() as progress:
        pruned = sum(not layer.fixed for layer in network.layers)
        task = progress.add_task("pruning", total=len(wanted) * pruned * len(x))
        errors = scan(network, x, labels, wanted, lambda of: progress.advance(task, of))
    record = {
        "network": source,
        "dataset": dataset,
        "images": count,
        "error": wrong / len(x),
        "densities": wanted,
        "layers": [_describe(name, network, of) for name, of in errors.items()],
        "plot": plot,
    }
    if plot is not None:
        _draw(plot, record)
    emit(record, _show(record), as_json)


def _parse(text: str) -> list[float]:
    """Densities from "D,D,...", the greatest first, each once."""
    densities = []
    for part in text.split(","):
        try:
            density = float(part)
        except ValueError:
            raise BadInput(
                f"--densities has {part.strip()!r}; name numbers such as 0.2,0.1,0.05"
            ) from None
        if not 0 < density <= 1:
            raise BadInput(f"--densities has {part.strip()}; each must be above 0 and at most 1")
        densities.append(density)
    return sorted(set(densities), reverse=True)


def _describe(name: str, network: Network, errors: list[float]) -> dict[str, Any]:
    weights = next(layer.weights for layer in network.layers if layer.name == name)
    return {
        "name": name,
        "weights": weights.size,
        "density": np.count_nonzero(weights) / weights.size,
        "errors": errors,
    }


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console(),
    )


def _show(record: dict[str, Any]) -> Group:
    layers = record["layers"]
    tables = [
        _table(record["densities"], layers[start : start + _TABLE_LAYERS])
        for start in range(0, len(layers), _TABLE_LAYERS)
    ]
    total = (
        f"error with one layer pruned to the density, {record['images']:,} held-out images of "
        f"{record['dataset']}; {record['error']:.2%} with none"
    )
    return Group(*tables, total)


def _table(densities: list[float], layers: list[dict[str, Any]]) -> Table:
    table = Table()
    table.add_column("density", justify="right")
    for layer in layers:
        table.add_column(f"{layer['name']}\n{layer['weights']:,}", justify="right")
    for row, density in enumerate(densities):
        errors = (layer["errors"][row] for layer in layers)
        table.add_row(f"{100 * density:g}%", *(f"{error:.2%}" for error in errors))
    return table


def _draw(path: Path, record: dict[str, Any]) -> None:
    """Error over density, one line a layer, as figure 6 of Han et al. (2015)."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from sw.plots import COLOURS, INK, plain, write_png

    height = max(5, _LEGEND_INCHES * len(record["layers"]))
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    for place, layer in enumerate(record["layers"]):
        axes.plot(
            np.array(record["densities"]) * 100,
            np.array(layer["errors"]) * 100,
            color=COLOURS[place % len(COLOURS)],
            marker="osD^vPX"[place // len(COLOURS) % 7],
            markersize=4,
            label=f"{layer['name']} ({layer['weights']:,} weights)",
        )
    axes.axhline(record["error"] * 100, color=INK, linewidth=0.8, linestyle=":", label="not pruned")
    axes.set_xscale("log")
    axes.invert_xaxis()
    if min(min(layer["errors"]) for layer in record["layers"]) > 0 and record["error"] > 0:
        axes.set_yscale("log")  # where the error begins to rise is what matters
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_xlabel("weights of the layer that are kept", color=INK)
    axes.set_ylabel(f"error, {record['images']:,} held-out images", color=INK)
    axes.set_title(f"{record['network'].name} on {record['dataset']}", color=INK)
    if len(record["layers"]) < _LEGEND_LINES:
        axes.legend(frameon=False)
    else:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    plain(axes)
    write_png(path, figure)
