"""`thresher build`: an accelerator for a board, as files for its vendor's tools or as a bitstream.

Or for designs of others, as Verilog (`hw.export`).

This is the one module of `hw` that knows the host side: it reads the network that the memories
hold at power-up.
"""

if __name__ == "__main__":  # before the imports below, which are those of the verb
    import sys

    from sw.entry import main

    main(["build", *sys.argv[1:]])

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console, Group
from rich.table import Table

from sw import networks
from sw.cli.export import network as network_of
from sw.cli.export import packed, shown
from sw.cli.export_asic import shown as shown_asic
from sw.cli.output import console, emit, json_option
from sw.errors import BadInput
from sw.progress import steps

from .boards import BOARDS, Board, BoardError, find
from .config import PRESETS, AcceleratorConfig
from .export import KINDS, Export
from .export import check as check_export
from .export import write as write_export
from .export.asic import Asic
from .export.asic import check as check_asic
from .export.asic import write as write_asic
from .project import Design, build_design
from .toolchains import choose

__all__ = ["build"]

T = TypeVar("T")
# The board whose engine is exported if none is named.
_EXPORTED = "arty_a7_35t"
_ASIC = "asic"


class _Steps:
    """Shows each step of a build while it runs, and takes its time."""

    def __init__(self, shown_on: Console):
        self.shown_on = shown_on
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        with steps(self.shown_on) as begin:
            begin(name)
            yield
        self.seconds[name] = round(time.perf_counter() - start, 2)
        self.shown_on.print(f"{name}: {self.seconds[name]:.1f} s")


def _list_boards(as_json: bool) -> None:
    records = [
        {
            "name": board.name,
            "title": board.title,
            "aliases": board.aliases,
            "part": board.part,
            "clock_mhz": board.clock_hz / 1e6,
            "preset": board.preset,
            "capacity": board.capacity,
            "toolchains": board.toolchains,
        }
        for board in BOARDS.values()
    ]
    table = Table()
    for heading in ("name", "board", "clock", "capacity", "toolchains"):
        table.add_column(heading)
    for record in records:
        table.add_row(
            "\n".join((record["name"], *record["aliases"])),
            f"{record['title']}\n{record['part']}",
            f"{record['clock_mhz']:g} MHz",
            "\n".join(f"{number:,} {name}" for name, number in record["capacity"].items()),
            "\n".join(record["toolchains"]),
        )
    emit({"boards": records}, table, as_json)


def _configuration(
    board: Board, preset: str | None, lanes: int | None, groups: int | None
) -> AcceleratorConfig:
    name = board.preset if preset is None else preset
    if name not in PRESETS:
        raise BadInput(f"unknown preset {name!r}: it can be {', '.join(sorted(PRESETS))}")
    knobs = {"lanes": lanes, "groups": groups}
    chosen = {knob: value for knob, value in knobs.items() if value is not None}
    return dataclasses.replace(PRESETS[name], **chosen)


def _design(board: Board, config: AcceleratorConfig, model: Path | None) -> Design:
    """With the network of a file in its memories, or with empty ones.

    Raises
    ------
    BadInput
        If the network does not fit.
    """
    from sw.format import read
    from sw.pack import pack_file

    if model is None:
        return Design(board, config)
    network = read(model)
    image = pack_file(model, network, config)
    return Design(board, config, image.contents, image.id, str(model))


@dataclasses.dataclass(frozen=True)
class _Memories:
    """What the memories are to hold: the network of a file, or else the shipped one, or nothing."""

    board: Board
    model: Path | None
    shipped: bool
    notes: Console

    def filled(self, make: Callable[[Path | None], T]) -> T:
        """What is made with that network; with none, if the shipped one does not fit.

        Raises
        ------
        BadInput
            If the network of a file does not fit, or nothing can be in the memories of this board.
        """
        if self.model is not None or not self.shipped:
            return self._made(make, self.model)
        reason = "the shipped network is not installed"
        if networks.LENET300100.exists():
            try:
                return self._made(make, networks.LENET300100)
            except BadInput as error:
                # Whoever names this network is told what else is short, and what would do.
                file = str(networks.LENET300100)
                reason = str(error).replace(file, Path(file).name).partition("; ")[0]
        self.notes.print(f"note: memories are left empty: {reason}")
        return make(None)

    def _made(self, make: Callable[[Path | None], T], model: Path | None) -> T:
        if model is not None and not self.board.resident:
            raise BadInput(
                f"{model} cannot be built in: the memories of {self.board.name} hold nothing at "
                "power-up; build with --no-model, and have the host load it (thresher load does, "
                "on a board)"
            )
        return make(model)


def _show(summary: dict[str, Any], folder: Path) -> Group:
    table = Table()
    table.add_column("resource")
    for heading in ("used", "available", "share"):
        table.add_column(heading, justify="right")
    for name, resource in summary["resources"].items():
        used, available = resource["used"], resource["available"]
        table.add_row(name, f"{used:,g}", f"{available:,}", f"{used / available:.1%}")
    clock = f"clock {summary['clock_mhz']:g} MHz"
    if summary["fmax_mhz"] is None:
        how = f"Counted by Yosys, not routed, for the {summary['part']}; {clock}, not proven."
    else:
        how = f"Routed for the {summary['part']}: Fmax {summary['fmax_mhz']:.2f} MHz, {clock}."
    model = summary["model"]
    lines = [how, f"Network: {network_of(model and model['path'])}", f"Files: {folder}"]
    if summary["bitstream"] is not None:
        lines.append(f"Bitstream: {summary['bitstream']}")
    return Group(table, *lines)


@click.command(
    epilog="""
    \b
    Examples:
      thresher build --board arty
          the shipped network, resident; with Vivado on PATH a bitstream, else
          the resources as Yosys counts them
      thresher build --board ulx3s --model lenet.thr --lanes 8
          a bitstream with the open flow, with another network and 8 lanes; verbs
          that use the board take the folder of such a build by --build
      thresher build --export axi --model lenet.thr -o thresher_axi/
          Verilog, register map and wrappers for a design of your own
      thresher build --export asic --preset tiny --liberty cells.lib -o chip/
          Verilog with memories as black boxes, and the area of every block
      thresher build --list-boards

    Written to DIR/<board>-<digest>/, the digest telling configuration and network: top.v,
    constraints, the vendor's project script, memory/, config.json, regmap.json, csr.csv (for
    litex_cli), summary.json and what the tools made. An export is in DIR itself. Nothing is left
    there by a build that fails.
    """
)
@click.option("--board", "board_name", metavar="NAME", help="The board; see --list-boards.")
@click.option(
    "--export",
    "kind",
    metavar="KIND",
    help=f"Write Verilog for a design of your own instead: {', '.join(KINDS)} or asic.",
)
@click.option(
    "--liberty",
    metavar="F.lib",
    type=click.Path(path_type=Path),
    help="Cells to synthesise an export for an ASIC with.",
)
@click.option("--list-boards", is_flag=True, help="List the boards and what is on them.")
@click.option(
    "--model",
    metavar="M.thr",
    type=click.Path(path_type=Path),
    help="Network that the memories hold at power-up; if not given, the shipped one, if it fits.",
)
@click.option("--no-model", is_flag=True, help="Leave the memories empty; load a network later.")
@click.option(
    "--preset",
    metavar="NAME",
    help=f"Configuration to begin with: {', '.join(PRESETS)}.  [default: the board's own]",
)
@click.option("--lanes", metavar="L", type=int, help="Processing elements over the outputs.")
@click.option("--groups", metavar="G", type=int, help="Sets of lanes over the inputs.")
@click.option(
    "--toolchain",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="vivado, xray, nextpnr, yosys (which only counts), or auto: the best that is installed.",
)
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to make the folder of the build; the folder of an export itself.  [default: build]",
)
@json_option
def build(
    board_name: str | None,
    kind: str | None,
    liberty: Path | None,
    list_boards: bool,
    model: Path | None,
    no_model: bool,
    preset: str | None,
    lanes: int | None,
    groups: int | None,
    toolchain: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Build the accelerator for a board: sources, resources, and a bitstream where possible.

    A design that is too large for the board's FPGA, or too slow for its clock, is an error that
    says by how much. With --export, the accelerator is written for a design of your own:
    docs/integration.md.
    """
    if list_boards:
        _list_boards(as_json)
        return
    _check_export(kind, liberty, model, plain=toolchain == "auto")
    if no_model and model is not None:
        raise BadInput(f"--no-model and --model {model} contradict each other: give one of them")
    if board_name is None and kind is not None:
        board_name = _EXPORTED
    if board_name is None:
        raise BoardError(f"--board is missing: it can be {', '.join(BOARDS)}")
    board = find(board_name)
    config = _configuration(board, preset, lanes, groups)
    notes = console()
    resident = _Memories(board, model, not no_model, notes)
    if kind is not None:
        if out is None:
            raise BadInput("--export needs -o DIR for its files")
        if kind == _ASIC:
            _export_asic(Asic(config, board.clock_hz, liberty), out, as_json)
        else:
            summary = _export(Export(kind, config, board), resident, out)
            emit(summary, shown(summary, out), as_json)
        return
    out = Path("build") if out is None else out
    chosen = choose(board, toolchain)
    design = resident.filled(functools.partial(_design, board, config))
    notes.print(f"{board.title}: {config.lanes} × {config.groups} elements, toolchain {chosen}")
    if chosen == "yosys":
        notes.print("note: resources are counted by Yosys, not routed; no bitstream is made")
    timed = _Steps(notes)
    with _writing_to(out):
        summary = build_design(design, chosen, out, timed, timed.seconds)
    emit(summary, _show(summary, out / design.name), as_json)


def _check_export(kind: str | None, liberty: Path | None, model: Path | None, plain: bool) -> None:
    """Refuse options that do not go together; `plain` is whether --toolchain is not given."""
    if kind not in (None, _ASIC, *KINDS):
        raise BadInput(f"unknown export {kind!r}: it can be {', '.join(KINDS)} or {_ASIC}")
    if liberty is not None and kind != _ASIC:
        raise BadInput(f"--liberty is for --export {_ASIC}: give both")
    if kind is not None and not plain:
        raise BadInput("--export takes no --toolchain")
    if kind == _ASIC and model is not None:
        raise BadInput(f"--export {_ASIC} takes no --model: its memories are black boxes")


def _export_asic(asic: Asic, folder: Path, as_json: bool) -> None:
    config, notes = asic.config, console()
    with _writing_to(folder):
        check_asic(asic, folder)
        notes.print(f"{_ASIC}: {config.lanes} × {config.groups} elements")
        summary = write_asic(asic, folder, _Steps(notes))
    emit(summary, shown_asic(summary), as_json)


def _export(empty: Export, resident: _Memories, folder: Path) -> dict[str, Any]:
    check_export(empty.kind, folder)
    made, config = resident.filled(functools.partial(packed, empty)), empty.config
    resident.notes.print(f"{empty.kind}: {config.lanes} × {config.groups} elements")
    with _writing_to(folder), _Steps(resident.notes)("generation"):
        return write_export(made, folder)


@contextlib.contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror or error}") from error
