"""What an engine will cost an FPGA: memories by their sizes, logic by a fit to counted engines.

Memories are given to block RAM or to LUTs as Yosys does: the cheaper, by the costs in its
descriptions of the FPGA. Queues and segments, which are read without a clock, are of LUTs. What
remains of the LUTs is logic,

    logic = base + per_lane * lanes + per_group * groups + per_element * lanes * groups,

fitted to what synthesis counted for other engines (`fit`). One DSP multiplies for each element.
With few engines and four coefficients, what the fit leaves is less than its error on engines that
it has not seen; `held_out_errors` tells that.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import MEMORY_DEPTHS, AcceleratorConfig
from hw.regmap import Window, window_items

__all__ = [
    "FAMILIES",
    "Counted",
    "Memory",
    "ResourceModel",
    "counted_engines",
    "counted_logic",
    "fit",
    "held_out_errors",
    "memories",
    "memory_bits",
]

_BLOCK_BITS = 1 << 14  # of a block RAM's half, parity bits aside
_ALWAYS_BLOCK = 1 << 11  # items for which every family takes block RAM, however narrow they are


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memories of one kind.

    Attributes
    ----------
    name : str
    units, depth, width : int
        How many there are, their items, bits of an item.
    clocked : bool
        Whether reads take a clock cycle, as those of block RAM do.
    reads : int
        Read ports, of which one is the write port, too, if there are two.
    loaded : bool
        Whether the host writes it, in whole bus words if an item is longer than one.
    """

    name: str
    units: int
    depth: int
    width: int
    clocked: bool = True
    reads: int = 1
    loaded: bool = False

    @property
    def bits(self) -> int:
        return self.units * self.depth * self.width

    @property
    def stored_width(self) -> int:
        """Bits of an item with those that fill its last bus word up."""
        if not self.loaded or self.width <= layouts.BUS_BITS:
            return self.width
        return layouts.BUS_BITS * math.ceil(self.width / layouts.BUS_BITS)


@dataclasses.dataclass(frozen=True)
class _Family:
    """How a family makes memories; costs as in Yosys' files for the family.

    Attributes
    ----------
    block : str
        Name of its block RAM.
    blocks : (block RAMs, cost, widths)
        Ways to use block RAM; a width w goes with 2**14 / w items, parity bits not counted in w.
        At the last width, reading and writing takes both ports.
    cells : (items, bits)
        Of the small memories that LUTs make.
    cell_luts, cell_cost : int
        LUTs of one, and its cost.
    """

    block: str
    blocks: tuple[tuple[float, int, tuple[int, ...]], ...]
    cells: tuple[tuple[int, int], ...]
    cell_luts: int
    cell_cost: int


FAMILIES = {
    "xc7": _Family(
        "bram36",
        ((0.5, 129, (1, 2, 4, 9, 18, 36)), (1, 257, (1, 2, 4, 9, 18, 36, 72))),
        ((32, 6), (64, 3)),
        cell_luts=4,
        cell_cost=8,
    ),
    "ecp5": _Family("ebr", ((1, 128, (1, 2, 4, 9, 18, 36)),), ((16, 4),), cell_luts=6, cell_cost=4),
}


def memories(config: AcceleratorConfig) -> list[Memory]:
    """The memories of an engine, those of every element, lane and group counted."""
    sizes = {window: window_items(window, config) for window in Window}
    elements, accumulators = config.elements, config.accumulator_depth
    found = [
        Memory(
            window.name.lower(),
            units,
            depth,
            width,
            clocked=window is not Window.SEGMENTS,  # of LUTs, as hw/engine/segments.py has it
            loaded=True,
        )
        for window, (units, depth, width) in sizes.items()
        if window not in (Window.REGISTERS, Window.COUNTERS, Window.POINTERS, Window.CODEBOOK)
    ]
    (_, columns, pointer), (_, values, weight) = sizes[Window.POINTERS], sizes[Window.CODEBOOK]
    if config.shared_tables:
        depth = values * (math.ceil(columns / values) + 1)
        found.append(Memory("tables", elements, depth, max(pointer, weight), reads=2))
    else:
        found.append(Memory("pointers", elements, columns, pointer))
        found.append(Memory("codebook", elements, values, weight))
    layers, counters, width = sizes[Window.COUNTERS]
    pooled = config.lanes * (config.activation_bits + layouts.WINDOW_BITS)
    column = layouts.column(config).size
    return [
        *found,
        Memory("counters", 1, layers, counters * width),
        Memory("pooled", 1, accumulators, pooled),
        # Both buffers, once for adding and once for draining.
        Memory("accumulators", 2 * elements, 2 * accumulators, config.accumulator_bits),
        Memory("accumulators held", 2 * elements, accumulators, 1),
        Memory("queues", elements, config.queue_depth, column, clocked=False),
    ]


def memory_bits(config: AcceleratorConfig) -> int:
    """Bits of all memories of an engine."""
    return sum(memory.bits for memory in memories(config))


@dataclasses.dataclass(frozen=True)
class Counted:
    """What synthesis counted for an engine.

    Attributes
    ----------
    used : resource -> number
        Named as in `hw.boards.Board.capacity`.
    """

    config: AcceleratorConfig
    used: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class ResourceModel:
    """Predicts resources.

    Attributes
    ----------
    family : a key of `FAMILIES`
    base, per_lane, per_group, per_element : float
        LUTs of logic.
    """

    family: str
    base: float
    per_lane: float
    per_group: float
    per_element: float

    def predict(self, config: AcceleratorConfig) -> dict[str, float]:
        """LUTs, block RAMs and DSPs of an engine, named as in `hw.boards.RESOURCES`."""
        blocks, luts = _memories(FAMILIES[self.family], config)
        weights = (self.base, self.per_lane, self.per_group, self.per_element)
        logic = float(_features(config) @ np.array(weights))
        return {
            "lut": round(logic + luts),
            FAMILIES[self.family].block: blocks,
            "dsp": config.elements,
        }

    def deepen(self, config: AcceleratorConfig, capacity: Mapping[str, float]) -> AcceleratorConfig:
        """The engine with deeper memories, of block RAM instead of LUTs, if LUTs are too few.

        Of all depths, that which spares most LUTs for each block RAM more is raised first, and each
        no further than needed: until there are LUTs enough, or no block RAM is left to spare any.

        Parameters
        ----------
        capacity : resource -> number, as in `hw.boards.Board.capacity`
        """
        family = FAMILIES[self.family]
        while self.predict(config)["lut"] > capacity["lut"]:
            steps = list(_deeper(family, config, capacity[family.block]))
            if not steps:
                break
            config = max(steps, key=lambda step: step[0])[1]
        return config

    def errors(self, counted: Iterable[Counted]) -> dict[str, float]:
        """The greatest error of each resource, as a share of what was counted.

        Of engines that the model was fitted to, this is only what the fit leaves.
        """
        worst: dict[str, float] = {}
        for one in counted:
            for name, value in self.predict(one.config).items():
                error = abs(value - one.used[name]) / max(one.used[name], 1)
                worst[name] = max(worst.get(name, 0.0), error)
        return worst


def fit(family: str, counted: Sequence[Counted]) -> ResourceModel:
    """The model with the least squares of relative errors; no coefficient is below 0.

    Parameters
    ----------
    counted : at least one; coefficients that they do not tell apart are 0

    Raises
    ------
    ValueError
        If nothing was counted.
    """
    if not counted:
        raise ValueError(f"no engine was counted for {family}")
    luts = np.array([one.used["lut"] for one in counted], np.float64)
    logic = luts - [_memories(FAMILIES[family], one.config)[1] for one in counted]
    features = np.array([_features(one.config) for one in counted])
    return ResourceModel(family, *_nonnegative(features / luts[:, None], logic / luts).tolist())


def held_out_errors(family: str, counted: Sequence[Counted]) -> dict[str, float] | None:
    """The greatest error of each resource, each engine predicted by a fit to the others alone.

    An engine's twins, which have the same configuration, are left out with it.

    Returns
    -------
    Shares of what was counted; None if there are not two configurations.
    """
    worst: dict[str, float] = {}
    for one in counted:
        others = [other for other in counted if other.config != one.config]
        if not others:
            return None
        for name, error in fit(family, others).errors([one]).items():
            worst[name] = max(worst.get(name, 0.0), error)
    return worst


def _features(config: AcceleratorConfig) -> NDArray[np.float64]:
    return np.array([1, config.lanes, config.groups, config.elements], np.float64)


def _nonnegative(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The x >= 0 with the least ``|a x - b|``; of several, that with the fewest that are not 0."""
    columns = a.shape[1]
    best, least = np.zeros(columns), float(np.linalg.norm(b))
    # The solution is the unconstrained one of some of the columns. There are few: try all.
    for size in range(1, columns + 1):
        for chosen in map(list, itertools.combinations(range(columns), size)):
            x = np.zeros(columns)
            x[chosen] = np.linalg.lstsq(a[:, chosen], b, rcond=None)[0]
            norm = float(np.linalg.norm(a @ x - b))
            if x.min() >= 0 and norm < least - 1e-9:
                best, least = x, norm
    return best


def _memories(family: _Family, config: AcceleratorConfig) -> tuple[float, int]:
    """Block RAMs, and LUTs of the memories that are made of LUTs."""
    blocks, luts = 0.0, 0
    for memory in memories(config):
        cells = memory.reads * min(
            math.ceil(memory.depth / items) * math.ceil(memory.stored_width / bits)
            for items, bits in family.cells
        )
        cost, size = _cheapest_block(family, memory)
        if memory.clocked and cost <= family.cell_cost * cells:
            blocks += memory.units * size
        else:
            luts += memory.units * family.cell_luts * cells
    return blocks, luts


def _deeper(
    family: _Family, config: AcceleratorConfig, blocks: float
) -> Iterator[tuple[float, AcceleratorConfig]]:
    """For each depth, the next with fewer LUTs: those spared for a block RAM more, and the engine.

    Parameters
    ----------
    blocks : block RAMs that there are
    """
    used, luts = _memories(family, config)
    for knob in MEMORY_DEPTHS:
        depth = getattr(config, knob)
        greatest = min(_ALWAYS_BLOCK, AcceleratorConfig.limits(knob)[1])
        while (depth := 1 << depth.bit_length()) <= greatest:
            deeper = dataclasses.replace(config, **{knob: depth})
            more, left = _memories(family, deeper)
            if more > blocks:
                break
            if left < luts:
                yield (luts - left) / (more - used) if more > used else math.inf, deeper
                break


def _cheapest_block(family: _Family, memory: Memory) -> tuple[int, float]:
    """Cost, and block RAMs, of one memory."""
    ways = []
    for size, cost, widths in family.blocks:
        for width in widths if memory.reads == 1 else widths[:-1]:
            data = 1 << (width.bit_length() - 1)  # 9 of 8 bits, and so on
            items = int(_BLOCK_BITS * size / family.blocks[0][0]) // data
            number = math.ceil(memory.depth / items) * math.ceil(memory.stored_width / width)
            ways.append((number * cost, number * size))
    return min(ways)


@functools.cache
def _table() -> dict[str, Any]:
    file = resources.files("sw").joinpath("data", "counted_engines.json")
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return table


@functools.cache
def counted_engines(family: str) -> tuple[Counted, ...]:
    """The engines of a family that the shipped table has."""
    return tuple(
        Counted(AcceleratorConfig(**row["config"]), row["used"])
        for row in _table()["engines"]
        if FAMILIES[family].block in row["used"]
    )


def counted_logic() -> dict[str, str]:
    """Preset -> digest of its logic when the shipped table's engines like it were counted.

    By `sw.cli.counted_engines.stamp`; empty if the table does not say.
    """
    return dict(_table().get("logic", {}))
