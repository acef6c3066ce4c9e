"""`thresher board`: a virtual board that host programs cannot tell from one on a cable."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hw import boards
from hw.boards import Board
from hw.csr import csr_csv, regmap
from hw.link.uart import DIVISOR_MIN, TOLERANCE
from sim import board as virtual_board
from sim import verilated
from sw.errors import BadInput
from sw.format import write_file
from sw.progress import steps
from sw.uartbone import burst_or_refuse

from .at_port import build_option
from .builds import Built, newest_engine
from .options import seed_option
from .output import check_output, console, emit, json_option
from .target import board_config

__all__ = ["board"]


@click.command(
    epilog="""
    \b
    Example, in two terminals:
      thresher board --virtual arty
      thresher run lenet.thr --port THE-PORT-IT-PRINTED --dataset mnist --count 10

    \b
    With LiteX's tools (docs/integration.md):
      thresher board --virtual arty --csr csr.csv
    """
)
@click.option("--virtual", "name", metavar="NAME", help="Which board.  [default: the build's]")
@build_option
@click.option("--baud", metavar="N", type=int, help="Of its UART.  [default: the board's]")
@click.option(
    "--tcp",
    "tcp_port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="TCP port of the loopback address.  [default: any that is free]",
)
@click.option(
    "--spoil",
    metavar="N",
    type=click.IntRange(2),
    help="A bad cable: one byte in N is lost, doubled or changed.",
)
@seed_option("--spoil", 0)
@click.option(
    "--csr",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the csr.csv of its engine there, for litex_cli.",
)
@json_option
def board(
    name: str | None,
    build: Path | None,
    baud: int | None,
    tcp_port: int,
    spoil: int | None,
    seed: int,
    csr: Path | None,
    as_json: bool,
) -> None:
    """Run a board's whole design in simulation, behind a serial port, until it is stopped.

    What is simulated is the top level of the bitstream, its UART bit by bit at --baud: all but the
    clock and the reset. Any program that opens serial ports may talk to it: through a
    pseudo-terminal, like /dev/ttyUSB1, and through a TCP port of the loopback address. The engine
    holds no network at first. Ctrl-C ends it.

    It is compiled once, which takes some minutes.
    """
    built = _built(name, build)
    chosen = _at_baud(built.board, baud)
    if csr is not None:
        check_output(csr)
    with steps(console()) as begin:
        program = virtual_board.build(chosen, built.config, begin)
    line = virtual_board.Line(chosen.baud, spoil or 0, seed)
    try:
        started = virtual_board.VirtualBoard(program, chosen, line, tcp_port)
    except virtual_board.PortTaken as error:
        raise BadInput(f"--tcp {error}") from error
    with started as running:
        if csr is not None:
            write_file(csr, csr_csv(regmap(built.config), chosen.clock_hz).encode())
        emit(_record(chosen, running), _show(chosen, running), as_json)
        try:
            running.wait()
        except KeyboardInterrupt:
            pass
        except verilated.SimulationCrash as error:
            raise BadInput(str(error)) from error


def _built(name: str | None, build: Path | None) -> Built:
    """The board's own engine, or that of a build."""
    named = None if name is None else boards.find(name)
    if build is not None:
        return newest_engine(build, named)
    if named is None:
        raise BadInput("name the board by --virtual, or a build by --build")
    return Built(named, board_config(named.name))


def _at_baud(board: Board, baud: int | None) -> Board:
    if baud is None:
        return board
    burst_or_refuse(baud, "--baud")
    below = max(DIVISOR_MIN, board.clock_hz // baud)
    rates = [board.clock_hz / divisor for divisor in (below, below + 1)]
    nearest = min(rates, key=lambda rate: abs(rate - baud))
    if abs(nearest - baud) > TOLERANCE * baud:
        raise BadInput(
            f"--baud is {baud}; the nearest rate of {board.name}'s UART is {nearest:.0f}, "
            f"for it divides {board.clock_hz / 1e6:g} MHz by whole numbers from {DIVISOR_MIN} on"
        )
    return dataclasses.replace(board, baud=baud)


def _record(board: Board, running: virtual_board.VirtualBoard) -> dict[str, Any]:
    return {
        "board": board.name,
        "port": running.port,
        "url": running.url,
        "baud": board.baud,
        "clock_hz": board.clock_hz,
    }


def _show(board: Board, running: virtual_board.VirtualBoard) -> Table:
    table = Table(show_header=False)
    table.add_row("virtual board", f"{board.title}, {board.clock_hz / 1e6:g} MHz")
    table.add_row("port", f"{running.port}, {board.baud:,} baud")
    table.add_row("the same by TCP", running.url)
    table.add_row("to end it", "Ctrl-C")
    return table
