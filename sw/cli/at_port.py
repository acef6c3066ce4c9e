"""The options by which verbs find an accelerator at a port, and that accelerator."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from hw import boards
from hw.config import AcceleratorConfig
from sw.device_errors import OtherConfiguration, UnknownConfiguration, WrongGateware
from sw.driver import Accelerator
from sw.ports import PORTS_VARIABLE, boards_of
from sw.registers import Registers

from .builds import newest_engine
from .output import console
from .target import board_config

__all__ = ["AtPort", "build_option", "device_options"]

build_option = click.option(
    "--build",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of its build, or of builds, of which the newest is taken: for an engine that is "
    "not the board's own, such as one of other lanes.",
)


@dataclasses.dataclass(frozen=True)
class AtPort:
    """Which accelerator the options name.

    Attributes
    ----------
    port : str
    baud : int or None
        That of the boards, if None.
    board : Board or None
    config : AcceleratorConfig or None
        None if neither board nor build is named: then it says itself what it is.
    build : Path or None
        The folder that was named.
    """

    port: str
    baud: int | None
    board: boards.Board | None
    config: AcceleratorConfig | None
    build: Path | None

    @classmethod
    def of(cls, port: str, board: str | None, baud: int | None, build: Path | None) -> AtPort:
        """From the values of the options."""
        chosen = None if board is None else boards.find(board)
        config = None if board is None else board_config(board)
        if build is not None:
            built = newest_engine(build, chosen)
            chosen, config = built.board, built.config
        if baud is None and chosen is not None:
            baud = chosen.baud
        return cls(port, baud, chosen, config, build)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Accelerator]:
        """The accelerator at the port, for a block; "auto" is told on stderr."""

        def say(line: str) -> None:
            console().print(line, markup=False, highlight=False)

        try:
            with Accelerator.open(
                self.port, baud=self.baud, config=self.config, say=say
            ) as accelerator:
                yield accelerator
        except UnknownConfiguration as error:
            raise WrongGateware(
                f"the device has {_engine(error.found)}, that of no board; name the folder of its "
                "build by --build"
            ) from error
        except OtherConfiguration as error:
            raise WrongGateware(self._mismatch(error)) from error

    def board_names(self, registers: Registers) -> list[str]:
        """The board that the options name, or those that the device may be."""
        return list(boards_of(registers.config_digest)) if self.board is None else [self.board.name]

    def _mismatch(self, error: OtherConfiguration) -> str:
        known = boards_of(error.found)
        if self.build is None and self.board is not None:
            option, other = "--board", self.board.name
            todo = "build for that board"
        else:
            option, other = "--build", f"the build in {self.build}, {error.expected:08x}"
            todo = "program that build"
        first = f"leave {option} out" if known else "name the folder of its build by --build"
        return f"the device has {_engine(error.found)}, not that of {other}; {first}, or {todo}"


def _engine(digest: int) -> str:
    known = " or ".join(boards_of(digest))
    return f"the engine of {known}" if known else f"an engine of configuration {digest:08x}"


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --port, --board, --baud and --build, which the command gets as `device`, an `AtPort`."""
    options = (
        click.option(
            "--port",
            metavar="PORT",
            default="auto",
            show_default=True,
            help="Serial port of the board, such as /dev/ttyUSB1 or COM4, or a pyserial URL; auto: "
            "the first at which an accelerator answers, of the ports that the environment variable "
            f"{PORTS_VARIABLE} lists, with commas between them, and then of USB's.",
        ),
        click.option("--board", metavar="B", help="Which board it is.  [default: what it says]"),
        click.option(
            "--baud",
            metavar="N",
            type=int,
            help="Baud rate; a pseudo-terminal and a TCP port have none.  [default: the board's]",
        ),
        build_option,
    )

    @functools.wraps(command)
    def with_device(
        port: str, board: str | None, baud: int | None, build: Path | None, **others: Any
    ) -> Any:
        return command(device=AtPort.of(port, board, baud, build), **others)

    for option in reversed(options):
        with_device = option(with_device)
    return with_device
