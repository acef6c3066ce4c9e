"""What `thresher explore` says of a design space: resources of its points, and which are best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hw import boards
from hw.boards import RESOURCES, Board
from hw.config import MEMORY_DEPTHS
from sim.explore import Point, front
from sw.errors import BadInput
from sw.fpga_designs import read_build
from sw.resource_model import (
    FAMILIES,
    Counted,
    ResourceModel,
    counted_engines,
    fit,
    held_out_errors,
    memory_bits,
)

from .counted_engines import config_of, is_stale

__all__ = ["Sample", "describe", "sample"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """The engines that resources are predicted from.

    Attributes
    ----------
    family : a key of `sw.resource_model.FAMILIES`
    counted : at least one
    source : what they are, for people
    stale : whether the logic has changed since they were counted; None if nobody knows
    """

    family: str
    counted: Sequence[Counted]
    source: str
    stale: bool | None

    @property
    def elements(self) -> tuple[int, int]:
        """Of the smallest, and of the largest."""
        elements = [one.config.elements for one in self.counted]
        return min(elements), max(elements)


def sample(like: Board, folders: Sequence[Path]) -> Sample:
    """The builds in these folders, or without any the table's engines, for a board's FPGA.

    Raises
    ------
    BadInput
        If there are none, or a folder is not of a build for such an FPGA.
    """
    family = like.family
    if family not in FAMILIES:
        raise BadInput(
            f"--board {like.name}: no engine for {like.part} was counted to predict from; "
            f"boards with {' or '.join(FAMILIES)} can be explored, such as arty and ulx3s"
        )
    if not folders:
        source = "the table of engines that Yosys has synthesised"
        return Sample(family, counted_engines(family), source, is_stale(family))
    found, tools = [], set()
    for folder in folders:
        build = read_build(folder)
        if boards.find(build.name).family != family:
            raise BadInput(f"{folder} is a build for {build.name}, which is not of family {family}")
        found.append(Counted(config_of(folder, build), build.used))
        tools.add(str(build.counted_by))
    return Sample(family, found, f"builds by {' and '.join(sorted(tools))}", None)


def describe(found: Sequence[Point], of: Sample, board: Board | None) -> dict[str, Any]:
    """The record's part on resources: `family`, `board`, `capacity`, `model` and `points`."""
    model = fit(of.family, of.counted)
    predicted = model.predict(of.counted[0].config)
    there = {} if board is None else board.capacity
    capacity = {name: number for name, number in there.items() if name in predicted}
    return {
        "family": of.family,
        "board": None if board is None else board.name,
        "capacity": capacity,
        "model": {
            "source": of.source,
            "engines": len(of.counted),
            "elements": list(of.elements),
            "held_out_errors": held_out_errors(of.family, of.counted),
            "stale": of.stale,
        },
        "points": _describe_all([_describe(point, model, capacity) for point in found], of),
    }


def _describe_all(points: list[dict[str, Any]], of: Sample) -> list[dict[str, Any]]:
    """Points with what is said of each beside others."""
    least, greatest = of.elements
    for point in points:
        point["extrapolated"] = not least <= point["elements"] <= greatest
    fitting = [point for point in points if point["fits"]]
    costs = [(point["cycles"]["mean"], point["resources"]["lut"]) for point in fitting]
    bits = [point["memory_bits"] for point in fitting]
    for point, is_best in zip(fitting, front(costs, bits), strict=True):
        point["pareto"] = is_best
    return points


def _describe(point: Point, model: ResourceModel, capacity: dict[str, int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        **dataclasses.asdict(point.knobs),
        "elements": point.knobs.lanes * point.knobs.groups,
    }
    if point.config is None:
        nothing = dict.fromkeys(("cycles", "depths", "memory_bits", "resources"))
        no = {"deepened": [], "fits": False, "short": [point.refused], "pareto": False}
        return record | nothing | no
    config = model.deepen(point.config, capacity) if capacity else point.config
    depths = {knob: getattr(config, knob) for knob in MEMORY_DEPTHS}
    resources = model.predict(config)
    short = [
        f"{resources[name]:,g} {RESOURCES[name]} of {there:,}"
        for name, there in capacity.items()
        if resources[name] > there
    ]
    return record | {
        "cycles": {"mean": float(np.mean(point.cycles)), "max": max(point.cycles)},
        "depths": depths,
        "deepened": [k for k, depth in depths.items() if depth != getattr(point.config, k)],
        "memory_bits": memory_bits(config),
        "resources": resources,
        "fits": not short,
        "short": short,
        "pareto": False,
    }
