"""What must not be torn apart by Ctrl-C, SIGTERM or SIGHUP."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

__all__ = ["give_up", "uninterrupted"]

# Of which Windows has no SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A block at whose end an interrupt takes effect that came amid it; a short one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which alone is interrupted
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    # What is no function is left alone: it ends the program at once, or does nothing.
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def give_up() -> None:
    """Be quiet about what has been made in vain by now: an interrupt is no mistake."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    if (hdl := sys.modules.get("amaranth.hdl")) is not None:
        warnings.simplefilter("ignore", hdl.UnusedElaboratable)
