"""What software does with an export whose memories hold a network, over whatever bus.

It knows of the network what network.json in the export's folder says, and nothing else.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.bench.streams import parameters

__all__ = ["Software", "masks_of"]

_POLLS_MAX = 1000
_ASKED_MAX = 10_000
_BITS, _BYTES = 32, 4  # of a word of the bus


def masks_of(regmap: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Register -> field -> its bits, 1 in an else empty word; from regmap.json."""
    return {
        register["name"]: {
            field["name"]: ((1 << field["bits"]) - 1) << field["first"]
            for field in register["fields"]
        }
        for register in regmap["registers"]
    }


class Software:
    """Registers by name, and runs.

    Parameters
    ----------
    read : (byte address) -> word
    write : (byte address, word)

    Parameters of the bench are `export`, the folder; for `run` and `run_in_c`, `inputs`, vectors of
    integers, and `results` and `results_in_c`, the files in which those of the output are put.
    """

    def __init__(
        self, read: Callable[[int], Awaitable[int]], write: Callable[[int, int], Awaitable[None]]
    ) -> None:
        self.read_at, self.write_at = read, write
        self.given: dict[str, Any] = parameters()
        export = Path(self.given["export"])
        self.regmap = json.loads((export / "regmap.json").read_text())
        self.network = json.loads((export / "network.json").read_text())
        self._bits = masks_of(self.regmap)
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
        given, network = self.given["inputs"], self.network
        await self._streams_off()
        await self._idle()  # which it is not in the first cycles after a reset
        assert await self.read("image_id") == network["image_id"]
        assert len(given) <= network["vectors_max"]
        for address, word in _words(network["input"], given).items():
            await self.write_at(address, word)
        await self.write("vectors", len(given))
        await self.write("control", self._bits["control"]["start"])
        assert await self._idle() > 1, "the engine was never busy"
        output = network["output"]
        addresses = _words(output, [[0] * output["count"]] * len(given))
        words = {address: await self.read_at(address) for address in addresses}
        results = _vectors(output, words, len(given))
        Path(self.given["results"]).write_text(json.dumps(results))

    async def run_in_c(self) -> None:
        """The same, a vector at a time, by a program of which this is the bus.

        The program, the parameter `program`, is given a vector as arguments. It asks by lines on
        its stdout: ``r ADDRESS``, answered by the word, ``w ADDRESS WORD``; ``y`` and the outputs
        are its last.
        """
        results = []
        await self._streams_off()
        for vector in self.given["inputs"]:
            command = [self.given["program"], *map(str, vector)]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            ) as program:
                assert program.stdin is not None
                assert program.stdout is not None
                for asked, line in enumerate(program.stdout):
                    assert asked < _ASKED_MAX, "the program goes on for ever"
                    what, *numbers = line.split()
                    if what == "r":
                        print(await self.read_at(int(numbers[0])), file=program.stdin)
                    elif what == "w":
                        await self.write_at(int(numbers[0]), int(numbers[1]))
                    else:
                        results.append([int(number) for number in numbers])
            assert program.returncode == 0
        Path(self.given["results_in_c"]).write_text(json.dumps(results))

    async def _streams_off(self) -> None:
        if "stream_control" in self._address:
            await self.write("stream_control", 0)
            assert not await self.read("stream_status") & self._bits["stream_status"]["busy"]

    async def _idle(self) -> int:
        """Wait until the engine is not busy; how often it was asked."""
        for polls in range(1, _POLLS_MAX):
            if not await self.read("status") & self._bits["status"]["busy"]:
                return polls
        raise AssertionError("the engine is busy for ever")


def _words(port: Mapping[str, Any], vectors: Sequence[Sequence[int]]) -> dict[int, int]:
    """Byte address -> word of the bus, of all words that hold something of the vectors."""
    words: dict[int, int] = defaultdict(int)
    for number, vector in enumerate(vectors):
        for value, (address, bit) in zip(vector, port["places"], strict=True):
            first = address + number * port["vector_bytes"]
            held = (value & ((1 << port["bits"]) - 1)) << bit
            words[first] |= held & ((1 << _BITS) - 1)
            if bit + port["bits"] > _BITS:
                words[first + _BYTES] |= held >> _BITS
    return dict(words)


def _vectors(port: Mapping[str, Any], words: Mapping[int, int], count: int) -> list[list[int]]:
    """The activations that are in the words, by byte address, of so many vectors."""
    high = 1 << (port["bits"] - 1)
    vectors = []
    for number in range(count):
        vector = []
        for address, bit in port["places"]:
            first = address + number * port["vector_bytes"]
            both = words[first] | words.get(first + _BYTES, 0) << _BITS
            vector.append(((both >> bit & (2 * high - 1)) ^ high) - high)
        vectors.append(vector)
    return vectors
