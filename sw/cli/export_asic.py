"""What `thresher build --export asic` says of an export."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

__all__ = ["shown"]


def shown(summary: dict[str, Any]) -> Group:
    memories = Table("memory", title="Black boxes", title_justify="left")
    for heading in ("instances", "bits of each", "bits of all"):
        memories.add_column(heading, justify="right")
    for memory in summary["memories"]:
        number, bits = memory["instances"], memory["bits"]
        memories.add_row(memory["module"], f"{number:,}", f"{bits:,}", f"{number * bits:,}")
    parts: list[RenderableType] = [memories]
    if summary["synthesis"] is not None:
        parts.append(_area(summary["synthesis"]))
    return Group(*parts, f"Files: {summary['folder']}")


def _area(synthesis: dict[str, Any]) -> Table:
    title = "Area, each block with its parts, memories not counted"
    table = Table("block", title=title, title_justify="left")
    for heading in ("instances", "cells", "area", "share", "memories", "their bits"):
        table.add_column(heading, justify="right")
    for block in synthesis["blocks"]:
        name, whole = block["block"], block["block"] == synthesis["blocks"][0]["block"]
        table.add_row(
            name if whole else "  " * (name.count("/") + 1) + name.rpartition("/")[2],
            f"{block['instances']:,}",
            f"{block['cells']:,}",
            f"{block['area']:,.1f}",
            f"{block['area'] / (synthesis['area'] or 1):.1%}",
            f"{block['memories']:,}",
            f"{block['memory_bits']:,}",
        )
    return table
