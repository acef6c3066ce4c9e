"""How the host reaches the accelerator's bus: word reads and writes, and what can go wrong."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput

__all__ = ["ByteStream", "DeviceSilent", "LinkError", "PortError", "Transport"]


class LinkError(BadInput):
    """The accelerator cannot be reached; the message names the port and what to look at."""


class PortError(LinkError):
    """The port does not exist, may not be opened, or was lost."""


class DeviceSilent(LinkError):
    """The port is there, but nothing on it answers."""


class Transport(Protocol):
    """The accelerator's bus as seen by the host; addresses are word addresses.

    Every method raises `LinkError` when the accelerator cannot be reached.
    """

    def write(self, address: int, words: NDArray[np.uint32], *, fixed: bool = False) -> None:
        """Write `words` to successive addresses, or all of them to one address if `fixed`."""
        ...

    def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """Read `count` words from successive addresses."""
        ...

    def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """Wait until ``word & mask == value``; False if it is not so within `timeout` seconds."""
        ...

    def resynchronise(self) -> None:
        """Make ready for the next transfer after one that went wrong."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...


class ByteStream(Protocol):
    """Bytes to and from a device."""

    def write(self, data: bytes, /) -> None:
        """Send all of `data`."""
        ...

    def read(self, count: int, seconds: float, /) -> bytes:
        """Wait for `count` bytes; fewer if none comes for so many seconds."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...
