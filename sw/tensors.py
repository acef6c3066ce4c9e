"""Tensors: what goes from layer to layer, and where each of its activations lies in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig

from .compressed import CompressedNetwork
from .errors import BadInput
from .graph import consumers

__all__ = ["Layout", "Shape", "copied", "frames", "shapes", "spread"]

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Shape:
    """Planes of a tensor; a vector has one pixel, and as many channels as activations."""

    channels: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the activations of a tensor lie, in slots: word * lanes + lane of a group's memory.

    Attributes
    ----------
    shape : Shape
    lanes : int
    pixel_slots, row_slots : int
        From one pixel to the next, and from one row of pixels to the next.
    origin : int
        Slot of the first pixel; what lies before is a border of zeros.
    words : int
        Words of the tensor in every group.
    groups : (channels,) int64, optional
        Group that holds each channel; None if every group holds the whole tensor.
    slots : (channels,) int64
        Slot of each channel within a pixel.
    """

    shape: Shape
    lanes: int
    pixel_slots: int
    row_slots: int
    origin: int
    words: int
    groups: Ints | None
    slots: Ints

    @property
    def dense(self) -> bool:
        """Whether nothing lies between the last pixel and the end of the tensor."""
        pixels = self.shape.pixels * self.pixel_slots
        return self.groups is None or pixels == self.words * self.lanes

    def slot(self, y: int, x: int) -> int:
        """Slot at which a pixel begins, even of one that lies outside of the plane."""
        return self.origin + y * self.row_slots + x * self.pixel_slots

    def features(self, groups: int) -> Ints:
        """(activations,) slot of each, channel first.

        Of a tensor that is spread over the groups, words count through all `groups`: word w is word
        w // groups of group w % groups.
        """
        y, x = np.divmod(np.arange(self.shape.pixels), self.shape.width)
        pixels = self.origin + y * self.row_slots + x * self.pixel_slots
        slots = self.slots[:, None] + pixels
        if self.groups is not None:
            word, lane = np.divmod(slots, self.lanes)
            slots = (word * groups + self.groups[:, None]) * self.lanes + lane
        return np.asarray(slots.ravel(), np.int64)

    def used(self, group: int) -> int:
        """Slots of a pixel in the words up to that with the last channel in a group."""
        if self.groups is None:
            return self.pixel_slots
        last = int(self.slots[self.groups == group].max(initial=-1))
        return (last // self.lanes + 1) * self.lanes


def shapes(network: CompressedNetwork) -> list[Shape]:
    """Shape of every tensor: of the network's input, then of the layers' outputs.

    Raises
    ------
    BadInput
        If a layer takes planes of other sizes than there are, which would need a rearrangement.
    """
    layers = network.layers
    found = [Shape(network.inputs, 1, 1)]
    takers = consumers(layers)
    for taker in takers[0]:
        if (geometry := layers[taker].convolution) is not None:
            pixels = geometry.height * geometry.width
            if network.inputs % pixels:
                raise BadInput(
                    f"layer {layers[taker].name} takes planes of {geometry.height} × "
                    f"{geometry.width}, which do not make up the network's {network.inputs} inputs"
                )
            found[0] = Shape(network.inputs // pixels, geometry.height, geometry.width)
    for layer in layers:
        plane = (1, 1) if layer.convolution is None else layer.convolution.plane
        found.append(Shape(layer.rows, *plane))
    for layer, tensors in zip(layers, network.sources, strict=True):
        if (geometry := layer.convolution) is None:
            continue
        for shape in (found[tensor] for tensor in tensors):
            if (shape.height, shape.width) != (geometry.height, geometry.width):
                raise BadInput(
                    f"layer {layer.name} takes planes of {geometry.height} × {geometry.width}, but "
                    f"is given planes of {shape.height} × {shape.width}; the engine does not "
                    "rearrange activations"
                )
    return found


def frames(
    network: CompressedNetwork, places: Sequence[int], config: AcceleratorConfig
) -> list[tuple[int, int]]:
    """(words per pixel, words in all) of every tensor, spread over the groups.

    Sources of one layer are walked with the same steps, so they have the same frame.

    Parameters
    ----------
    places : that a pixel of each tensor has, at most one a channel
    """
    of = shapes(network)
    together = list(range(len(of)))
    for tensors in network.sources:
        joined = {together[tensor] for tensor in tensors}
        together = [min(joined) if each in joined else each for each in together]
    pitch = [-(-count // (config.lanes * config.groups)) for count in places]
    found = []
    for mine in together:
        members = [tensor for tensor, each in enumerate(together) if each == mine]
        widest = max(pitch[tensor] for tensor in members)
        found.append((widest, widest * max(of[tensor].pixels for tensor in members)))
    return found


def spread(
    shape: Shape, config: AcceleratorConfig, frame: tuple[int, int], places: Sequence[int] | Ints
) -> Layout:
    """A tensor whose words are spread over the groups, channel last.

    Parameters
    ----------
    frame : (words per pixel, words in all), in every group
    places : (channels,)
        Row * lanes + lane of each channel; row r of a pixel is word r // groups of group
        r % groups.
    """
    lanes = config.lanes
    row, lane = np.divmod(np.asarray(places, np.int64), lanes)
    pixel, words = frame
    return Layout(
        shape=shape,
        lanes=lanes,
        pixel_slots=pixel * lanes,
        row_slots=shape.width * pixel * lanes,
        origin=0,
        words=words,
        groups=row % config.groups,
        slots=row // config.groups * lanes + lane,
    )


def copied(shape: Shape, config: AcceleratorConfig, border: int) -> Layout:
    """A tensor that every group holds, its channels and pixels without a gap in each row.

    So few channels do not waste a word, and each group can take another part of a patch. Only the
    host stores such tensors, with a border of zeros around the plane.
    """
    words = -(-(shape.width + 2 * border) * shape.channels // config.lanes)
    row = words * config.lanes
    return Layout(
        shape=shape,
        lanes=config.lanes,
        pixel_slots=shape.channels,
        row_slots=row,
        origin=border * (row + shape.channels),
        words=words * (shape.height + 2 * border),
        groups=None,
        slots=np.arange(shape.channels),
    )
