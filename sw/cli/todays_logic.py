"""Whether a build is of the logic that would be built today."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hw.project import Design, write_sources
from sw.errors import BadInput

__all__ = ["is_of_today"]


def is_of_today(folder: Path, design: Design) -> bool:
    """Whether the Verilog in the folder of a build is what a design would be written as today.

    Raises
    ------
    BadInput
        If there is none.
    """
    try:
        built = (folder / "top.v").read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{folder} has no top.v: build it anew") from None
    with tempfile.TemporaryDirectory() as scratch:
        write_sources(design, Path(scratch))
        return built == Path(scratch, "top.v").read_bytes()
