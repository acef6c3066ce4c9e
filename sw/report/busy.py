"""What the elements of an engine did over time: a picture, and a page of HTML with it."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from sw.plots import COLOURS, INK, plain

if TYPE_CHECKING:
    from sim.utilisation import Utilisation

__all__ = ["Run", "figure", "layer_rows", "render"]

_COLOURS = {"busy": COLOURS[0], "stalled": COLOURS[1], "starved": "#eef0f3"}
_MARKS_MAX = 40  # more lines than these hide what is behind them
_LABELS_MAX = 12
_BINS_MAX = 1024  # narrower than these are no pixel any more
_DOTS_PER_INCH = 150


@dataclasses.dataclass(frozen=True)
class Run:
    """What is shown.

    Attributes
    ----------
    used : Utilisation
    layers : sequence of str
        Names.
    steps : sequence of int
        Which of them each instruction belongs to (`sw.image.Image.steps`).
    lanes, groups : int
    """

    used: Utilisation
    layers: Sequence[str]
    steps: Sequence[int]
    lanes: int
    groups: int

    @property
    def elements(self) -> int:
        return self.lanes * self.groups


def figure(run: Run) -> Figure:
    """Elements over time: blue as far as they are busy, orange as far as they are stalled.

    Above it the share of all elements. Dotted lines are where layers begin, solid ones where
    inputs do; if there are too many, layers are not marked, and then inputs neither.
    """
    height = 2.9 + min(6.0, max(1.2, 0.09 * run.elements))
    chart = Figure(figsize=(11, height), layout="constrained")
    above, below = chart.subplots(
        2, 1, sharex=True, height_ratios=(1.1, height - 2.6), squeeze=True
    )
    _draw_shares(above, run)
    _draw_elements(below, run)
    _mark(above, below, run)
    handles = [Patch(color=colour, label=name) for name, colour in _COLOURS.items()]
    chart.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return chart


def _shares(run: Run) -> tuple[NDArray[np.float64], int]:
    """Share of each bin in which an element was busy, stalled, starved; and the bins' cycles.

    (3, bins, elements); there are as many bins as the picture has room for.
    """
    used = run.used
    together = -(-len(used.busy) // _BINS_MAX)
    firsts = np.arange(0, len(used.busy), together)
    spans = np.maximum(1, np.add.reduceat(used.spans, firsts))[:, None]
    busy, stalled = (np.add.reduceat(part, firsts) / spans for part in (used.busy, used.stalled))
    return np.stack([busy, stalled, 1 - busy - stalled]), together * used.bin_cycles


def _draw_shares(axes: Axes, run: Run) -> None:
    shares, width = _shares(run)
    means = shares.mean(axis=2)
    edges = np.minimum(np.arange(means.shape[1] + 1) * width, run.used.cycles)
    low = np.zeros(means.shape[1])
    for name, share in zip(_COLOURS, means, strict=True):
        axes.stairs(low + share, edges, baseline=low, fill=True, color=_COLOURS[name])
        low = low + share
    axes.set(ylim=(0, 1.0), ylabel="share of\nelements", yticks=(0, 0.5, 1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    plain(axes, grid=False)


def _draw_elements(axes: Axes, run: Run) -> None:
    colours = np.array([to_rgb(colour) for colour in _COLOURS.values()])
    shares, width = _shares(run)
    picture = np.einsum("kbe,kc->ebc", shares, colours).clip(0, 1)
    # The last bin is drawn as wide as the others, and cut off.
    extent = (0, shares.shape[1] * width, run.elements - 0.5, -0.5)
    axes.imshow(picture, aspect="auto", extent=extent, interpolation="nearest")
    for group in range(1, run.groups):
        axes.axhline(group * run.lanes - 0.5, color="white", linewidth=1.5)
    axes.set(xlim=(0, run.used.cycles), xlabel="clock cycles of running", ylabel=_elements(run))
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    plain(axes, grid=False)


def _elements(run: Run) -> str:
    return "element" if run.groups == 1 else f"element, {run.groups} groups"


def _mark(above: Axes, below: Axes, run: Run) -> None:
    """Where inputs and layers begin, and, if there is room, the names of layers."""
    begins, instructions = run.used.starts.T
    first = instructions == 0
    if len(begins) > _MARKS_MAX:
        begins, instructions = begins[first], instructions[first]
        first = instructions == 0
    if len(begins) > _MARKS_MAX:
        return
    for begin, new in zip(begins, first, strict=True):
        for axes in (above, below):
            style = "-" if new else (0, (2, 2))
            axes.axvline(begin, color=INK, linewidth=0.8, linestyle=style)
    if len(begins) <= _LABELS_MAX and not first.all():
        for begin, instruction in zip(begins, instructions, strict=True):
            _label(above, begin, run.layers[run.steps[instruction]])


def _label(axes: Axes, begin: float, name: str) -> None:
    short = name if len(name) <= 14 else f"{name[:13]}…"
    # Names may hold what Matplotlib takes for mathematics.
    axes.text(
        *(begin, 1.05, short.replace("$", r"\$")),
        transform=axes.get_xaxis_transform(),
        fontsize=8,
        color=INK,
    )


def layer_rows(run: Run) -> list[dict[str, Any]]:
    """For each layer, in all inputs together: cycles, and what the elements did in them.

    `busy`, `stalled` and `starved` are summed over the elements, as `hw.regmap.COUNTERS` are;
    `least` and `most` are the busy cycles of single elements.
    """
    used = run.used
    ends = np.append(used.starts[1:, 0], used.cycles)
    cycles = np.bincount(
        used.starts[:, 1], ends - used.starts[:, 0], minlength=len(used.layer_busy)
    ).astype(np.int64)
    rows = []
    steps = np.array(run.steps[: len(cycles)])
    for layer in np.unique(steps):
        own = np.flatnonzero(steps == layer)
        busy, stalled = used.layer_busy[own].sum(axis=0), used.layer_stalled[own].sum(axis=0)
        took = int(cycles[own].sum())
        done = int(busy.sum()), int(stalled.sum())
        rows.append(
            {
                "name": run.layers[layer],
                "cycles": took,
                "busy": done[0],
                "stalled": done[1],
                "starved": took * run.elements - sum(done),
                "least": int(busy.min()),
                "most": int(busy.max()),
            }
        )
    return rows


def render(run: Run, name: str, report: Mapping[str, Any]) -> str:
    """The page, which needs nothing else.

    Parameters
    ----------
    name : str
        Of the network's file.
    report : mapping
        What `sim.simulate.Simulation.report` returned.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    text = resources.files("sw.report").joinpath("busy.html").read_text("utf-8")
    file = io.BytesIO()
    figure(run).savefig(file, format="png", dpi=_DOTS_PER_INCH)
    return environment.from_string(text).render(
        run=run,
        name="".join(c if c.isprintable() else "\ufffd" for c in name),
        of=report,
        rows=layer_rows(run),
        marked=_marked(run),
        bin_cycles=_shares(run)[1],
        picture=base64.b64encode(file.getvalue()).decode(),
    )


def _marked(run: Run) -> str:
    starts = run.used.starts
    if len(starts) <= _MARKS_MAX:
        return "A solid line is where an input begins, a dotted one where a layer does."
    if np.count_nonzero(starts[:, 1] == 0) <= _MARKS_MAX:
        return "A line is where an input begins; there are too many layers to mark them."
    return "There are too many inputs to mark where they begin."
