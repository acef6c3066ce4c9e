"""Every layer's activations, read back from the device and compared with the golden model."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.regmap import Window

from .compressed import CompressedNetwork
from .device_errors import Difference
from .image import Image

__all__ = ["Trace", "compare", "prefix"]


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a device computed, layer after layer.

    Attributes
    ----------
    layers : (n, outputs) int64 of each layer
        Of the layers up to the first that differs from the golden model.
    difference : Difference or None
        The first activation that does.
    """

    layers: tuple[NDArray[np.int64], ...]
    difference: Difference | None


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
) -> Difference | None:
    """Where the outputs (n, outputs) of layer `number` first differ; None if nowhere."""
    differing = np.argwhere(found != expected)
    if not len(differing):
        return None
    vector, element = map(int, differing[0])
    return Difference(
        layer=number,
        vector=vector,
        element=element,
        found=int(found[vector, element]),
        expected=int(expected[vector, element]),
        name=network.layers[number].name,
        count=len(differing),
        total=expected.size,
    )
