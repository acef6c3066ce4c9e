"""What `thresher bench eie` shows of its layers: cycles, elements and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from hw.config import QUEUE_RESERVE
from sw.published import eie

from .output import counted

__all__ = ["eie_tables"]


def eie_tables(record: Mapping[str, Any]) -> Group:
    """The record of `bench_eie` for people."""
    agrees = "every output equal, to the bit" if record["agrees_with_golden"] else "DIFFERS"
    title = (
        f"{counted(record['lanes'], 'lane')} × {counted(record['groups'], 'group')}, "
        f"queues of {record['queue_depth']}, entries of {record['entry_bits']} bits; "
        f"golden model: {agrees}"
    )
    return Group(
        title,
        _cycles_table(record),
        "cycles of an element: least, mean, greatest",
        _elements_table(record["layers"]),
        "weights as stored; EIE's: 8 bits an entry, with its own padding",
        _memory_table(record["layers"]),
        f"{record['seconds']:,.0f} s in all; {record['simulated_cycles_per_second']:,.0f} cycles/s",
        *(f"· {note}" for note in _notes(record)),
    )


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What the layers are, and what is not EIE's."""
    depth, published = record["queue_depth"], eie()
    queues = (
        f"{depth - QUEUE_RESERVE} of the {depth} places of a queue are usable, "
        f"{QUEUE_RESERVE} are a reserve"
    )
    if record["seed"] is None:
        return [f"{queues}."]
    return [
        f"Random layers (seed {record['seed']}) of EIE's sizes and densities.",
        f"{queues}; EIE's have {published.queue_depth}, its entries {published.entry_bits} bits.",
        f"EIE's cycles are {published.clock_mhz:g} × its actual microseconds; its limit is from "
        "densities rounded to whole percents.",
    ]


def _table(*headings: str) -> Table:
    table = Table("layer")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _cycles_table(record: Mapping[str, Any]) -> Table:
    table = _table(
        "products",
        "limit\ncycles",
        "cycles",
        "ratio",
        "model\nerror",
        "EIE's\ncycles",
        "EIE's\nratio",
        "seconds",
    )
    for row in record["layers"]:
        theirs = row["eie"] or {"cycles": None, "ratio": None}
        table.add_row(
            row["name"],
            f"{row['products']:,}",
            f"{row['limit_cycles']:,.0f}",
            f"{row['cycles']:,}",
            _shown(row["ratio"], ".3f"),
            f"{row['predicted']['error']:.2%}",
            _shown(theirs["cycles"], ",.0f"),
            _shown(theirs["ratio"], ".3f"),
            f"{row['seconds']:.1f}",
        )
    table.add_section()
    means = (_shown(record[name], ".3f") for name in ("geometric_mean", "eie_geometric_mean"))
    table.add_row("geometric mean", "", "", "", next(means), "", "", next(means))
    return table


def _elements_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    kinds = ("busy", "starved", "stalled")
    table = _table(*(f"{kind}\n{end}" for kind in kinds for end in ("min", "mean", "max")))
    for row in layers:
        figures = [row[kind][end] for kind in kinds for end in ("min", "mean", "max")]
        table.add_row(row["name"], *(_shown(figure, ",.0f") for figure in figures))
    return table


def _memory_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(
        "entries",
        "padding",
        "weight\nbits",
        "EIE's\nentries",
        "EIE's\nweight bits",
        "pointer\nbits",
    )
    names = ("entries", "padding_entries", "weight_bits")
    for row in layers:
        shown = (f"{row[name]:,}" for name in (*names, "eie_entries", "eie_weight_bits"))
        table.add_row(row["name"], *shown, f"{row['pointer_bits']:,}")
    return table


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
