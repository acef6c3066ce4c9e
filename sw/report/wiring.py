"""The picture of a network: a dot for each layer, lines from what it takes."""

from __future__ import annotations

from typing import NamedTuple

from sw.compressed import CompressedNetwork

from .kinds import is_structure

__all__ = ["ROW", "Wiring", "draw"]

ROW = 24  # height of a layer
_LANE = 9  # between lines that pass each other
_MARGIN = 8
_DOT = 4
_BEND = 5  # radius of corners


class Wiring(NamedTuple):
    """An <svg> element whose rows are `ROW` high: the input, then a layer each.

    Attributes
    ----------
    svg : str
    width, rows : int
    """

    svg: str
    width: int
    rows: int


def draw(network: CompressedNetwork) -> Wiring:
    """A straight line from the layer before; from any other, one that goes round on the left."""
    edges = sorted(
        {(tensor, place) for place, of in enumerate(network.sources, 1) for tensor in of}
    )
    around = [edge for edge in edges if edge[1] - edge[0] > 1]
    lanes = _lanes(around)
    x = _MARGIN + _DOT + _LANE * max([0, *lanes.values()])
    rows = len(network.layers) + 1
    lines = [f"M{x} {_middle(a)}V{_middle(b)}" for a, b in edges if b - a == 1]
    lines += [_round(x, x - _LANE * lane, *map(_middle, edge)) for edge, lane in lanes.items()]
    kinds = [
        "input",
        *("structure" if is_structure(layer) else "learned" for layer in network.layers),
    ]
    dots = [
        f'<circle class="{kind}" cx="{x}" cy="{_middle(row)}" r="{_DOT}"/>'
        for row, kind in enumerate(kinds)
    ]
    width = x + _DOT + _MARGIN
    return Wiring(
        f'<svg width="{width}" height="{ROW * rows}" role="img"><title>Wiring</title>'
        f'<path d="{"".join(lines)}" fill="none"/>{"".join(dots)}</svg>',
        width,
        rows,
    )


def _middle(row: int) -> int:
    return ROW * row + ROW // 2


def _round(x: int, lane: int, start: int, end: int) -> str:
    """From one dot to another by way of a lane."""
    return (
        f"M{x} {start}H{lane + _BEND}Q{lane} {start} {lane} {start + _BEND}"
        f"V{end - _BEND}Q{lane} {end} {lane + _BEND} {end}H{x}"
    )


def _lanes(edges: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each edge, from 1 on, the short ones first; none that overlap share one."""
    lanes: dict[tuple[int, int], int] = {}
    for start, end in sorted(edges, key=lambda edge: (edge[1] - edge[0], edge)):
        taken = {lane for (a, b), lane in lanes.items() if a < end and start < b}
        lanes[start, end] = next(lane for lane in range(1, len(edges) + 1) if lane not in taken)
    return lanes
