"""What `thresher build --export` exports, and what it says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hw.config import AcceleratorConfig
from hw.export import Export
from sw.format import read
from sw.pack import pack_file

__all__ = ["packed", "shown"]


def packed(kind: str, config: AcceleratorConfig, model: Path | None) -> Export:
    """An export with the network of a file in its memories, or with empty ones.

    Parameters
    ----------
    kind : one of `hw.export.KINDS`

    Raises
    ------
    BadInput
        If the network does not fit.
    """
    if model is None:
        return Export(kind, config)
    image = pack_file(model, read(model), config)
    return Export(kind, config, image.contents, image.id, str(model))


def shown(summary: Mapping[str, Any], folder: Path) -> str:
    """The summary of an export for people."""
    files = summary["files"]
    memories = sum(name.endswith(".mem") for name in files)
    others = ", ".join(name for name in files if not name.endswith(".mem"))
    lines = [f"{folder}: {others}, {memories} files of memory contents"]
    lines.append(f"Top module {summary['top']}, {summary['address_bits']} address bits.")
    network = "memories empty"
    if summary["model"] is not None:
        network = f"memories hold {summary['model']['path']}"
    return "\n".join([*lines, f"{network}."])
