"""Transfers that are known to have taken place: what a bad line spoils is found, and repeated.

UARTBone has no checksum. The gateware therefore keeps one of all transfers, reads and writes, and
writes reach its memories between two addresses only (`hw.regmap`: crc, write_first, write_last).
An exchange restarts the checksum, makes its transfers and reads the checksum: if that is what it
should be, all of them took place as they were meant, once and in order, and all words that were
read are those that were there.
"""

from __future__ import annotations

import contextlib
import functools
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hw.layouts import BUS_ADDRESS_BITS
from hw.regmap import CRC_WRITE, PLACE, REGISTERS

from .asynchronous import AsyncTransport
from .transport import LinkError, PortError

__all__ = ["LineError", "Part", "VerifiedBus"]


Part = tuple[int, NDArray[np.uint32]]
"""Words at successive addresses: the first address, and they."""

T = TypeVar("T")

# Words of an exchange: halved when one is spoiled, doubled when one of as many is not. Few at
# first, to learn how fast the line is.
_WORDS_MAX = 1 << 12
_WORDS_FIRST = 64
_WORDS_MIN = 16
# Exchanges that are spoiled one after the other before the line is given up: with one byte in 50
# spoiled, every third of a few words comes through.
_SPOILED_MAX = 40
_POLL_SECONDS = 0.25
_NOTHING = (1 << BUS_ADDRESS_BITS) - 1, 0  # writable: no address lies between
_EVERYTHING = 0, (1 << BUS_ADDRESS_BITS) - 1


class LineError(LinkError):
    """So much is spoiled on the line that nothing gets through."""


class _Spoiled(LinkError):
    """An exchange did not take place as it should."""


class VerifiedBus:
    """The accelerator's bus as the driver sees it.

    Every method raises `LineError`, or what the transport does, when the accelerator cannot be
    reached, and `PortError` at once when the port is lost.

    Parameters
    ----------
    transport : AsyncTransport
        Closed by the caller.

    Attributes
    ----------
    repeated : int
        Exchanges that were spoiled, and repeated, so far.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._words = min(_WORDS_FIRST, _WORDS_MAX)
        self._in_a_row = 0
        self._in_step = True  # whether the line is known to be ready for an exchange
        self._writable: tuple[int, int] | None = None  # not known
        self.repeated = 0

    async def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """Words from successive addresses; of the register crc, no matter what."""
        words = np.empty(count, np.uint32)
        done = 0
        while done < count:
            size = min(self._words, count - done)
            found = await self._attempt(functools.partial(self._read, address + done, size), size)
            if found is not None:
                words[done : done + size] = found
                done += size
        return words

    async def registers(self) -> dict[str, int]:
        """The values of all registers, read together; that of crc is no matter."""
        values = await self.read(0, len(PLACE))
        return dict(zip(PLACE, values.tolist(), strict=True))

    async def set(self, register: str, *values: int) -> None:
        """Write a register, and those behind it; again if need be, so twice must be as once."""
        if REGISTERS[PLACE[register]].guarded:
            await self.write([(PLACE[register], np.array(values, np.uint32))])
            return
        write = functools.partial(self._write, [(PLACE[register], np.array(values, np.uint32))])
        while await self._attempt(write) is None:
            pass

    async def command(self, register: str, value: int) -> bool:
        """Write a register that must not be written twice: False if nobody knows whether it was."""
        write = functools.partial(self._write, [(PLACE[register], np.array([value], np.uint32))])
        return await self._attempt(write) is not None

    async def write(
        self, parts: Sequence[Part], progress: Callable[[float], None] = lambda _share: None
    ) -> None:
        """Write to what is guarded: (address of the first, words), where none may overlap.

        Where something is spoiled, other words at addresses between those may be, too, but none
        below the lowest and none above the highest.

        Parameters
        ----------
        progress : called with the share that is written, growing to 1
        """
        parts = sorted(parts, key=lambda part: part[0])
        total = sum(len(words) for _, words in parts)
        done = 0
        try:
            while done < total:
                chosen = list(_between(parts, done, self._words))
                last, words = chosen[-1]
                await self._let_write(chosen[0][0], last + len(words) - 1)
                size = sum(len(words) for _, words in chosen)
                if await self._attempt(functools.partial(self._write, chosen), size) is not None:
                    done += size
                    progress(done / total)
        except LinkError:
            raise  # there is no way to it any more
        except BaseException:
            # The port may have gone with what it was: Ctrl-C ends the other side, too.
            with contextlib.suppress(LinkError):
                await self._let_write(*_NOTHING)
            raise
        await self._let_write(*_NOTHING)

    async def poll(self, register: str, mask: int, value: int, timeout: float) -> bool:
        """Wait until ``register & mask == value``; False if it is not so within `timeout` seconds.

        It is looked at once at least.
        """
        deadline = time.monotonic() + timeout
        while True:
            # In slices: a coroutine that is cancelled leaves the one under way to itself.
            left = min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))
            await self._attempt(
                functools.partial(self._transport.poll, PLACE[register], mask, value, left)
            )
            if int((await self.read(PLACE[register], 1))[0]) & mask == value:
                return True
            if time.monotonic() >= deadline:
                return False

    async def guard(self) -> bool:
        """From now on, what is guarded is written by `write` and `set` alone; whether it was so."""
        before = await self.registers()
        await self._let_write(*_NOTHING)
        return before["write_first"] > before["write_last"]

    async def release(self) -> None:
        """Leave the device as after power-up, in that all addresses may be written to."""
        await self._let_write(*_EVERYTHING)

    async def _let_write(self, first: int, last: int, *, surely: bool = False) -> None:
        if surely or self._writable != (first, last):
            self._writable = None  # not known in between
            spoiled = self._in_a_row
            await self.set("write_first", first, last)
            self._in_a_row = spoiled  # until what this is for has come through, too
            self._writable = first, last

    async def _attempt(self, exchange: Callable[[], Awaitable[T]], words: int = 1) -> T | None:
        """What an exchange returns; None if it was spoiled, and then the line is ready again.

        Parameters
        ----------
        words : that it transfers

        Raises
        ------
        LinkError
            If too many were spoiled in a row, the device is silent, or the port is lost.
        """
        try:
            if not self._in_step:
                await self._transport.resynchronise()
            self._in_step = False
            result = await exchange()
            self._in_step = True
        except PortError:
            raise
        except LinkError as error:
            self._in_a_row += 1
            self.repeated += 1
            if self._in_a_row >= _SPOILED_MAX:
                spoiled, self._in_a_row = self._in_a_row, 0
                raise LineError(
                    f"{error}; {spoiled} exchanges in a row were spoiled: check the cable "
                    "and the baud rate"
                ) from error
            self._words = max(_WORDS_MIN, self._words // 2)
            await self._transport.resynchronise()
            self._in_step = True
            # What was garbled may have opened other places to be written to.
            if self._writable is not None:
                await self._let_write(*_NOTHING, surely=True)
            return None
        self._in_a_row = 0
        if words >= self._words:
            self._words = min(_WORDS_MAX, self._words * 2)
        return result

    async def _read(self, address: int, count: int) -> NDArray[np.uint32]:
        await self._restart()
        words = await self._transport.read(address, count)
        await self._check([(address, words)], 0)
        return words

    async def _write(self, parts: Sequence[Part]) -> bool:
        await self._restart()
        for address, words in parts:
            await self._transport.write(address, words)
        await self._check(parts, CRC_WRITE)
        return True

    async def _restart(self) -> None:
        await self._transport.write(PLACE["crc"], np.zeros(1, np.uint32))

    async def _check(self, parts: Sequence[Part], direction: int) -> None:
        expected = 0
        for address, words in parts:
            pairs = np.empty((len(words), 2), "<u4")
            pairs[:, 0] = address + np.arange(len(words)) + direction
            pairs[:, 1] = words
            of_others = pairs[:, 0] != PLACE["crc"] + direction
            expected = zlib.crc32(pairs[of_others].tobytes(), expected)
        found = int((await self._transport.read(PLACE["crc"], 1))[0])
        if found != expected:
            raise _Spoiled(
                f"the checksum of what was sent and received is {found:08x}, it should be "
                f"{expected:08x}"
            )


def _between(parts: Sequence[Part], start: int, count: int) -> Iterator[Part]:
    """Of all words together, those from `start` on, `count` at most."""
    for address, words in parts:
        if start < len(words) and count > 0:
            chosen = words[start : start + count]
            yield address + start, chosen
            count -= len(chosen)
        start = max(0, start - len(words))
