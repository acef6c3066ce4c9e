"""The account of a compressed network as one page of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from . import kinds, pictures, wiring
from .account import PARTS, Account, LayerAccount
from .sizes import FORMS

__all__ = ["render"]

_PART_NAMES = {
    "codes": "codes",
    "gaps": "gaps",
    "tables": "tables of codewords",
    "codebook": "codebook",
    "bias": "biases",
    "header": "headers and checksums",
    "filling": "filling of last bytes",
}


def render(
    of: Account,
    name: str,
    plain: Mapping[str, int],
    best: Mapping[str, int],
    before: Sequence[NDArray[np.float64]] | None = None,
) -> str:
    """The page.

    Parameters
    ----------
    name : str
        Of the file.
    plain, best : mapping
        What `sw.report.sizes` measured.
    before : sequence of (rows, columns) float64, optional
        Weights of each layer before compression.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": _count,
        "size": _size,
        "tick": _tick,
        "percent": _percent,
        "bits": _bits,
    }
    template = environment.from_string(
        resources.files("sw.report").joinpath("report.html").read_text("utf-8")
    )
    weights = [None] * len(of.layers) if before is None else before
    return template.render(
        of=of,
        name="".join(c if c.isprintable() else "\ufffd" for c in name),
        parts=_PART_NAMES,
        bars=_bars(of),
        stages=_stages(of),
        sizes=_sizes(of, plain, best),
        structure=_structure(of),
        layers=[_layer(of, *each) for each in zip(range(len(weights)), weights, strict=True)],
        inputs=pictures.columns(of.layers[0]) if of.layers[0].nonzeros else None,
        compared=before is not None,
    )


def _bars(of: Account) -> list[dict[str, Any]]:
    """For each layer, the share of its parts in the width of the longest bar."""
    longest = max(layer.stored.bytes for layer in of.layers)
    return [
        {
            "layer": layer,
            "parts": [
                (part, getattr(layer.stored, part), 100 * getattr(layer.stored, part) / 8 / longest)
                for part in PARTS
                if getattr(layer.stored, part)
            ],
        }
        for layer in of.layers
    ]


def _stages(of: Account) -> dict[str, Any]:
    """Bars of the sizes on a logarithmic axis, in percent of its width."""
    sizes = [size for _, size in of.stages]
    low = math.floor(math.log10(min(sizes)))
    high = math.log10(max(sizes))
    if math.log10(min(sizes)) - low < 0.15 * (high - low):
        low -= 1  # the shortest bar is to be seen
    span = high - low

    def place(size: float) -> float:
        return 100 * (math.log10(size) - low) / span

    rows, last = [], sizes[0]
    for step, size in of.stages:
        rows.append(
            {
                "step": step,
                "size": size,
                "left": place(min(size, last)),
                "saved": place(last) - place(size) if size < last else 0.0,
                "added": place(size) - place(last) if size > last else 0.0,
                "factor": last / size,
            }
        )
        last = size
    ticks = [(10**power, place(10**power)) for power in range(low, math.floor(high) + 1)]
    return {"rows": rows, "ticks": ticks}


def _sizes(of: Account, plain: Mapping[str, int], best: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "what": FORMS[key],
            "plain": size,
            "best": best.get(key),
            "more": min(size, best.get(key, size)) / of.bytes,
        }
        for key, size in plain.items()
    ]


def _structure(of: Account) -> dict[str, Any] | None:
    """The network's picture, and the words beside it; None for a stack of dense layers."""
    network = of.network
    plain = kinds.is_plain(network)
    if plain and all(layer.convolution is None for layer in network.layers):
        return None
    names = [layer.title for layer in of.layers]
    drawn = wiring.draw(network)
    return {
        "svg": Markup(drawn.svg),
        "row": wiring.ROW,
        "count": drawn.rows,
        "plain": plain,
        "hollow": any(layer.structure for layer in of.layers),
        "inputs": kinds.inputs(network),
        "rows": [
            {
                "account": layer,
                "kind": kinds.kind(layer.layer),
                "kernel": kinds.kernel(layer.layer),
                "pooling": kinds.pooling(layer.layer.convolution),
                "outputs": kinds.outputs(layer.layer),
                "taken": kinds.taken(names, network, place),
            }
            for place, layer in enumerate(of.layers)
        ],
    }


def _layer(account: Account, place: int, before: NDArray[np.float64] | None) -> dict[str, Any]:
    """What the section of a layer shows; no distributions where there is no weight."""
    of = account.layers[place]
    names = [layer.title for layer in account.layers]
    drawn: dict[str, Any] = {
        "account": of,
        "kind": kinds.kind(of.layer),
        "said": kinds.sentence(names, account.network, place),
        "mask": None if of.structure else pictures.mask(of),
        "pictures": [],
    }
    if of.structure or not of.nonzeros:
        return drawn
    limits = _limits(of, before)
    code_mean, gap_mean = of.code_entropy / of.stored.entries, of.gap_entropy / of.nonzeros
    shown = []
    if before is not None:
        text = "Blue are those that are kept, grey those that are pruned. Marks: the codebook."
        if zeros := np.count_nonzero(before[of.layer.codes != 0] == 0):
            text += f" {zeros:,} of those that are kept were 0 before and are not drawn."
        shown.append(("Weights before", text, pictures.before(of, before, limits)))
    shown += [
        (
            "Weights after",
            f"{of.nonzeros:,} weights share {len(of.layer.codebook) - 1:,} values, the marks.",
            pictures.after(of, limits),
        ),
        (
            "Codes",
            f"{of.layer.code_bits} bits each at fixed width, {_bits(code_mean)} at their entropy. "
            f"{of.stored.padding:,} of {of.stored.entries:,} entries are padding.",
            pictures.codes(of),
        ),
        (
            "Gaps",
            f"{of.stored.gap_bits} bits each at fixed width, {_bits(gap_mean)} at their entropy.",
            pictures.gaps(of),
        ),
    ]
    drawn["pictures"] = [(title, text, Markup(svg)) for title, text, svg in shown]
    return drawn


def _limits(of: LayerAccount, before: NDArray[np.float64] | None) -> tuple[float, float]:
    """Range that holds the codebook, and the weights before, with a little room."""
    values = np.ldexp(of.layer.codebook.astype(np.float64), -of.layer.weight_fraction)
    if before is not None:
        values = np.concatenate([values, before[of.layer.codes != 0]])
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 1.0  # all values may be 0
    return low - room, high + room


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _size(size: float) -> str:
    """Bytes in the unit that suits them, of 1,000 each, with three digits or more."""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= worth:
            value = size / worth
            return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f} {unit}"
    return f"{size:,.0f} B"


def _tick(size: float) -> str:
    """A power of ten of bytes."""
    number, unit = _size(size).split()
    return f"{float(number):.0f} {unit}"


def _percent(share: float) -> str:
    """With three digits, and never more than two after the point."""
    return f"{share:.1%}" if share >= 0.1 else f"{share:.2%}"


def _bits(mean: float | None) -> str:
    return "-" if mean is None else f"{mean:.2f}"
