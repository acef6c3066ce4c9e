"""`thresher bench scaling`: EIE's layers on 1 to 256 processing elements, and on deeper queues."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import joblib
from rich.console import Group
from rich.table import Table

from hw.config import QUEUE_RESERVE, AcceleratorConfig
from sim.scaling import ELEMENTS, Point, measure
from sw.errors import BadInput
from sw.published import EieLayer, eie

from .bench_eie import chosen_layers
from .options import seed_option
from .output import check_folder, emit, json_option
from .simulate import progress_bar

__all__ = ["scaling"]

_DEFAULT = "Alex-7,VGG-6,NT-We"
_USABLE = tuple(1 << power for power in range(9))  # places of a queue, as EIE's figure 8 has them
_MODEL = (
    "By the cycle model. Where both are run it equals the RTL cycle for cycle: in tests on up to 8 "
    "lanes × 4 groups, in thresher bench eie on these very layers and 64 × 1. Other sizes are not "
    "compared."
)
_QUEUES = (
    f"The feeder goes on while no queue of N places holds more than N - {QUEUE_RESERVE} columns, "
    f"since {QUEUE_RESERVE} may be on their way: those are the usable places, by which the queues "
    "are compared with EIE's."
)


@click.command(
    short_help="EIE's layers on 1 to 256 elements, and over the depth of the queues.",
    epilog="""
    \b
    Examples:
      thresher bench scaling -o build/scaling
          two tables, and four plots after EIE's figures 8, 11, 12 and 13
      thresher bench scaling --layers NT-LSTM --queue 32 --json
    """,
)
@click.option(
    "--layers",
    metavar="NAME,NAME,...",
    default=_DEFAULT,
    show_default=True,
    help="Layers of thresher bench eie.",
)
@click.option(
    "--queue",
    "queue_depth",
    metavar="N",
    type=int,
    default=64,
    show_default=True,
    help="Depth of the queues where it is not what varies.",
)
@click.option(
    "--entry-bits", metavar="B", type=int, default=10, show_default=True, help="Code and gap."
)
@seed_option("the random layers")
@click.option(
    "-o",
    "--plot",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for speedup.png, queues.png, padding.png and balance.png.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    help="Layers and engines measured at a time.  [default: one a core]",
)
@json_option
def scaling(
    layers: str, folder: Path | None, jobs: int | None, as_json: bool, **knobs: int
) -> None:
    """How cycles, padding and balance change with the number of elements and the queues.

    Layers are those of thresher bench eie, on 1, 4, 16, 64 and 256 elements, in one group up to 64
    and in four beyond. Queues of 1 to 256 usable places are tried on 64 elements. Balance is the
    share of the elements' cycles in which they execute entries, padding included; speed-up is over
    one element. A layer of which an element cannot hold its share is computed in parts, each with
    some of the rows, and their cycles are added.

    All of it is from the cycle model, which was compared with the RTL on up to 8 lanes × 4 groups
    and on 64 × 1, and equals it there. EIE's published figures are for 64 elements and queues of 8:
    its balance is its theoretical time over its actual time, its padding what lies between its
    theoretical time and the products of the published densities. How much padding EIE's storage
    needs for the same weights on so many elements is counted here: row r in element r mod n, gaps
    of 4 bits.

    JSON: `queue_depth`, `entry_bits`, `seed`, `model`, `queue_reserve`, `sizes`, `queues` and
    `eie`, and `plots`. An item of `sizes` has `layer`, `elements`, `lanes`, `groups`, `parts`,
    `products`, `limit_cycles`, `cycles`, `speedup`, `balance`, `weights`, `entries`,
    `real_work` (weights over entries), `eie_entries`, `eie_real_work`; one of `queues` has
    `layer`, `usable`, `queue_depth`, `cycles`, `balance`; one of `eie` has `layer`, `elements`,
    `queue_depth`, `cycles`, `balance`, `real_work`.
    """
    chosen = chosen_layers(layers)
    for knob in ("queue_depth", "entry_bits"):
        least, most = AcceleratorConfig.limits(knob)
        if not least <= knobs[knob] <= most:
            raise BadInput(f"{knob} is {knobs[knob]}; it must be from {least} to {most}")
    if folder is not None:
        check_folder(folder)
    points = _measure(chosen, knobs, jobs or os.cpu_count() or 1)
    record = {
        **knobs,
        "model": _MODEL,
        "queue_reserve": QUEUE_RESERVE,
        "sizes": _sizes(points, knobs["queue_depth"]),
        "queues": _queues(points),
        "eie": [_published(layer) for layer in chosen],
        "plots": [],
    }
    if folder is not None:
        from .scaling_plots import draw  # matplotlib takes long to import

        record["plots"] = draw(folder, record)
    emit(record, _show(record), as_json)


def _measure(layers: list[EieLayer], knobs: dict[str, int], jobs: int) -> list[Point]:
    """Every layer on every number of elements.

    Parameters
    ----------
    knobs : `queue_depth`, `entry_bits` and `seed`
    jobs : measurements at a time
    """
    queue = knobs["queue_depth"]
    deep = sorted({queue, *(usable + QUEUE_RESERVE for usable in _USABLE)})
    # The longest first, so that no processor is idle at the end.
    cases = [
        (layer, elements, deep if elements == eie().elements else [queue])
        for layer in sorted(layers, key=lambda layer: -layer.inputs * layer.outputs)
        for elements in ELEMENTS
    ]
    workers = joblib.Parallel(min(jobs, len(cases)), return_as="generator_unordered")
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=len(cases))
        points = []
        for point in workers(
            joblib.delayed(measure)(layer, knobs["seed"], elements, knobs["entry_bits"], depths)
            for layer, elements, depths in cases
        ):
            points.append(point)
            bar.update(task, advance=1, description=f"{point.layer} × {point.elements}")
    order = [layer.name for layer in layers]
    return sorted(points, key=lambda point: (order.index(point.layer), point.elements))


def _sizes(points: list[Point], queue: int) -> list[dict[str, Any]]:
    alone = {point.layer: point.cycles[queue] for point in points if point.elements == 1}
    return [
        {
            "layer": point.layer,
            "elements": point.elements,
            "lanes": point.lanes,
            "groups": point.groups,
            "parts": point.parts,
            "products": point.products,
            "limit_cycles": point.products / point.elements,
            "cycles": point.cycles[queue],
            "speedup": alone[point.layer] / point.cycles[queue],
            "balance": point.balance(queue),
            "weights": point.weights,
            "entries": point.entries,
            "real_work": point.weights / point.entries,
            "eie_entries": point.eie_entries,
            "eie_real_work": point.weights / point.eie_entries,
        }
        for point in points
    ]


def _queues(points: list[Point]) -> list[dict[str, Any]]:
    return [
        {
            "layer": point.layer,
            "usable": usable,
            "queue_depth": usable + QUEUE_RESERVE,
            "cycles": point.cycles[usable + QUEUE_RESERVE],
            "balance": point.balance(usable + QUEUE_RESERVE),
        }
        for point in points
        if point.elements == eie().elements
        for usable in _USABLE
    ]


def _published(layer: EieLayer) -> dict[str, Any]:
    """What EIE's tables say of a layer."""
    published = eie()
    theoretical = published.clock_mhz * layer.theoretical_us
    return {
        "layer": layer.name,
        "elements": published.elements,
        "queue_depth": published.queue_depth,
        "cycles": published.cycles(layer),
        "balance": layer.theoretical_us / layer.actual_us,
        "real_work": layer.products / published.elements / theoretical,
    }


def _show(record: dict[str, Any]) -> Group:
    sizes = Table("layer")
    for heading in (
        "elements",
        "lanes ×\ngroups",
        "cycles",
        "over\nlimit",
        "speed-up",
        "balance",
        "real\nwork",
        "real work,\nEIE's way",
    ):
        sizes.add_column(heading, justify="right")
    for row in record["sizes"]:
        sizes.add_row(
            row["layer"],
            str(row["elements"]),
            f"{row['lanes']} × {row['groups']}",
            f"{row['cycles']:,}",
            f"{row['cycles'] / row['limit_cycles']:.3f}" if row["products"] else "-",
            f"{row['speedup']:.1f}",
            f"{row['balance']:.1%}",
            f"{row['real_work']:.1%}",
            f"{row['eie_real_work']:.1%}",
            end_section=row["elements"] == max(ELEMENTS),
        )
    parts = max(row["parts"] for row in record["sizes"])
    return Group(
        _MODEL,
        f"Queues of {record['queue_depth']} places; real work: weights over entries.",
        sizes,
        *([f"On few elements layers are computed in parts, up to {parts}."] if parts > 1 else []),
        "",
        f"Balance on {eie().elements} elements. {_QUEUES}",
        _queue_table(record),
        *(f"plot: {path}" for path in record["plots"]),
    )


def _queue_table(record: dict[str, Any]) -> Table:
    table = Table("usable")
    table.add_column("queue\ndepth", justify="right")
    names = [row["layer"] for row in record["eie"]]
    for name in names:
        table.add_column(name, justify="right")
    balance = {(row["layer"], row["usable"]): row["balance"] for row in record["queues"]}
    for usable in _USABLE:
        shown = (f"{balance[name, usable]:.1%}" for name in names)
        table.add_row(str(usable), str(usable + QUEUE_RESERVE), *shown)
    table.add_section()
    published = (f"{row['balance']:.1%}" for row in record["eie"])
    table.add_row("EIE", str(eie().queue_depth), *published)
    return table
