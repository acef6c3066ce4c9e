"""The folder of an export: what may be written over."""

import json
from pathlib import Path

from ..config import ConfigError

__all__ = ["SUMMARY", "ExportError", "check_folder"]

SUMMARY = "summary.json"
"""The file that lists the others under `files`."""


class ExportError(ConfigError):
    """What is asked for cannot be exported, or not to there."""


def check_folder(folder: Path) -> None:
    """Refuse a place that holds anything else than a former export.

    Raises
    ------
    ExportError
        Naming what is there.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder} is a file; -o must name a folder that is new, or an export")
    there = {path.name for path in folder.iterdir()}
    try:
        former = {SUMMARY, *json.loads((folder / SUMMARY).read_text())["files"]}
        former.add("__pycache__")  # of the LiteX module, where it was imported
    except (OSError, ValueError, KeyError, TypeError):
        former = set()
    if strangers := sorted(there - former):
        raise ExportError(
            f"{folder} holds {strangers[0]}, which no export wrote: give -o another folder, "
            "or move it away"
        )
