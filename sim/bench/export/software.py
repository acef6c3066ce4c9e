"""What software does with an export whose memories hold a network, over whatever bus."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sim.bench.streams import parameters

__all__ = ["Software", "bits_of"]

_POLLS_MAX = 1000


def bits_of(regmap: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Register -> field -> its bits, 1 in an else empty word; from regmap.json."""
    return {
        register["name"]: {
            field["name"]: ((1 << field["bits"]) - 1) << field["first"]
            for field in register.get("fields", ())
        }
        for register in regmap["registers"]
    }


class Software:
    """Registers by name, and runs.

    Parameters
    ----------
    read : (byte address) -> word
    write : (byte address, word)

    Parameters of the bench are `regmap`, the file regmap.json; for `run`, `inputs`, (byte address,
    word) each, `outputs`, byte addresses of words, and `results`, the file in which these are put.
    """

    def __init__(
        self, read: Callable[[int], Awaitable[int]], write: Callable[[int, int], Awaitable[None]]
    ) -> None:
        self.read_at, self.write_at = read, write
        self.given: dict[str, Any] = parameters()
        self.regmap = json.loads(Path(self.given["regmap"]).read_text())
        self._bits = bits_of(self.regmap)
        self._address = {each["name"]: each["address"] for each in self.regmap["registers"]}

    async def read(self, name: str) -> int:
        return await self.read_at(self._address[name])

    async def write(self, name: str, word: int) -> None:
        await self.write_at(self._address[name], word)

    async def identify(self) -> None:
        for name in ("magic", "version", "config_digest"):
            assert await self.read(name) == self.regmap[name], name
        await self.write("scratch", 0x12345678)
        assert await self.read("scratch") == 0x12345678

    async def run(self) -> None:
        await self._idle()  # which it is not in the first cycles after a reset
        for address, word in self.given["inputs"]:
            await self.write_at(address, word)
        await self.write("vectors", self.given["vectors"])
        await self.write("control", self._bits["control"]["start"])
        assert await self._idle() > 1, "the engine was never busy"
        words = [await self.read_at(address) for address in self.given["outputs"]]
        Path(self.given["results"]).write_text(json.dumps(words))

    async def _idle(self) -> int:
        """Wait until the engine is not busy; how often it was asked."""
        for polls in range(1, _POLLS_MAX):
            if not await self.read("status") & self._bits["status"]["busy"]:
                return polls
        raise AssertionError("the engine is busy for ever")
