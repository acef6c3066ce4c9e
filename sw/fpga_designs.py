"""Designs that classify MNIST on FPGAs: published ones, and this project's as it was built."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import BadInput

__all__ = [
    "BOARD_CLOCK",
    "Build",
    "FpgaDesign",
    "build_of",
    "published_designs",
    "read_build",
    "resources_of",
    "source_note",
]

BOARD_CLOCK = "the board's clock, not routed"
"""What a clock is that no tool has proved."""

# Of block RAMs, by their names in `hw.boards.Board.capacity`.
_RAM_KBIT = {"bram36": 36, "ebr": 18, "ebr4": 4, "bsram": 18, "spram": 256}


@dataclasses.dataclass(frozen=True)
class FpgaDesign:
    """What a design costs and does; None is what is not known.

    Attributes
    ----------
    lut : int
    bram36 : float
        Block RAMs of 36 kbit.
    dsp : int
    accuracy_percent : float
        Test images that are classified rightly.
    fps : float
        Images per second.
    latency_ns : float
        From input to output of one image.
    parameters : int
        Of the network.
    clock_mhz : float
    source : str
        Who published the figures, where and when.
    """

    design: str
    part: str
    lut: int | None = None
    bram36: float | None = None
    dsp: int | None = None
    accuracy_percent: float | None = None
    fps: float | None = None
    latency_ns: float | None = None
    parameters: int | None = None
    clock_mhz: float | None = None
    source: str | None = None

    @property
    def fps_per_kilolut(self) -> float | None:
        """Images per second for each 1,000 LUT."""
        return 1000 * self.fps / self.lut if self.fps and self.lut else None

    @property
    def fps_per_bram36(self) -> float | None:
        return self.fps / self.bram36 if self.fps and self.bram36 else None


@dataclasses.dataclass(frozen=True)
class Build:
    """What a build of this project's engine costs, and how fast its clock is.

    Attributes
    ----------
    config : knob -> value
        Of `hw.config.AcceleratorConfig`.
    clock_mhz : float
        The routed Fmax; the board's clock where nothing has been routed.
    clock_of : str
        What kind of figure the clock is, for people.
    counted_by : str
        The tool that counted the resources; None where nothing has been counted.
    lut, bram36, dsp : as `FpgaDesign` has them
    used : resource -> number
        The same and more, named as in `hw.boards.Board.capacity`.
    """

    name: str
    part: str
    config: Mapping[str, Any]
    clock_mhz: float
    clock_of: str
    counted_by: str | None = None
    lut: int | None = None
    bram36: float | None = None
    dsp: int | None = None
    used: Mapping[str, float] = dataclasses.field(default_factory=dict)


@functools.cache
def published_designs() -> tuple[FpgaDesign, ...]:
    """Published designs, as their authors count them."""
    return tuple(FpgaDesign(**row) for row in _table()["rows"])


def source_note() -> str:
    """What the published figures are, and what they have in common."""
    note: str = _table()["note"]
    return note


@functools.cache
def _table() -> dict[str, Any]:
    file = resources.files("sw").joinpath("data", "fpga_mnist.json")
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return table


def read_build(folder: Path) -> Build:
    """What `thresher build` wrote about a build into its folder.

    Raises
    ------
    BadInput
        If there is no such summary in it, or it is not sound.
    """
    path = folder / "summary.json"
    try:
        return build_of(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise BadInput(
            f"{folder} is no folder of a build: it has no summary.json, which thresher build writes"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not a build's summary: {error!r}") from error


def build_of(summary: Mapping[str, Any]) -> Build:
    """The build of which `hw.project.build_design` gave this summary."""
    used = {name: resource["used"] for name, resource in summary["resources"].items()}
    fmax, toolchain = summary["fmax_mhz"], summary["toolchain"]
    return Build(
        name=summary["board"],
        part=summary["part"],
        config=dict(summary["config"]),
        clock_mhz=float(summary["clock_mhz"] if fmax is None else fmax),
        clock_of=BOARD_CLOCK if fmax is None else f"Fmax, routed by {toolchain}",
        counted_by=toolchain,
        **resources_of(used),
    )


def resources_of(used: Mapping[str, float]) -> dict[str, Any]:
    """The resources of a `Build`, from numbers named as in `hw.boards.Board.capacity`."""
    return {
        "lut": used["lut"],
        "bram36": sum(used.get(name, 0) * kbit / 36 for name, kbit in _RAM_KBIT.items()),
        "dsp": used.get("dsp", 0),
        "used": used,
    }
