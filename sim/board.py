"""The virtual board: the design of a board's bitstream, Verilated, behind a port for its host.

All that is in the bitstream is in it but for the clock and the reset: the same top level. A C++
program (sim/board_server.cpp) drives its UART bit by bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import socket
import subprocess
import tempfile
import tty
from collections.abc import Callable
from pathlib import Path

from hw.boards import Board
from hw.config import AcceleratorConfig
from hw.virtual import VirtualTop

from . import verilated, verilog
from .cell_models import with_models

__all__ = ["Line", "PortTaken", "VirtualBoard", "build"]

_TOP = "board"
_SERVER = Path(__file__).with_name("board_server.cpp")
_LOOPBACK = "127.0.0.1"
_END_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Line:
    """The serial line between host and board.

    Attributes
    ----------
    baud : int
        Of the host, in bits per second of the board's time.
    spoiled : int
        One byte in so many is lost, doubled or changed, in each direction; none if 0.
    seed : int
        Of the spoiling.
    """

    baud: int
    spoiled: int = 0
    seed: int = 0


def build(
    board: Board, config: AcceleratorConfig, begin: Callable[[str], None] = lambda _step: None
) -> Path:
    """The program that is the virtual board; at once if it was built before.

    Parameters
    ----------
    begin : called with the name of each step that takes long

    Raises
    ------
    BadInput
        If a tool is missing.
    """
    key = f"{board.name} {board.clock_hz} {board.divisor} {config!r}"

    def design() -> VirtualTop:
        begin(f"generating a virtual {board.title}")
        return VirtualTop(config, board)

    text = with_models(verilog.cached_verilog(_TOP, key, design, board.memories()), board.family)
    compiling = functools.partial(begin, f"compiling a virtual {board.title}, once")
    return verilated.build(text, _TOP, main=_SERVER, begin=compiling)


class PortTaken(OSError):
    """A TCP port cannot be listened at."""


class VirtualBoard:
    """A virtual board that runs, as after power-up: a context manager.

    Its time passes as fast as the simulation goes, which is slower than that of the wall.

    Parameters
    ----------
    program : Path
        What `build` returned.
    board : Board
        What it was built for.
    line : Line, optional
        At the board's baud rate, and sound, if not given.
    tcp_port : int
        Of the loopback address; any that is free if 0.

    Attributes
    ----------
    port : str
        The pseudo-terminal, like the name of a serial port.
    url : str
        The TCP port as pyserial takes it.

    Raises
    ------
    PortTaken
        If the TCP port cannot be had.
    OSError
        If there are no pseudo-terminals left, or the program cannot be run.
    """

    def __init__(
        self, program: Path, board: Board, line: Line | None = None, tcp_port: int = 0
    ) -> None:
        line = line or Line(board.baud)
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as handed_over:
            self._errors = kept.enter_context(tempfile.TemporaryFile())
            listener = handed_over.enter_context(_listen(tcp_port))
            master, terminal = os.openpty()
            handed_over.callback(os.close, master)
            # Kept open, for a terminal that nobody has open would end.
            kept.callback(os.close, terminal)
            tty.setraw(terminal)
            self.port = os.ttyname(terminal)
            self.url = f"socket://{_LOOPBACK}:{listener.getsockname()[1]}"
            fds = (master, listener.fileno())
            numbers = (*fds, board.clock_hz, line.baud, line.spoiled, line.seed)
            self._child = subprocess.Popen(
                [str(program), *map(str, numbers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=fds,
                process_group=0,  # a terminal's Ctrl-C is for us, who close it
            )
            kept.callback(self._end)
            self._open = kept.pop_all()

    def wait(self, timeout: float | None = None) -> None:
        """Until the board's program ends by itself, which only an error makes it do.

        Raises
        ------
        SimulationCrash
            When it does.
        TimeoutExpired
            From `subprocess`, if it runs on for `timeout` seconds.
        """
        status = self._child.wait(timeout)
        self._errors.seek(0)
        tail = self._errors.read()[-4000:].decode(errors="replace").strip()
        why = f": {tail}" if tail else ""
        raise verilated.SimulationCrash(f"the virtual board ended with status {status}{why}")

    def close(self) -> None:
        """Switch the board off, if it is on."""
        self._open.close()

    def _end(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()  # at whose end the program ends, too
        try:
            self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> VirtualBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _listen(tcp_port: int) -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, tcp_port))
    except OSError as error:
        why = os.strerror(error.errno or 0)  # Python's own says more
        raise PortTaken(f"{tcp_port}: this port cannot be had ({why})") from error
