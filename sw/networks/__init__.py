"""The compressed networks that the project ships; README.md says how they were made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LENET5", "LENET300100", "NAMES", "path"]

NAMES = (
    "lenet300100-best",
    "lenet300100-deep-compression",
    "lenet5-best",
    "lenet5-deep-compression",
)


def path(name: str) -> Path:
    """File of the shipped network of that name, one of `NAMES`."""
    return Path(__file__).with_name(f"{name}.thr")


LENET300100 = path("lenet300100-best")
LENET5 = path("lenet5-best")
