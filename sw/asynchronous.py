"""One driver for two kinds of program: its core is asynchronous, and so are its transports here.

Coroutines whose transport is `Immediate` never wait for an event loop, so `finish` runs them from
beginning to end in any thread: in a script, in a notebook whose own loop is running, in a bench of
cocotb. With `Threaded` the event loop goes on while the line is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .transport import Transport
from .uartbone import UartBone

__all__ = ["AsyncTransport", "Immediate", "Threaded", "finish", "followed_by", "opened"]

T = TypeVar("T")
Opened = TypeVar("Opened", bound=Transport)


class AsyncTransport(Protocol):
    """A `Transport` whose methods are coroutines."""

    @property
    def line_seconds(self) -> float:
        """How long all bytes so far take at the baud rate; 0 if it is no serial line."""
        ...

    async def write(self, address: int, words: NDArray[np.uint32]) -> None:
        """As `Transport.write`."""
        ...

    async def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """As `Transport.read`."""
        ...

    async def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """As `Transport.poll`."""
        ...

    async def resynchronise(self) -> None:
        """As `Transport.resynchronise`."""
        ...


class Immediate:
    """A transport in coroutines that do not wait but block."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def line_seconds(self) -> float:
        """As `AsyncTransport.line_seconds`."""
        return _line_seconds(self._transport)

    async def write(self, address: int, words: NDArray[np.uint32]) -> None:
        """As `Transport.write`."""
        self._transport.write(address, words)

    async def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """As `Transport.read`."""
        return self._transport.read(address, count)

    async def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """As `Transport.poll`."""
        return self._transport.poll(address, mask, value, timeout)

    async def resynchronise(self) -> None:
        """As `Transport.resynchronise`."""
        self._transport.resynchronise()


class Threaded:
    """A transport that a thread of its own uses, one transfer after the other.

    A coroutine that is cancelled leaves the transfer under way to end by itself; the next one
    waits for that.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._thread = ThreadPoolExecutor(1, "accelerator")

    @property
    def line_seconds(self) -> float:
        """As `AsyncTransport.line_seconds`."""
        return _line_seconds(self._transport)

    async def write(self, address: int, words: NDArray[np.uint32]) -> None:
        """As `Transport.write`."""
        await self._do(self._transport.write, address, words)

    async def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """As `Transport.read`."""
        return await self._do(self._transport.read, address, count)

    async def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """As `Transport.poll`."""
        return await self._do(self._transport.poll, address, mask, value, timeout)

    async def resynchronise(self) -> None:
        """As `Transport.resynchronise`."""
        await self._do(self._transport.resynchronise)

    async def close(self) -> None:
        """Close the transport, and end the thread."""
        try:
            await self._do(self._transport.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _do(self, method: Callable[..., T], *arguments: object) -> T:
        call = functools.partial(method, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _line_seconds(transport: Transport) -> float:
    return transport.line_seconds if isinstance(transport, UartBone) else 0.0


async def opened(open_it: Callable[[], Opened]) -> Opened:
    """What a function opens in a thread; closed there if the task was cancelled meanwhile.

    Raises
    ------
    Exception
        What the function does.
    """
    thread = ThreadPoolExecutor(1, "opening")
    opening = thread.submit(open_it)
    thread.shutdown(wait=False)
    try:
        return await asyncio.wrap_future(opening)
    except BaseException:
        opening.add_done_callback(_close)
        raise


def _close(opening: Future[Opened]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


@contextlib.asynccontextmanager
async def followed_by(clean_up: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """A block and what is done after it; if both fail, what the block raises is raised."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(BadInput):
            await clean_up()
        raise
    await clean_up()


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing; without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits for an event loop")
