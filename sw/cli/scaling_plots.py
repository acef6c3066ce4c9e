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
_INCHES = (6.4, 4.8)
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
    for name in _PLOTS:
        drawn[name] = figure = Figure(figsize=_INCHES, layout="constrained")
        title, plot = _PLOTS[name]
        figure.suptitle(f"{title}: random layers, cycle model", color=INK, fontsize=10)
        plot(figure, record, names)
        figure.axes[0].legend(frameon=False, fontsize=8, labelcolor=INK)
        for axes in figure.axes:
            plain(axes)
    return drawn


def _speedup(figure: Figure, record: dict[str, Any], names: list[str]) -> None:
    """Speed-up as in EIE's figure 11, and below it per element, where the layers differ."""
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    elements = [row["elements"] for row in _of(record["sizes"], names[0])]
    axes.plot(
        elements,
        elements,
        color=INK,
        linewidth=0.8,
        linestyle=":",
        label="as many times as elements",
    )
    _curves(axes, record["sizes"], names, ("elements", "speedup"))
    alone = {row["layer"]: row["cycles"] for row in record["sizes"] if row["elements"] == 1}
    published = [{**row, "speedup": alone[row["layer"]] / row["cycles"]} for row in record["eie"]]
    _published(axes, published, names, ("elements", "speedup"))
    _published_key(axes, record["eie"], "its cycles against one element of this engine")
    for rows, draw_rows in ((record["sizes"], _curves), (published, _published)):
        shares = [{**row, "share": row["speedup"] / row["elements"]} for row in rows]
        draw_rows(below, shares, names, ("elements", "share"))
    _powers(axes.xaxis, elements)
    _powers(axes.yaxis, elements)
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    below.set_xlabel("processing elements", color=INK)
    below.set_ylabel("speed-up\nover elements", color=INK)
    axes.set_ylabel("speed-up over one\nelement of this engine", color=INK)


def _queues(figure: Figure, record: dict[str, Any], names: list[str]) -> None:
    axes = figure.subplots()
    _curves(axes, record["queues"], names, ("usable", "balance"))
    _published(axes, record["eie"], names, ("queue_depth", "balance"))
    _published_key(axes, record["eie"])
    _powers(axes.xaxis, [row["usable"] for row in _of(record["queues"], names[0])])
    _shares(axes)
    reserve = record["queue_reserve"]
    axes.set_xlabel(f"columns that a queue holds: its depth, here less {reserve}", color=INK)
    elements = record["eie"][0]["elements"]
    axes.set_ylabel(f"balance: busy share of {elements} elements' cycles", color=INK)


def _padding(figure: Figure, record: dict[str, Any], names: list[str]) -> None:
    axes = figure.subplots()
    _curves(axes, record["sizes"], names, ("elements", "real_work"))
    for place, name in enumerate(names):
        rows = _of(record["sizes"], name)
        axes.plot(
            [row["elements"] for row in rows],
            [row["eie_real_work"] for row in rows],
            color=COLOURS[place % len(COLOURS)],
            linewidth=_width(place, names),
            linestyle="--",
            marker=".",
        )
    stored = "stored as EIE does, counted"
    axes.plot([], [], color=INK, linewidth=1, linestyle="--", marker=".", label=stored)
    _published(axes, record["eie"], names, ("elements", "real_work"))
    _published_key(axes, record["eie"])
    _powers(axes.xaxis, [row["elements"] for row in _of(record["sizes"], names[0])])
    _shares(axes)
    axes.set_xlabel("processing elements", color=INK)
    axes.set_ylabel("share of the stored entries that are no padding", color=INK)


def _balance(figure: Figure, record: dict[str, Any], names: list[str]) -> None:
    axes = figure.subplots()
    _curves(axes, record["sizes"], names, ("elements", "balance"))
    depth, reserve = record["queue_depth"], record["queue_reserve"]
    ours = f"lines: this engine, queues of {depth}, {depth - reserve} usable"
    axes.plot([], [], color=INK, linewidth=1, marker=".", label=ours)
    _published(axes, record["eie"], names, ("elements", "balance"))
    _published_key(axes, record["eie"])
    _powers(axes.xaxis, [row["elements"] for row in _of(record["sizes"], names[0])])
    _shares(axes)
    axes.set_xlabel("processing elements", color=INK)
    axes.set_ylabel("balance: busy share of the elements' cycles", color=INK)


_PLOTS: dict[str, tuple[str, Callable[[Figure, dict[str, Any], list[str]], None]]] = {
    "speedup": ("Speed-up", _speedup),
    "queues": ("Depth of the queues", _queues),
    "padding": ("Padding", _padding),
    "balance": ("Load balance", _balance),
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
            markersize=3 + _width(place, names),
            linewidth=_width(place, names),
            label=name,
        )


def _width(place: int, names: list[str]) -> float:
    """Of a layer's line: those drawn first are the widest, so that they show under the others."""
    return 1.2 + 2.6 * (len(names) - 1 - place) / max(1, len(names) - 1)


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


def _published_key(axes: Axes, rows: list[_Row], what: str = "") -> None:
    """What the hollow marks are, for the legend."""
    like = rows[0]  # all are of one engine
    label = f"EIE, published, {like['elements']} elements, queues of {like['queue_depth']}"
    axes.plot(
        [],
        [],
        linestyle="",
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=INK,
        label=f"{label}:\n{what}" if what else label,
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
