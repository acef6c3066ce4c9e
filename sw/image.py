"""An image: a compressed network laid out in the memories of one accelerator."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import Window

__all__ = ["Image", "Port", "word_address"]


@dataclasses.dataclass(frozen=True)
class Port:
    """Where the features of a vector lie in the activation memories.

    Attributes
    ----------
    base : int
        First word of vector 0, in every group.
    words : int
        Words of a vector in each group; vector v begins at ``base + v * words``.
    slots : (features,) int64
        Place of each feature within a vector: word * lanes + lane, where word w of a vector is
        word w // groups of group w % groups, or with `copies` word w of every group.
    copies : bool
        Every group holds the whole vector.
    """

    base: int
    words: int
    slots: NDArray[np.int64]
    copies: bool = False


@dataclasses.dataclass(frozen=True)
class Image:
    """Memory contents for one `AcceleratorConfig`.

    Attributes
    ----------
    contents : window -> one (items, parts) uint32 array per unit of the window
        What each memory holds from item 0 on; an item is `parts` bus words, the low one first.
    input, output : Port
        Where the host writes inputs and reads outputs.
    steps : tuple of int
        Layer of each instruction.
    layer_ports : tuple of Port
        Where the outputs of every layer are (the last is `output`).
    vectors : int
        Greatest number of vectors of one run.
    input_low, input_high : int
        Range of the inputs for which it is proved that no accumulator overflows.
    """

    config: AcceleratorConfig
    contents: Mapping[Window, tuple[NDArray[np.uint32], ...]]
    input: Port
    layer_ports: tuple[Port, ...]
    steps: tuple[int, ...]
    vectors: int
    input_low: int
    input_high: int

    @property
    def output(self) -> Port:
        return self.layer_ports[-1]

    @functools.cached_property
    def id(self) -> int:
        """32 bits that tell these contents for this configuration from others; never 0."""
        crc = self.config.digest
        for window in sorted(self.contents):
            for unit, items in enumerate(self.contents[window]):
                header = np.array([window, unit, *items.shape], "<u4").tobytes()
                crc = zlib.crc32(items.astype("<u4").tobytes(), zlib.crc32(header, crc))
        return crc or 1


def word_address(window: Window, unit: int = 0, offset: int = 0) -> int:
    """Bus word address (see `hw.layouts.address`)."""
    fields = {"window": int(window), "unit": unit, "offset": offset}
    return sum(value << layouts.address[name].offset for name, value in fields.items())
