"""What each processing element does over time, sampled in every cycle of the Verilated engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig

from .late_reset import INNER
from .verilated import Observed, VerilatedTransport

__all__ = ["Utilisation", "observed", "read"]

_HEAD = 6  # words before the arrays of sim/utilisation.h


@dataclasses.dataclass(frozen=True)
class Utilisation:
    """Cycles in which elements were busy (`busy` of `hw.regmap.COUNTERS`) and stalled.

    Time is that of running networks alone, one after the other. As with the counters, what an
    element does is counted three cycles later, and so sums are theirs.

    Attributes
    ----------
    cycles : int
        Clock cycles of all runs, as the register `cycles` counts them.
    bin_cycles : int
        Of a bin; the last bin may have fewer.
    began : int
        Clock cycle of the simulation in which the first run began.
    busy, stalled : (bins, elements) int64
        Cycles of each bin; in what remains of a bin an element was starved.
    layer_busy, layer_stalled : (instructions, elements) int64
        Cycles of each instruction, in all runs together.
    starts : (n, 2) int64
        First cycle and number of each instruction as it was run.
    """

    cycles: int
    bin_cycles: int
    began: int
    busy: NDArray[np.int64]
    stalled: NDArray[np.int64]
    layer_busy: NDArray[np.int64]
    layer_stalled: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def spans(self) -> NDArray[np.int64]:
        """(bins,) cycles of each bin."""
        begins = np.arange(len(self.busy)) * self.bin_cycles
        return np.minimum(self.bin_cycles, self.cycles - begins)


def observed(config: AcceleratorConfig, waves: Path | None = None) -> Observed:
    """What must be seen of an engine for `read`, and waves if there is a file for them."""
    names = [("sequencer", name) for name in ("busy", "feed_start", "layer")]
    for kind in ("busy", "stalled"):
        names += [("grid", f"{kind}_{group}") for group in range(config.groups)]
    watched = tuple(
        (f"engine.{INNER}.{module}", name, f"TOP.engine.{INNER}.{module}.{name}")
        for module, name in names
    )
    return Observed(waves, watched, config.lanes)


def read(transport: VerilatedTransport, config: AcceleratorConfig) -> Utilisation:
    """All runs of an engine that was opened as `observed` says."""
    words = transport.watched().astype(np.int64)
    cycles, bin_cycles, began, bins, layers, starts = map(int, words[:_HEAD])
    at, elements = _HEAD, config.elements
    parts = []
    for rows in (bins, layers):
        size = rows * 2 * elements
        parts.append(words[at : at + size].reshape(rows, 2, elements))
        at += size
    return Utilisation(
        cycles=cycles,
        bin_cycles=bin_cycles,
        began=began,
        busy=parts[0][:, 0],
        stalled=parts[0][:, 1],
        layer_busy=parts[1][:, 0],
        layer_stalled=parts[1][:, 1],
        starts=words[at:].reshape(starts, 2),
    )
