"""What `thresher explore` prints for people."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from hw.boards import RESOURCES
from sw.report.space_notes import EXTRAPOLATED, count, model_notes

__all__ = ["show"]


def show(record: dict[str, Any], show_all: bool) -> Group:
    """The points, or those on the front alone, and what the figures are worth.

    Parameters
    ----------
    record : what `thresher explore --json` prints
    """
    points = record["points"]
    shown = points if show_all else [point for point in points if point["pareto"]]
    shown = sorted(shown, key=lambda p: p["cycles"]["mean"] if p["cycles"] else float("inf"))
    best = sum(point["pareto"] for point in points)
    where = "" if record["board"] is None else f" on {record['board']}"
    head = (
        f"{record['network']}, inputs: {record['inputs']:,}, each alone; "
        f"{count(len(points), 'engine')}{where}, {best} on the Pareto front of cycles and LUTs"
        + (" (marked)" if show_all else "; --all lists every one")
    )
    notes = (*_say_short(points), *model_notes(record, RESOURCES, shown))
    return Group(head, _table(record, shown), *notes)


def _table(record: dict[str, Any], points: Sequence[dict[str, Any]]) -> Table:
    resources = next(p["resources"] for p in record["points"] if p["resources"])
    table = Table()
    headings = ("lanes", "groups", "queue", "entry\nbits", "cycles\nmean", "cycles\nmax")
    for heading in (*headings, "memory\nkbit", *(RESOURCES[name] for name in resources)):
        table.add_column(heading, justify="right")
    table.add_column("")
    marked = any(point["extrapolated"] for point in points)
    for point in points:
        mark = "front" if point["pareto"] else "; ".join(point["short"])
        knobs = [str(point[name]) for name in record["grid"]]
        if point["resources"] is None:
            table.add_row(*knobs, *["-"] * (3 + len(resources)), mark)
            continue
        values = {name: f"{value:,g}" for name, value in point["resources"].items()}
        if marked:
            values["lut"] += EXTRAPOLATED if point["extrapolated"] else " "
        table.add_row(
            *knobs,
            f"{point['cycles']['mean']:,.1f}",
            f"{point['cycles']['max']:,}",
            f"{point['memory_bits'] / 1000:,.1f}",
            *values.values(),
            mark,
        )
    return table


def _say_short(points: Sequence[dict[str, Any]]) -> list[str]:
    """How many points do not fit, and for want of what."""
    refused = [point for point in points if point["resources"] is None]
    short = [point for point in points if point["resources"] is not None and not point["fits"]]
    said = []
    if short:
        wants = collections.Counter(text.split()[1] for point in short for text in point["short"])
        of = ", ".join(f"{name} in {number}" for name, number in sorted(wants.items()))
        do = "does" if len(short) == 1 else "do"
        said.append(f"{len(short):,} {do} not fit; too few are {of}.")
    for reason, number in collections.Counter(point["short"][0] for point in refused).items():
        said.append(f"{number} cannot be built: {reason}.")
    return said
