"""`thresher bench resources`: what the engine costs on FPGAs, and how fast it clocks."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hw import boards
from hw.config import PRESETS, AcceleratorConfig
from hw.project import Design
from hw.toolchains import yosys
from sim.engine import engine_netlist
from sim.netlist import FAMILIES
from sw import format as thr
from sw import networks
from sw.errors import BadInput

from .blocks import blocks, count_block
from .boards import count_board, route_board
from .largest_grid import largest_grid
from .output import console, emit, json_option
from .resource_table import (
    PRESETS_COUNTED,
    ROUTED,
    SECTIONS,
    VARIED,
    count_preset,
    document,
    families,
    merge_routes,
    read_table,
    stamp,
    table_file,
)
from .resource_view import WHOLE, show

__all__ = ["engine_resources"]

_LANES = (1, 4, 8, 16, 32)
_SEEDS = (1, 2, 3, 4, 5)
# Options that matter only where something is routed, and those by which engines are added to the
# routed ones.
_OF_ROUTES = ("--seeds", "--nextpnr")
_CHOOSE_ROUTES = ("--lanes", *_OF_ROUTES)

Note = Callable[[str], None]


def _numbers(_: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Numbers above 0 with commas between them."""
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words):
        raise BadInput(
            f"--{option.name} is {text!r}; it must be numbers above 0 with commas between them"
        )
    return tuple(dict.fromkeys(map(int, words)))


def _as_in_a_shell(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Words with single spaces between them, quoted where that is needed."""
    try:
        return None if text is None else shlex.join(shlex.split(text))
    except ValueError as error:
        raise BadInput(f"--{option.name} is {text!r}: {error}") from None


@dataclasses.dataclass(frozen=True)
class _Request:
    """What is asked for; see the options of the same names."""

    lanes: tuple[int, ...] | None
    groups: int | None
    board: str | None
    family: str
    block: str | None
    presets_only: bool
    whole_boards: bool
    route: bool
    route_lanes: bool
    seeds: tuple[int, ...] | None
    nextpnr: str | None
    largest: bool
    write: bool

    @property
    def families(self) -> tuple[str, ...]:
        return FAMILIES if self.family == "both" else (self.family,)

    @property
    def _engine(self) -> list[str]:
        """Options that choose the engines."""
        options = ("lanes", "groups", "board")
        return [f"--{name}" for name in options if getattr(self, name) is not None]

    @property
    def _narrowed(self) -> list[str]:
        """Options by which less than the whole is done."""
        narrowed = ["--block"] * (self.block is not None)
        narrowed += ["--family"] * (self.family != "both")
        narrowed += ["--seeds"] * (self.seeds is not None)
        return narrowed + ["--nextpnr"] * (self.nextpnr is not None)

    @property
    def _heeded(self) -> set[str]:
        """Options that choose engines or narrow, and matter to what is done."""
        by = (
            (self.over_lanes, ("--lanes", "--groups", "--board", "--family", "--block")),
            (self.route_lanes, ("--lanes", "--groups", "--board", *_OF_ROUTES)),
            (self.route, _OF_ROUTES),
            (self.largest, ("--board",)),
        )
        return {option for done, options in by if done for option in options}

    @property
    def _adds_routes(self) -> bool:
        """Whether `--write` adds routed engines, which take hours, to those that are there."""
        others = self.presets_only or self.whole_boards or self.route or self.largest
        return (
            self.route_lanes
            and not others
            and not {*self._engine, *self._narrowed}.isdisjoint(_CHOOSE_ROUTES)
        )

    @property
    def presets(self) -> bool:
        """Whether to count the presets."""
        return self.presets_only or (self.write and not self._adds_routes)

    @property
    def over_lanes(self) -> bool:
        """Whether to count engines over lanes: to write them, or if nothing else is asked for."""
        others = self.whole_boards or self.route or self.route_lanes or self.largest
        written = self.write and not self._adds_routes
        return not self.presets_only and (written or self.block is not None or not others)

    def check(self) -> None:
        """Refuse to write a part of the table, what would be ignored, or to work without Yosys."""
        self._check_limits()
        narrowed = [*self._engine, *self._narrowed]
        if self._adds_routes:
            narrowed = [name for name in narrowed if name not in _CHOOSE_ROUTES]
        if self.write and narrowed:
            raise BadInput(f"--write writes the whole table: leave out {' and '.join(narrowed)}")
        if self.route and self._engine:
            raise BadInput(
                f"--route takes the engine of {ROUTED} as it is: leave out "
                f"{' and '.join(self._engine)}, or route other engines by --route-lanes"
            )
        if ignored := [name for name in narrowed if name not in self._heeded]:
            of_routes = {*ignored} & {*_OF_ROUTES}
            why = ["no engine over lanes is counted"] * (of_routes != {*ignored})
            why += ["nothing is routed"] * bool(of_routes)
            names, reasons = " and ".join(ignored), " and ".join(why)
            raise BadInput(f"{names} would be ignored: {reasons} in this run")
        if self.write:
            _document_file()
        if not yosys.available():
            raise BadInput("there is no Yosys here: pip install 'thresher[synth]'")

    def _check_limits(self) -> None:
        """Refuse lanes or groups that no engine has."""
        groups = () if self.groups is None else (self.groups,)
        for knob, values in {"lanes": self.lanes or (), "groups": groups}.items():
            least, greatest = AcceleratorConfig.limits(knob)
            for value in values:
                if not least <= value <= greatest:
                    raise BadInput(f"--{knob} has {value}; it must be from {least} to {greatest}")


@click.command(
    name="resources",
    short_help="LUT, FF, block RAM and DSP of every block and engine; the routed clock.",
    epilog="""
    \b
    Examples:
      thresher bench resources --lanes 4 --family xc7
          every block, and the engine of 4 lanes, in some minutes
      thresher bench resources --block element --lanes 1
          what one processing element takes
      thresher bench resources --presets-only --write
          the figures that the tests hold, written anew in a few minutes
      thresher bench resources --route --route-lanes --largest --boards --write
          the whole table, for hours

    What was synthesised or routed once is kept in build/ and not done again.
    """,
)
@click.option(
    "--lanes",
    metavar="L,L,...",
    callback=_numbers,
    help=f"Lanes of the engines.  [default: {','.join(map(str, _LANES))}]",
)
@click.option("--groups", metavar="G", type=int, help="Groups of each.  [default: 1]")
@click.option("--board", metavar="B", help="Board whose engine is varied.  [default: arty]")
@click.option(
    "--family",
    type=click.Choice([*FAMILIES, "both"]),
    default="both",
    show_default=True,
    help="Of FPGAs: Xilinx 7 series, Lattice ECP5.",
)
@click.option("--block", metavar="NAME", help="Count this block alone; `engine`: the whole.")
@click.option("--presets-only", is_flag=True, help="Count the presets, not engines over lanes.")
@click.option("--boards", "whole_boards", is_flag=True, help="Count the boards' whole designs.")
@click.option("--route", is_flag=True, help=f"Route the whole design of {ROUTED}.")
@click.option("--route-lanes", is_flag=True, help=f"Route {ROUTED} with the engines over lanes.")
@click.option(
    "--seeds",
    metavar="N,N,...",
    callback=_numbers,
    help=f"Of placement.  [default: {','.join(map(str, _SEEDS))}]",
)
@click.option(
    "--nextpnr",
    metavar="OPTIONS",
    callback=_as_in_a_shell,
    help='Of nextpnr beside those of a build, such as "--placer static --router router2".',
)
@click.option(
    "--largest", is_flag=True, help="Search the largest grid for LeNet-300-100 on the board."
)
@click.option("--write", is_flag=True, help="Write docs/resources.md and its figures anew.")
@json_option
def engine_resources(as_json: bool, **options: Any) -> None:
    """Count what the engine takes of an FPGA, block by block and whole, and route it.

    Yosys counts: each block by itself, cut out of an engine like the board's with L lanes, and
    that engine as a whole, flattened, without pads. With --boards, --route, --route-lanes or
    --largest only what these name is done, unless --write or --block asks for engines, too.

    --route has nextpnr place and route a whole
    board from several seeds and tells median and best clock, and both ends of the slowest path.
    --largest searches the grid with the most elements that fits the board's part with the shipped
    LeNet-300-100 resident, its memories just large enough.

    --write takes the presets and the default engines; figures of --route, --route-lanes, --boards
    and --largest that are not measured in this run are kept. With --route-lanes alone, --lanes,
    --seeds and --nextpnr choose what is routed and added to the engines and seeds that are there.

    JSON: `yosys`, and of what was asked for `presets`, `lanes`, `boards`, `routed`,
    `routed_lanes`, `largest`, as in sw/data/resources.json. What is `used` are `lut`, `ff`, `dsp`,
    and `bram36` on the 7 series, `ebr` on the ECP5.
    """
    request = _Request(**options)
    request.check()
    shown_on = console()
    # Of the hardware that is measured, whatever becomes of its sources meanwhile.
    stamps = {section: stamp(section) for section in SECTIONS} if request.write else {}
    record = _measure(request, lambda words: shown_on.print(f"{words} ..."))
    if request.write:
        file, shown = _write(record, stamps)
        shown_on.print(f"written: {file} and {shown}")
    emit(record, show(record), as_json)


def _measure(request: _Request, note: Note) -> dict[str, Any]:
    board = boards.find(request.board or VARIED)
    groups = 1 if request.groups is None else request.groups
    seeds, options = request.seeds or _SEEDS, request.nextpnr or ""
    configs = [
        dataclasses.replace(PRESETS[board.preset], lanes=lanes, groups=groups)
        for lanes in request.lanes or _LANES
    ]
    record: dict[str, Any] = {"yosys": yosys.version()}
    if request.presets:
        record["presets"] = _presets(note)
    if request.over_lanes:
        record["lanes"] = [
            _engine(config, board, family, request.block, note)
            for family in request.families
            for config in configs
        ]
    if request.whole_boards:
        record["boards"] = _boards(note)
    if request.route:
        record["routed"] = _route(PRESETS[boards.find(ROUTED).preset], seeds, options, note)
    if request.route_lanes:
        record["routed_lanes"] = [_route(config, seeds, options, note) for config in configs]
    if request.largest:
        model = networks.LENET300100
        record["largest"] = largest_grid(board, model, thr.read(model), note)
    return record


def _presets(note: Note) -> dict[str, Any]:
    counted: dict[str, Any] = {}
    for preset in PRESETS_COUNTED:
        counted[preset] = {}
        for family in families(preset):
            note(f"preset {preset}, {family}")
            counted[preset][family] = count_preset(preset, family)
    return counted


def _engine(
    config: AcceleratorConfig, board: boards.Board, family: str, only: str | None, note: Note
) -> dict[str, Any]:
    """Blocks of an engine and its whole, or one of them alone."""
    where = f"{config.lanes} × {config.groups} elements, {family}"
    row: dict[str, Any] = {
        "preset": board.preset,
        "family": family,
        "lanes": config.lanes,
        "groups": config.groups,
        "elements": config.elements,
    }
    if only != WHOLE:
        found = blocks(config, board)
        if only is not None and only not in found:
            raise BadInput(f"there is no block {only!r}: it can be {', '.join([WHOLE, *found])}")
        row["blocks"] = {}
        for name, block in found.items():
            if only in (None, name):
                note(f"{where}: {name}")
                used = count_block(block, family)
                row["blocks"][name] = {"copies": block.copies, "used": used}
    if only in (None, WHOLE):
        note(f"{where}: whole")
        row["engine"] = engine_netlist(config, family).used
    return row


def _boards(note: Note) -> dict[str, Any]:
    counted = {}
    for name, board in boards.BOARDS.items():
        if board.preset not in PRESETS_COUNTED:
            continue
        note(f"whole design of {board.title}")
        config = PRESETS[board.preset]
        used = count_board(Design(board, config))
        counted[name] = {"lanes": config.lanes, "groups": config.groups, "used": used}
    return counted


def _route(
    config: AcceleratorConfig, seeds: Sequence[int], options: str, note: Note
) -> dict[str, Any]:
    board = boards.find(ROUTED)
    note(f"{board.title} with {config.lanes} × {config.groups} elements")
    return {
        "board": board.name,
        "part": board.part,
        "lanes": config.lanes,
        "groups": config.groups,
        "target_mhz": board.clock_hz / 1e6,
        **route_board(Design(board, config), seeds, note, options),
    }


def _write(record: Mapping[str, Any], stamps: Mapping[str, str]) -> tuple[Path, Path]:
    """The table with these figures in place of its own: both files, which are written.

    Parameters
    ----------
    stamps : section -> `stamp` of what was measured
    """
    file, shown, before = table_file(), _document_file(), read_table()
    measured = before.get("measured", {})
    table = {**before, **record}
    if "routed_lanes" in record and stamps["routed_lanes"] == measured.get("routed_lanes"):
        table["routed_lanes"] = merge_routes(before["routed_lanes"], record["routed_lanes"])
    table = {section: table[section] for section in ("yosys", *SECTIONS) if section in table}
    table["measured"] = {
        section: stamps[section] if section in record else measured[section]
        for section in SECTIONS
        if section in table
    }
    text = document(table)
    file.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    shown.write_text(text, "utf-8")
    return file, shown


def _document_file() -> Path:
    """docs/resources.md of the checkout.

    Raises
    ------
    BadInput
        If this is no checkout.
    """
    folder = table_file().parent.parent.parent / "docs"
    if not folder.is_dir():
        raise BadInput(f"--write is for a checkout of the project; there is no folder {folder}")
    return folder / "resources.md"
