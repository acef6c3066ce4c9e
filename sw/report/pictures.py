"""Pictures of a compressed layer: distributions as inline SVG, masks as PNG in data URIs."""

from __future__ import annotations

import base64
import io
import math
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from sw.coding import entries

from .account import LayerAccount

__all__ = ["Bitmap", "after", "before", "codes", "columns", "gaps", "mask"]

# Drawn in colours that stand for nothing but a style sheet's variables: it has a light and a dark
# scheme.
_INK, _FAINT, _CODE, _GAP, _PADDING, _PRUNED = (f"#0102{i:02x}" for i in range(6))
_VARIABLES = {
    _INK: "var(--ink-soft)",
    _FAINT: "var(--line)",
    _CODE: "var(--codes)",
    _GAP: "var(--gaps)",
    _PADDING: "var(--padding)",
    _PRUNED: "var(--pruned)",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the page's own font
    "svg.hashsalt": "thresher",  # the same picture in every run
    "font.size": 7.5,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "text.color": _INK,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
_INCHES = (3.7, 2.1)
_MARGINS = {"left": 0.2, "right": 0.98, "bottom": 0.21, "top": 0.92}
_BINS = 81
_MASK_RGB = (0x2B, 0x7B, 0xBA)  # legible on white and on black
_MASK_COLUMNS, _MASK_ROWS = 1000, 600  # most pixels of a mask
_ZOOM_MAX = 12
_STRONGEST = 0.995  # share of pixels that are paler
_SQUARE = 200  # most pixels of a picture of the inputs
_PICTURE_SIDE_MIN = 16


class Bitmap(NamedTuple):
    """A picture of which weights are there.

    Attributes
    ----------
    uri : str
        PNG; the more of the weights under a pixel are there, the less transparent it is.
    width, height : int
        As shown, in pixels of the page: `zoom` times those of the PNG.
    zoom : int
    block : int
        Rows, and columns, of weights under a pixel of the PNG.
    densest : float
        Share of weights that are there under the least transparent pixels, or under some, more.
    """

    uri: str
    width: int
    height: int
    zoom: int
    block: int
    densest: float


def after(of: LayerAccount, limits: tuple[float, float]) -> str:
    """How many weights have each value of the codebook (Han et al. 2016, figure 4).

    Parameters
    ----------
    limits : (least, greatest)
        Weights between which to draw.
    """

    def draw(axes: Axes) -> None:
        values = _codebook(of)
        counts = _counts(of)[0][1:]
        width = max(0.8, min(4.0, 120 / len(values)))
        nothing = np.full(len(values), np.nan)
        places, heights = [values, values, nothing], [np.zeros(len(values)), counts, nothing]
        # One line with breaks is far smaller than a line for each value.
        line = (np.stack(part, axis=1).ravel() for part in (places, heights))
        axes.plot(*line, color=_CODE, linewidth=width, solid_capstyle="butt")
        _rug(axes, values)
        axes.set(xlim=limits, ylim=(0, 1.08 * counts.max()), xlabel="weight", ylabel="weights")

    return _svg(draw, f"Weights of {of.title} after compression, by codebook value")


def before(of: LayerAccount, weights: NDArray[np.float64], limits: tuple[float, float]) -> str:
    """Histogram of float weights but zeros, those apart that are pruned now, and the codebook.

    The axis suits the weights that are left; the hump of those pruned may go beyond.

    Parameters
    ----------
    weights : (rows, columns) float64
        Before compression.
    limits : (least, greatest)
        Weights between which to draw.
    """

    def draw(axes: Axes) -> None:
        kept = of.layer.codes != 0
        edges = np.linspace(*limits, _BINS + 1)
        counts, _ = np.histogram(weights[kept & (weights != 0)], edges)
        pruned, _ = np.histogram(weights[~kept & (weights != 0)], edges)
        axes.stairs(counts + pruned, edges, fill=True, color=_PRUNED)
        axes.stairs(counts, edges, fill=True, color=_CODE)
        _rug(axes, _codebook(of))
        axes.set(xlim=limits, xlabel="weight", ylabel="weights a bin")
        _limit(axes, 1.6 * max(1, counts.max()), max(1, (counts + pruned).max()))

    return _svg(draw, f"Weights of {of.title} before compression")


def codes(of: LayerAccount) -> str:
    """How many entries have each code, padding being code 0 (Han et al. 2016, figure 5)."""

    def draw(axes: Axes) -> None:
        counts, _ = _counts(of)
        _bars(axes, 1, counts[1:], _CODE)
        _bars(axes, 0, counts[:1], _PADDING)
        _limit(axes, 1.6 * counts[1:].max(), counts.max())
        axes.set(xlabel="code (0: padding)", ylabel="entries", xlim=(-0.6, len(counts) - 0.4))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))

    return _svg(draw, f"Codes of the entries of {of.title}")


def gaps(of: LayerAccount) -> str:
    """How many entries that are not padding have each gap (Han et al. 2016, figure 5)."""

    def draw(axes: Axes) -> None:
        _, counts = _counts(of)
        _bars(axes, 0, counts, _GAP)
        most = max(1, len(counts) - 1)  # of a single gap, an axis would show fractions
        axes.set(xlabel="gap: zeros before the weight", ylabel="entries", xlim=(-0.6, most + 0.6))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))

    return _svg(draw, f"Gaps of the entries of {of.title}")


def mask(of: LayerAccount) -> Bitmap:
    """Which weights are there: a row of the picture is a row of weights, or of blocks of them."""
    present = of.layer.codes != 0
    block = max(
        1, math.ceil(present.shape[0] / _MASK_ROWS), math.ceil(present.shape[1] / _MASK_COLUMNS)
    )
    if block > 1:
        return _bitmap(_shares(present, block), block)
    return _bitmap(present.astype(np.float64), 1)


def columns(of: LayerAccount) -> Bitmap | None:
    """Share of the weights of each column that are there, where columns can be a square picture."""
    side = math.isqrt(of.layer.columns)
    if of.layer.convolution is not None or side**2 != of.layer.columns:
        return None
    if side < _PICTURE_SIDE_MIN:
        return None
    shares = (of.layer.codes != 0).mean(axis=0).reshape(side, side)
    return _bitmap(shares, 1, _SQUARE, _SQUARE)


def _codebook(of: LayerAccount) -> NDArray[np.float64]:
    """Weights (n,) of the codes from 1."""
    return np.ldexp(of.layer.codebook[1:].astype(np.float64), -of.layer.weight_fraction)


def _counts(of: LayerAccount) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    runs = entries.runs(of.layer.codes)
    return entries.counts(runs, len(of.layer.codebook), of.stored.gap_bits)


def _bars(axes: Axes, first: int, counts: NDArray[np.int64], colour: str) -> None:
    """A bar for each count, from place `first` on, all of them one path."""
    if not len(counts):
        return
    places = first + np.arange(len(counts))
    edges = np.stack([places - 0.4, places + 0.4], axis=1).ravel()
    heights = np.stack([counts, np.zeros_like(counts)], axis=1).ravel()[:-1]
    axes.stairs(heights, edges, fill=True, color=colour)


def _rug(axes: Axes, values: NDArray[np.float64]) -> None:
    """The codebook, as marks below the axis."""
    axes.plot(
        values,
        np.full(len(values), -0.04),
        transform=axes.get_xaxis_transform(),
        linestyle="",
        marker="|",
        markersize=5,
        markeredgewidth=0.8,
        color=_PADDING,
        clip_on=False,
    )
    axes.tick_params(axis="x", length=0, pad=8)


def _limit(axes: Axes, top: float, highest: float) -> None:
    """End the axis of counts at `top`, and say how high a bar goes that goes on."""
    axes.set_ylim(0, min(top, 1.08 * highest))
    if highest > top:
        note = f"up to {highest:,.0f}"
        axes.text(0.5, 1.0, note, transform=axes.transAxes, ha="center", va="bottom")


def _svg(draw: Callable[[Axes], None], title: str) -> str:
    """An <svg> element for a page; the title is escaped by matplotlib."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES)
        figure.subplots_adjust(**_MARGINS)
        axes = figure.add_subplot()
        draw(axes)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(_short))
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata={**nothing, "Title": title})
    return _inline(file.getvalue())


def _short(count: float, _: int | None = None) -> str:
    """A count beside an axis, where there is no room for seven digits."""
    return f"{count:,.0f}" if count < 1e6 else f"{count / 1e6:,.2g} M"


def _inline(svg: str) -> str:
    """What matplotlib wrote, as part of a page: its colours, its fonts, and ids that differ."""
    svg = svg[svg.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r' xmlns(:xlink)?="[^"]*"'):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg).replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    prefix = f"p{zlib.crc32(svg.encode()):08x}-"
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg)


def _shares(present: NDArray[np.bool_], block: int) -> NDArray[np.float64]:
    """Share of True in each block, those at the right and at the bottom being cut off."""
    sums = np.array([part.sum(axis=0) for part in _parts(present, block)])
    sums = np.array([part.sum(axis=0) for part in _parts(sums.T, block)]).T
    high, wide = (
        np.array([len(part) for part in _parts(np.arange(n), block)]) for n in present.shape
    )
    shares: NDArray[np.float64] = sums / np.outer(high, wide)
    return shares


def _parts(array: NDArray[np.generic], length: int) -> Iterator[NDArray[np.generic]]:
    return (array[start : start + length] for start in range(0, len(array), length))


def _bitmap(
    shares: NDArray[np.float64], block: int, columns: int = _MASK_COLUMNS, rows: int = _MASK_ROWS
) -> Bitmap:
    height, width = shares.shape
    # A block cut off at the edge may be far denser than all others, and would make them pale.
    densest = float(np.quantile(shares, _STRONGEST)) or float(shares.max())
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., :3] = _MASK_RGB
    pixels[..., 3] = np.rint(255 * np.minimum(1.0, shares / (densest or 1.0)))
    file = io.BytesIO()
    imsave(file, pixels, format="png")
    uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    zoom = max(1, min(columns // width, rows // height, _ZOOM_MAX))
    return Bitmap(uri, zoom * width, zoom * height, zoom, block, densest)
