"""A cable between a program and a virtual board that can be pulled out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

__all__ = ["cable"]

_CHUNK = 4096


@contextlib.contextmanager
def cable(url: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of its near end, and what pulls it out; `url` is that of its far end."""
    host, _, port = url.removeprefix("socket://").rpartition(":")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0)))
        far = stack.enter_context(socket.create_connection((host, int(port))))
        ends = [far]

        def pull() -> None:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        def carry() -> None:
            with contextlib.suppress(OSError):
                near, _ = listener.accept()
                ends.append(near)
                with near:
                    threading.Thread(target=_relay, args=(far, near), daemon=True).start()
                    _relay(near, far)

        threading.Thread(target=carry, daemon=True).start()
        stack.callback(pull)
        yield f"socket://{host}:{listener.getsockname()[1]}", pull


def _relay(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
