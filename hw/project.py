"""A design on a board as a folder of files: sources, descriptions, and what a toolchain made."""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from .boards import Board
from .config import AcceleratorConfig
from .csr import csr_csv, regmap_json
from .memory import items_to_ints
from .regmap import window_items
from .toolchains import TOOLCHAINS, Job, Outcome
from .top import Top

__all__ = ["Design", "build_design", "environment", "replacing", "write_sources"]


@dataclasses.dataclass(frozen=True)
class Design:
    """What is to be built.

    Parameters
    ----------
    board : Board
    config : AcceleratorConfig
    contents : window -> per unit, items of 32-bit parts
        What the memories hold at power-up (`sw.image.Image.contents`); zeros if None.
    image_id : int
        `sw.image.Image.id` of the contents; 0 without them.
    model : str or None
        Where the contents come from.
    """

    board: Board
    config: AcceleratorConfig
    contents: Mapping | None = None
    image_id: int = 0
    model: str | None = None

    @property
    def digest(self) -> str:
        """8 hexadecimal digits that tell this configuration and these contents from others."""
        # An image's id is a checksum that begins with the digest of its configuration.
        return f"{self.image_id or self.config.digest:08x}"

    @property
    def name(self) -> str:
        return f"{self.board.name}-{self.digest}"


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder, which becomes `folder` if the block ends well and is gone if it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(Path(temporary, "old"))
        new.rename(folder)


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the process environment, set for the length of a block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def write_sources(design: Design, folder: Path) -> tuple[tuple[str, ...], ...]:
    """Write what the toolchains read, and what describes the design to people and hosts.

    Verilog (top.v), constraints, the vendor's project script, memory/WINDOW_UNIT.hex as
    ``$readmemh`` reads it, config.json, regmap.json and csr.csv.

    Returns
    -------
    The command lines that the vendor's flow would run, tools by their plain names.
    """
    board, config = design.board, design.config
    # The Verilog must not depend on which Yosys is installed on this machine.
    with environment("AMARANTH_USE_YOSYS", "builtin"):
        plan = board.platform().build(
            Top(config, board, design.contents, design.image_id),
            do_build=False,
            emit_src=False,
            **TOOLCHAINS[board.toolchains[0]].overrides(board),
        )
    # Amaranth can write a second Verilog file for debugging; it was not asked to.
    plan.files.pop("top.debug.v", None)
    plan.extract(folder)
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
    (folder / "regmap.json").write_text(regmap_json(config))
    (folder / "csr.csv").write_text(csr_csv(config, board.clock_hz))
    if design.contents is not None:
        _write_memory(design, folder / "memory")
    commands = json.loads(plan.files["build_top.json"])["commands"]
    return tuple(tuple(command) for command in commands)


def _write_memory(design: Design, folder: Path) -> None:
    folder.mkdir()
    for window, units in design.contents.items():
        digits = -(-window_items(window, design.config)[2] // 4)
        for unit, items in enumerate(units):
            lines = [f"{value:0{digits}x}\n" for value in items_to_ints(items)]
            (folder / f"{window.name.lower()}_{unit:03}.hex").write_text("".join(lines))


def build_design(
    design: Design,
    toolchain: str,
    out: Path,
    step: Callable[[str], AbstractContextManager],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Build into out/<board>-<digest>, replacing what is there; nothing is left if it fails.

    Parameters
    ----------
    toolchain : str
        A name in `hw.toolchains.TOOLCHAINS`.
    step : name -> context manager
        Entered for every step of the work.
    seconds : step -> seconds
        What `step` has measured.

    Returns
    -------
    What summary.json holds.

    Raises
    ------
    ToolchainError
        If the design is too large, too slow, or a tool fails.
    """
    folder = out / design.name
    with replacing(folder) as new:
        with step("generation"):
            commands = write_sources(design, new)
        outcome = TOOLCHAINS[toolchain].run(Job(design.board, new, commands, step))
        summary = _summary(design, toolchain, outcome, folder) | {"seconds": dict(seconds)}
        (new / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _summary(design: Design, toolchain: str, outcome: Outcome, folder: Path) -> dict[str, Any]:
    board = design.board
    model = None
    if design.contents is not None:
        model = {"path": design.model, "image_id": f"{design.image_id:08x}"}
    return {
        "board": board.name,
        "part": board.part,
        "digest": design.digest,
        "config": dataclasses.asdict(design.config),
        "model": model,
        "toolchain": toolchain,
        "clock_mhz": board.clock_hz / 1e6,
        "resources": {
            resource: {"used": outcome.used[resource], "available": available}
            for resource, available in board.capacity.items()
        },
        "fmax_mhz": None if outcome.fmax_mhz is None else round(outcome.fmax_mhz, 2),
        "bitstream": None if outcome.bitstream is None else str(folder / outcome.bitstream),
    }
