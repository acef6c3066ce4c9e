"""`thresher bench kmeans`: weight sharing against scikit-learn, and from the paper's starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from sw.compress.kmeans import INITIALISATIONS, cluster, nearest, starts
from sw.compress.share import squared_error
from sw.errors import BadInput

from .options import seed_option
from .output import check_output, console, emit, json_option

__all__ = ["kmeans"]

_Floats = NDArray[np.float64]

_CODES_MAX = 256
_RIVAL_STARTS = 10
_THRESHOLD = 0.03  # magnitude below which the weights of the benchmark were pruned


@click.command(
    short_help="Optimal weight sharing against scikit-learn's k-means.",
    epilog="""
    \b
    Examples:
      thresher bench kmeans
          a million weights into 32 codes; scikit-learn takes a minute or more
      thresher bench kmeans --weights 50000 --codes 13 --plot starts.png
          a quick run, with a picture of the starts and of where they lead
    """,
)
@click.option("--weights", metavar="N", type=int, default=1_000_000, show_default=True)
@click.option(
    "--codes", metavar="K", type=int, default=32, show_default=True, help="Centroids, 2 to 256."
)
@seed_option("what is random", 0)
@click.option(
    "--plot",
    metavar="OUT.png",
    type=click.Path(path_type=Path),
    help="Draw the weights and all centroids, as figure 4 of Deep Compression does.",
)
@json_option
def kmeans(weights: int, codes: int, seed: int, plot: Path | None, as_json: bool) -> None:
    """Share the same weights in several ways, and print seconds and squared errors.

    Compared are scikit-learn's KMeans with 10 starts, the optimal clustering that `thresher
    compress` uses, and Lloyd's iteration from each of the three starts of Deep Compression (section
    3.2). Each has the time to find the centroids and the code of every weight.

    The weights are random, of two humps as those of a pruned and retrained layer, and rounded to 32
    bits. Nothing is taken from earlier runs.
    """
    if not 2 <= codes <= _CODES_MAX:
        raise BadInput(f"--codes is {codes}; it must be from 2 to {_CODES_MAX}")
    if weights < codes:
        raise BadInput(f"--weights is {weights}; it must be --codes ({codes}) or more")
    if plot is not None:
        from sw.plots import check_png  # matplotlib takes long to import

        check_png(plot)
        check_output(plot)
    values = _weights(weights, seed)
    rows, found = _measure(values, codes, seed)
    if plot is not None:
        _draw(plot, values, codes, seed, found)
    ours, rival = rows[0], rows[-1]
    record = {
        "weights": weights,
        "codes": codes,
        "seed": seed,
        "methods": rows,
        "speedup": rival["seconds"] / ours["seconds"],
        "error_ratio": rival["squared_error"] / ours["squared_error"],
        "plot": plot,
    }
    emit(record, _show(record), as_json)


def _weights(count: int, seed: int) -> _Floats:
    """Weights (count,) that pruning leaves: beyond a threshold, blurred by retraining."""
    rng = np.random.default_rng(seed)
    magnitude = _THRESHOLD + 0.02 * rng.exponential(size=count)
    blurred = rng.choice([-1.0, 1.0], count) * magnitude + 0.005 * rng.normal(size=count)
    return blurred.astype(np.float32).astype(np.float64)


def _measure(
    values: _Floats, codes: int, seed: int
) -> tuple[list[dict[str, Any]], dict[str, _Floats]]:
    """A row for each method, and its centroids."""
    methods: dict[str, Callable[[], _Floats]] = {"optimal": partial(cluster, values, codes)}
    for start in INITIALISATIONS:
        methods[f"Lloyd, {start}"] = partial(cluster, values, codes, "lloyd", start, seed)
    methods[f"scikit-learn, {_RIVAL_STARTS} starts"] = _rival(values, codes, seed)
    rows, found = [], {}
    for name, method in methods.items():
        with console().status(f"{name}: {len(values):,} weights"):
            begin = time.perf_counter()
            centroids = method()
            places = nearest(values, centroids)
            seconds = time.perf_counter() - begin
        error = squared_error(values, places, centroids)
        rows.append(
            {
                "method": name,
                "seconds": seconds,
                "squared_error": error,
                "centroids": len(centroids),
            }
        )
        found[name] = centroids
    return rows, found


def _rival(values: _Floats, codes: int, seed: int) -> Callable[[], _Floats]:
    """Call of scikit-learn's k-means; importing it is not part of what is measured."""
    try:
        from sklearn.cluster import KMeans
    except ModuleNotFoundError as error:
        raise BadInput(
            "what is compared with is not installed: pip install 'thresher[bench]'"
        ) from error

    def run() -> _Floats:
        model = KMeans(codes, n_init=_RIVAL_STARTS, random_state=seed).fit(values[:, None])
        centroids: _Floats = np.unique(model.cluster_centers_)
        return centroids

    return run


def _show(record: dict[str, Any]) -> Group:
    table = Table("method")
    for heading in ("seconds", "squared error", "above the\noptimum", "centroids"):
        table.add_column(heading, justify="right")
    least = record["methods"][0]["squared_error"]
    for row in record["methods"]:
        table.add_row(
            row["method"],
            f"{row['seconds']:.2f}",
            f"{row['squared_error']:.6g}",
            f"{row['squared_error'] / least - 1:.3%}" if least else "",
            str(row["centroids"]),
        )
    total = (
        f"{record['weights']:,} weights, {record['codes']} codes: scikit-learn takes "
        f"{record['speedup']:.1f} times as long as the optimal clustering"
    )
    return Group(table, total)


def _draw(path: Path, values: _Floats, codes: int, seed: int, found: dict[str, _Floats]) -> None:
    """The distribution, and below it the centroids before and after."""
    from matplotlib.figure import Figure

    from sw.plots import COLOURS, INK, PALE, plain, write_png

    figure = Figure(figsize=(8, 6), layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    top.hist(values, 200, color=PALE, label="weights")
    top.set_ylabel("weights a bin", color=INK)
    plain(top, grid=False)
    share = top.twinx()
    order = np.quantile(values, levels := np.linspace(0, 1, 2000))
    share.plot(order, levels, color=INK, label="cumulative distribution")
    share.set_ylim(0, 1)
    share.set_ylabel("share of weights below", color=INK)
    plain(share, grid=False)
    top.set_title(f"{len(values):,} weights and {codes} centroids", color=INK)
    figure.legend(loc="outside upper right", frameon=False, ncols=2)
    lines = [("optimal", found["optimal"], COLOURS[2])]
    for start in INITIALISATIONS:
        lines.append((f"{start} start", starts(values, codes, start, seed), COLOURS[0]))
        lines.append((f"{start}, after Lloyd", found[f"Lloyd, {start}"], COLOURS[1]))
    for line, (_, centroids, colour) in enumerate(lines):
        below.plot(centroids, np.full(len(centroids), line), "|", color=colour, ms=12, mew=1.6)
    below.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    below.invert_yaxis()
    below.set_xlabel("weight", color=INK)
    plain(below)
    write_png(path, figure)
