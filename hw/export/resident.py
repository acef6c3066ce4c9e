"""The network that the memories of an export hold, for those who have nothing but its folder."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .. import layouts
from ..regmap import AddressSpace, Window
from .stream_map import StreamSettings

__all__ = ["Activations", "Resident", "network_json"]

_WORD_BYTES = layouts.BUS_BITS // 8
_PAIR = re.compile(r"\[\n\s+(\d+),\n\s+(\d+)\n\s+\]")


@dataclasses.dataclass(frozen=True)
class Activations:
    """What the integers of an input or an output mean, and where they lie.

    Parameters
    ----------
    bits : int
        Of an activation, a number in two's complement.
    fraction : int
        The integer `q` stands for ``q * 2**-fraction``.
    low, high : int
        The least and the greatest.
    step : int
        Bus words from a vector of a run to the next.
    places : sequence of (unit, word, bit)
        Of each activation of vector 0: where its lowest bit is in the window of activations.
    """

    bits: int
    fraction: int
    low: int
    high: int
    step: int
    places: Sequence[tuple[int, int, int]]

    def as_data(self, space: AddressSpace) -> dict[str, Any]:
        """The same as JSON can hold it; places are (byte address of the word, bit)."""
        return {
            "count": len(self.places),
            "bits": self.bits,
            "signed": True,
            "fraction": self.fraction,
            "low": self.low,
            "high": self.high,
            "vector_bytes": self.step * _WORD_BYTES,
            "places": [
                (space.word(Window.ACTIVATIONS, unit, word) * _WORD_BYTES, bit)
                for unit, word, bit in self.places
            ],
        }


@dataclasses.dataclass(frozen=True)
class Resident:
    """A network, laid out in the memories of a configuration.

    Parameters
    ----------
    file : str
        Name of the file that it is from, without its folder.
    contents : window -> per unit, items of 32-bit parts
        `sw.image.Image.contents`.
    image_id : int
        `sw.image.Image.id`.
    vectors : int
        The greatest number of them in a run.
    input, output : Activations
    streams : StreamSettings
        Heeded by "axi" alone.
    """

    file: str
    contents: Mapping
    image_id: int
    vectors: int
    input: Activations
    output: Activations
    streams: StreamSettings

    def as_data(self, space: AddressSpace) -> dict[str, Any]:
        """What software has to know to run vectors, as JSON can hold it."""
        return {
            "file": self.file,
            "image_id": self.image_id,
            "vectors_max": self.vectors,
            "input": self.input.as_data(space),
            "output": self.output.as_data(space),
        }


def network_json(network: Mapping[str, Any]) -> str:
    """What `Resident.as_data` returns as text, a line for each activation."""
    return _PAIR.sub(r"[\1, \2]", json.dumps(network, indent=2)) + "\n"
