"""The design space as a plot, and as one page of HTML that needs nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sw.plots import COLOURS, INK, plain

from .space_notes import EXTRAPOLATED, count, model_notes

__all__ = ["figure", "render"]

_Point = Mapping[str, Any]
_KeyPair = tuple[Mapping[int, str], Mapping[int, str]]  # colours of groups, markers of lanes

_MARKERS = "osD^vPX*<>"
_WIDTH, _HEIGHT = 900, 520  # of the page's plot
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 20, 16, 52
_LABEL = (54, 18)  # width and height of a label


def figure(record: Mapping[str, Any]) -> Figure:
    """LUTs over cycles; a colour for each number of groups, a marker for each of lanes.

    Parameters
    ----------
    record : what `thresher explore --json` prints
    """
    keys = _keys(record, "groups", COLOURS), _keys(record, "lanes", _MARKERS)
    chart = Figure(figsize=(9, 5.6), layout="constrained")
    axes = chart.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    _draw_points(axes, record, keys)
    _annotate(axes, record)
    _decorate(chart, record, keys)
    return chart


def _draw_points(axes: Axes, record: Mapping[str, Any], keys: _KeyPair) -> None:
    points, (colours, markers) = _built(record), keys
    best = _front(points)
    axes.step(
        [point["cycles"]["mean"] for point in best],
        [point["resources"]["lut"] for point in best],
        where="post",
        color=INK,
        linewidth=1,
        zorder=1,
    )
    for point in points:
        colour = colours[point["groups"]]
        axes.plot(
            point["cycles"]["mean"],
            point["resources"]["lut"],
            marker=markers[point["lanes"]],
            markersize=8 if point["pareto"] else 5,
            markerfacecolor=colour if point["fits"] else "none",
            markeredgecolor=INK if point["pareto"] else colour,
            alpha=1 if point["pareto"] else 0.45,
            zorder=3 if point["pareto"] else 2,
        )
        if point["extrapolated"]:
            axes.plot(
                point["cycles"]["mean"],
                point["resources"]["lut"],
                marker="o",
                markersize=2,
                color="white" if point["fits"] else colour,
                zorder=3 if point["pareto"] else 2,
            )


def _annotate(axes: Axes, record: Mapping[str, Any]) -> None:
    """Shapes of engines on the front, and the LUTs that the board has."""
    across, up = _axes(record)
    axes.set(xlim=(across.low, across.high), ylim=(up.low, up.high))
    style: dict[str, Any] = {"fontsize": 8, "color": INK, "ha": "right"}
    for point, _, _ in _labelled(_front(_built(record)), across, up):
        axes.annotate(
            f"{point['lanes']} × {point['groups']}",
            (point["cycles"]["mean"], point["resources"]["lut"]),
            xytext=(-6, -5),
            textcoords="offset points",
            va="top",
            **style,
        )
    limit = record["capacity"].get("lut")
    if limit is not None and up.holds(limit):
        axes.axhline(limit, color=INK, linewidth=0.8, linestyle=":")
        axes.text(
            *(0.995, limit, f"{record['board']}: {limit:,} LUT"),
            transform=axes.get_yaxis_transform(),
            va="bottom",
            **style,
        )


def _decorate(chart: Figure, record: Mapping[str, Any], keys: _KeyPair) -> None:
    """Axes, title and legend."""
    (axes,) = chart.axes
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"cycles of one input alone, mean of {record['inputs']:,}", color=INK)
    axes.set_ylabel(f"LUT, predicted for {record['family']}", color=INK)
    axes.set_title(_title(record), color=INK)
    plain(axes)
    style: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    colours, markers = keys
    handles = [
        *(
            Line2D([], [], marker=marker, color=INK, label=count(lanes, "lane"), **style)
            for lanes, marker in markers.items()
        ),
        *(
            Line2D([], [], marker="o", color=colour, label=count(groups, "group"), **style)
            for groups, colour in colours.items()
        ),
        Line2D([], [], color=INK, linewidth=1, label="Pareto front"),
    ]
    style |= {"marker": "o", "color": INK}
    if any(not point["fits"] for point in _built(record)):
        handles.append(Line2D([], [], label="does not fit", markerfacecolor="none", **style))
    if any(point["extrapolated"] for point in _built(record)):
        style |= {"markerfacecolor": "white", "markeredgewidth": 2}
        handles.append(Line2D([], [], label="extrapolated", **style))
    chart.legend(handles=handles, loc="outside right upper", frameon=False, labelcolor=INK)


def render(record: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The page.

    Parameters
    ----------
    record : what `thresher explore --json` prints
    titles : of resources, as `hw.boards.RESOURCES`
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,g}"
    environment.filters["number_of"] = count
    template = environment.from_string(
        resources.files("sw.report").joinpath("space.html").read_text("utf-8")
    )
    points, built = record["points"], _built(record)
    return template.render(
        of=record,
        name=_title(record),
        front=_front(built),
        points=sorted(points, key=lambda p: p["cycles"]["mean"] if p["cycles"] else math.inf),
        resources={name: titles[name] for name in built[0]["resources"]},
        notes=model_notes(record, titles, points),
        star=EXTRAPOLATED,
        extrapolated=any(point["extrapolated"] for point in built),
        plot=_plot(record),
        fitting=sum(point["fits"] for point in points),
    )


def _plot(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the page's plot is drawn of, in its own units."""
    points = _built(record)
    across, up = _axes(record)
    limit = record["capacity"].get("lut")
    colours = _keys(record, "groups", COLOURS)
    drawn = [
        {
            "point": point,
            "x": across.place(point["cycles"]["mean"]),
            "y": up.place(point["resources"]["lut"]),
            "colour": list(colours).index(point["groups"]) % len(COLOURS),
        }
        # What is on the front is drawn last, over the others.
        for point in sorted(points, key=lambda point: bool(point["pareto"]))
    ]
    best = _front(points)
    corners = [
        (across.place(point["cycles"]["mean"]), up.place(point["resources"]["lut"]))
        for point in best
    ]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": _HEIGHT - _BOTTOM,
        "points": drawn,
        "line": _steps(corners),
        "labels": _labelled(best, across, up),
        "across": across.ticks(),
        "up": up.ticks(),
        "limit": None if limit is None or not up.holds(limit) else up.place(limit),
        "groups": [(groups, place % len(COLOURS)) for place, groups in enumerate(colours)],
    }


def _axes(record: Mapping[str, Any]) -> tuple[_Axis, _Axis]:
    """Cycles across, LUTs up."""
    points = _built(record)
    cycles = [point["cycles"]["mean"] for point in points]
    luts = [point["resources"]["lut"] for point in points]
    return _Axis(cycles, _LEFT, _WIDTH - _RIGHT), _Axis(luts, _HEIGHT - _BOTTOM, _TOP)


class _Axis:
    """A logarithmic axis that holds some values, with a little room.

    Attributes
    ----------
    low, high : the least and the greatest value that it shows
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        room = 1.3
        self.low, self.high = min(values) / room, max(values) * room
        self._start = start
        self._slope = (end - start) / math.log(self.high / self.low)

    def place(self, value: float) -> float:
        return round(self._start + self._slope * math.log(value / self.low), 1)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self) -> list[tuple[str, float]]:
        """Labels and places: as few as 1, 2, 5, 10, ... give three of, or else more."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(n / 10 for n in range(10, 100))):
            values = [step * 10**decade for decade in decades for step in steps]
            inside = [value for value in values if self.holds(value)]
            if len(inside) >= 3:
                break
        return [(f"{value:,g}", self.place(value)) for value in inside]


def _steps(corners: Sequence[tuple[float, float]]) -> str:
    """Points of a line that goes right, then down, through all corners."""
    line = [f"{x},{y}" for x, y in corners[:1]]
    for (_, above), (x, y) in itertools.pairwise(corners):
        line += [f"{x},{above}", f"{x},{y}"]
    return " ".join(line)


def _built(record: Mapping[str, Any]) -> list[_Point]:
    """The points that are engines."""
    return [point for point in record["points"] if point["resources"] is not None]


def _front(points: Sequence[_Point]) -> list[_Point]:
    """The Pareto front, the fastest first."""
    best = [point for point in points if point["pareto"]]
    return sorted(best, key=lambda point: float(point["cycles"]["mean"]))


def _labelled(
    best: Sequence[_Point], across: _Axis, up: _Axis
) -> list[tuple[_Point, float, float]]:
    """Points of the front whose shapes can be written beside them, and where they are."""
    chosen: list[tuple[_Point, float, float]] = []
    for point in best:
        x, y = across.place(point["cycles"]["mean"]), up.place(point["resources"]["lut"])
        width, height = _LABEL
        if all(abs(x - a) >= width or abs(y - b) >= height for _, a, b in chosen):
            chosen.append((point, x, y))
    return chosen


def _keys(record: Mapping[str, Any], knob: str, signs: Sequence[str]) -> dict[int, str]:
    """A sign for each value of a knob."""
    values = record["grid"][knob]
    return {value: signs[place % len(signs)] for place, value in enumerate(values)}


def _title(record: Mapping[str, Any]) -> str:
    name = "".join(c if c.isprintable() else "\ufffd" for c in str(record["network"]))
    text = f"{name}: {count(len(record['points']), 'engine')}"
    return text if record["board"] is None else f"{text} for {record['board']}"
