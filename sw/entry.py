"""The `thresher` command as a program: how it ends when a signal ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from .interrupts import give_up

__all__ = ["INTERRUPTED", "importing", "main"]

INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a program that Ctrl-C ended, as shells have it."""


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """A block of imports, during which Ctrl-C ends the program at once, with status 130.

    An exception would not do: modules in the middle of an import make others of it.
    """
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not default or threading.current_thread() is not threading.main_thread():
        yield  # the signal is somebody else's
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with the program's own arguments if none are given.

    SIGTERM and SIGHUP unwind it as Ctrl-C does, so that it tidies up: files, what a device holds,
    programs that it runs.
    """
    with importing():
        from .cli import main as thresher
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _end)  # with nohup it is ignored, and stays so
    thresher(arguments, prog_name="thresher")


def _end(number: int, _: FrameType | None) -> None:
    give_up()
    sys.exit(128 + number)
