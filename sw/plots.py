"""What the plots of all verbs have in common."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .errors import BadInput
from .format import write_file

__all__ = ["COLOURS", "INK", "PALE", "check_png", "plain", "write_png"]

# Okabe and Ito's: told apart with any colour vision, and in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
INK = "#303030"
PALE = "#d4d9de"

_DOTS_PER_INCH = 150


def plain(axes: Axes, grid: bool = True) -> None:
    """Take away from axes what says nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(color=PALE, labelcolor=INK)
    if grid:
        axes.grid(color=PALE, linewidth=0.6, alpha=0.7)
        axes.set_axisbelow(True)


def check_png(path: Path) -> None:
    """Refuse a name that is not a PNG's, before any work is done.

    Raises
    ------
    BadInput
        Naming the file.
    """
    if path.suffix.lower() != ".png":
        raise BadInput(f"{path} is not a name for a plot: plots are PNG, so end it in .png")


def write_png(path: Path, figure: Figure) -> None:
    """Write a figure to a file; the file is whole or not touched.

    Raises
    ------
    BadInput
        If it cannot be written.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH)
    write_file(path, file.getvalue())
