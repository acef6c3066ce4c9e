"""Every layer's activations, read back from the device and compared with the golden model."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.regmap import Window

from .compressed import CompressedNetwork
from .image import Image

__all__ = ["Trace", "compare", "prefix"]


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a device computed, layer after layer.

    Attributes
    ----------
    layers : (n, outputs) int64 of each layer
        Of the layers up to the first that differs from the golden model.
    difference : str or None
        The first element that does, in words.
    """

    layers: tuple[NDArray[np.int64], ...]
    difference: str | None


def prefix(image: Image, layers: int) -> Image:
    """The image of a network's first layers: another's but for the instruction that ends the run.

    Its output is that of the last of these layers.
    """
    step = max(place for place, layer in enumerate(image.steps) if layer < layers)
    (program,) = image.contents[Window.PROGRAM]
    part, bit = divmod(layouts.instruction(image.config)["last"].offset, layouts.BUS_BITS)
    ended = program.copy()
    ended[step, part] |= np.uint32(1 << bit)
    return dataclasses.replace(
        image,
        contents={**image.contents, Window.PROGRAM: (ended,)},
        layer_ports=image.layer_ports[:layers],
        steps=image.steps[: step + 1],
    )


def compare(
    network: CompressedNetwork, number: int, found: NDArray[np.int64], expected: NDArray[np.int64]
) -> str | None:
    """Where the outputs (n, outputs) of layer `number` first differ, in words; None if nowhere."""
    differing = np.argwhere(found != expected)
    if not len(differing):
        return None
    vector, element = differing[0]
    return (
        f"layer {number} ({network.layers[number].name}) differs from the golden model in "
        f"{len(differing)} of {expected.size} activations, the first in vector {vector}, element "
        f"{element}: {found[vector, element]} instead of {expected[vector, element]}"
    )
