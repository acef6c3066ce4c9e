"""The four plots of `thresher bench scaling`, after EIE's figures 8, 11, 12 and 13."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sw.plots import COLOURS, INK, plain, write_png

__all__ = ["draw", "figures"]

_Row = dict[str, Any]
_INCHES = (6.4, 4.4)
_MARKS = "osD^vPX"


def draw(folder: Path, record: dict[str, Any]) -> list[Path]:
    """Draw the plots into a folder, which is made if it is not there; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(record).items():
        paths.append(folder / f"{name}.png")
        write_png(paths[-1], figure)
    return paths


def figures(record: dict[str, Any]) -> dict[str, Figure]:
    """The plots of a record of `thresher bench scaling`, by the names of their files."""
    names = [row["layer"] for row in record["eie"]]
    drawn = {}
    for name, plot in _PLOTS.items():
        drawn[name] = figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        plot(axes, record, names)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
        plain(axes)
    return drawn


def _speedup(axes: Axes, record: dict[str, Any], names: list[str]) -> None:
    elements = [row["elements"] for row in _of(record["sizes"], names[0])]
    axes.plot(elements, elements, color=INK, linewidth=0.8, linestyle=":", label="elements")
    _curves(axes, record["sizes"], names, ("elements", "speedup"))
    alone = {row["layer"]: row["cycles"] for row in record["sizes"] if row["elements"] == 1}
    published = [{**row, "speedup": alone[row["layer"]] / row["cycles"]} for row in record["eie"]]
    _published(axes, published, names, ("elements", "speedup"))
    _powers(axes.xaxis, elements)
    _powers(axes.yaxis, elements)
    axes.set_xlabel("processing elements", color=INK)
    axes.set_ylabel("speed-up over one element of this engine", color=INK)


def _queues(axes: Axes, record: dict[str, Any], names: list[str]) -> None:
    _curves(axes, record["queues"], names, ("usable", "balance"))
    _published(axes, record["eie"], names, ("queue_depth", "balance"))
    _powers(axes.xaxis, [row["usable"] for row in _of(record["queues"], names[0])])
    _shares(axes)
    reserve = record["queue_reserve"]
    axes.set_xlabel(f"columns that a queue holds: its depth, here less {reserve}", color=INK)
    elements = record["eie"][0]["elements"]
    axes.set_ylabel(f"balance: busy share of {elements} elements' cycles", color=INK)


def _padding(axes: Axes, record: dict[str, Any], names: list[str]) -> None:
    _curves(axes, record["sizes"], names, ("elements", "real_work"))
    for colour, name in zip(COLOURS, names, strict=False):
        rows = _of(record["sizes"], name)
        axes.plot(
            [row["elements"] for row in rows],
            [row["eie_real_work"] for row in rows],
            color=colour,
            linewidth=1,
            linestyle="--",
        )
    axes.plot([], [], color=INK, linewidth=1, linestyle="--", label="stored as EIE does, counted")
    _published(axes, record["eie"], names, ("elements", "real_work"))
    _powers(axes.xaxis, [row["elements"] for row in _of(record["sizes"], names[0])])
    _shares(axes)
    axes.set_xlabel("processing elements", color=INK)
    axes.set_ylabel("real work: weights over entries", color=INK)


def _balance(axes: Axes, record: dict[str, Any], names: list[str]) -> None:
    _curves(axes, record["sizes"], names, ("elements", "balance"))
    _published(axes, record["eie"], names, ("elements", "balance"))
    _powers(axes.xaxis, [row["elements"] for row in _of(record["sizes"], names[0])])
    _shares(axes)
    axes.set_xlabel("processing elements", color=INK)
    axes.set_ylabel(f"balance: busy share, queues of {record['queue_depth']}", color=INK)


_PLOTS: dict[str, Callable[[Axes, dict[str, Any], list[str]], None]] = {
    "speedup": _speedup,
    "queues": _queues,
    "padding": _padding,
    "balance": _balance,
}


def _of(rows: list[_Row], name: str) -> list[_Row]:
    return [row for row in rows if row["layer"] == name]


def _curves(axes: Axes, rows: list[_Row], names: list[str], axis: tuple[str, str]) -> None:
    """A line a layer."""
    for place, name in enumerate(names):
        own = _of(rows, name)
        axes.plot(
            *([row[key] for row in own] for key in axis),
            color=COLOURS[place % len(COLOURS)],
            marker=_MARKS[place % len(_MARKS)],
            markersize=4,
            label=name,
        )


def _published(axes: Axes, rows: list[_Row], names: list[str], axis: tuple[str, str]) -> None:
    """EIE's figures, one hollow mark a layer."""
    for place, name in enumerate(names):
        axes.plot(
            *([row[key] for row in _of(rows, name)] for key in axis),
            linestyle="",
            marker=_MARKS[place % len(_MARKS)],
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=COLOURS[place % len(COLOURS)],
        )
    like = rows[0]  # all are of one engine
    axes.plot(
        [],
        [],
        linestyle="",
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=INK,
        label=f"EIE, published, {like['elements']} elements, queues of {like['queue_depth']}",
    )


def _powers(axis: Any, ticks: list[int]) -> None:
    """A logarithmic axis with these ticks."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _shares(axes: Axes) -> None:
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
