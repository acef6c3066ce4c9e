"""What `thresher bench resources` measured, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from hw import boards

from .resource_table import used_words

__all__ = ["WHOLE", "show"]

WHOLE = "engine"  # among the blocks


def show(record: Mapping[str, Any]) -> Group:
    """Tables of every section in a record as `thresher bench resources --json` gives it."""
    shown: list[RenderableType] = []
    for preset, counted in record.get("presets", {}).items():
        for family, rows in counted.items():
            shown += [f"preset {preset}, {family}", _table(rows)]
    for row in record.get("lanes", []):
        rows = dict(row.get("blocks", {}))
        if "engine" in row:
            rows[WHOLE] = {"copies": 1, "used": row["engine"]}
        title = f"{row['lanes']} lanes × {row['groups']} groups, {row['family']}"
        if "engine" in row:
            title += f": {row['engine']['lut'] / row['elements']:,.0f} LUT over elements"
        shown += [title, _table(rows)]
    for name, row in record.get("boards", {}).items():
        used = used_words(row["used"], boards.BOARDS[name].capacity)
        shown.append(f"{name}, whole: {used}")
    routed = [record["routed"]] if "routed" in record else []
    for row in routed + record.get("routed_lanes", []):
        shown += [*_clocks(row)]
    if "largest" in record:
        row = record["largest"]
        shown.append(
            f"most elements in the {row['part']} with {row['network']}: {row['elements']}, "
            f"{row['lanes']} lanes × {row['groups']} groups: "
            f"{used_words(row['used'], row['capacity'])}"
        )
    return Group(*shown)


def _table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("block")
    used = next(iter(rows.values()))["used"]
    for heading in ("copies", *(boards.RESOURCES[name] for name in used)):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(name, f"{row['copies']}", *(f"{n:,g}" for n in row["used"].values()))
    return table


def _clocks(row: Mapping[str, Any]) -> list[RenderableType]:
    table = Table("seed")
    for heading in ("MHz", "logic ns", "routing ns"):
        table.add_column(heading, justify="right")
    table.add_column("slowest path")
    for each in row["seeds"]:
        path = each["slowest"]
        routing = path["ns"].get("routing", 0.0)
        logic = sum(path["ns"].values()) - routing
        most = ", ".join(f"{name} {share:.0%}" for name, share in list(path["blocks"].items())[:3])
        ends = f"{path['from']} to {path['to']}\nthrough {most}"
        mhz = f"{each['fmax_mhz']:.2f}"
        table.add_row(f"{each['seed']}", mhz, f"{logic:.2f}", f"{routing:.2f}", ends)
    how = f" with {row['options']}" if row["options"] else ""
    title = (
        f"{row['board']} ({row['part']}), {row['lanes']} lanes × {row['groups']} groups, "
        f"routed{how}: median {row['median_mhz']:.2f} MHz, best {row['best_mhz']:.2f} MHz; "
        f"{used_words(row['used'])}"
    )
    return [title, table]
