"""Shape of a layer as varints: its rows, its geometry, and how it differs from one of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sw.coding.bits import Reader, varint
from sw.compressed import CompressedLayer
from sw.convolution import Convolution

__all__ = ["SOURCES_MAX", "Extension", "Shape", "Sizes", "pack_sizes", "read_sizes"]

SOURCES_MAX = 1 << 6  # of one layer
# Of a convolution, beside the width, which is what is left of the activations that come in.
_GEOMETRY = ("channels", "height", "kernel_height", "kernel_width", "stride", "padding", "pool")


class Extension(NamedTuple):
    """What a file says of a layer only where something is not as in a plain chain.

    Attributes
    ----------
    sources, added : as of a `CompressedLayer`
    groups, overlap, average : as of a `Convolution`
    """

    sources: tuple[int, ...] = (1,)
    added: bool = False
    groups: int = 1
    overlap: int = 0
    average: bool = False


class Shape(NamedTuple):
    """What a layer is among the tensors before it.

    Attributes
    ----------
    taken : int
        Activations of its sources, each source counted.
    """

    rows: int
    columns: int
    taken: int
    convolution: Convolution | None

    @property
    def outputs(self) -> int:
        """Activations that come out."""
        if self.convolution is None:
            return self.rows
        height, width = self.convolution.plane
        return self.rows * height * width


class Sizes(NamedTuple):
    """What a file says of a layer's shape.

    Attributes
    ----------
    geometry : dict, optional
        Of a convolution, without the width.
    """

    rows: int
    geometry: dict[str, int] | None
    extension: Extension

    def shape(self, tensors: Sequence[int]) -> Shape:
        """Shape of the layer after tensors of so many activations, the network's input first.

        Raises
        ------
        ValueError
            If there can be no such layer.
        """
        more = self.extension
        if (farthest := max(more.sources)) > len(tensors):
            raise ValueError(f"a source is {farthest} tensors back, where there are {len(tensors)}")
        given = [tensors[-distance] for distance in more.sources]
        if more.added and min(given) < max(given):
            raise ValueError(
                f"it adds sources of {min(given)} to {max(given)} activations, which must be "
                "equally many"
            )
        taken = sum(given)
        inputs = given[0] if more.added else taken
        if self.geometry is None:
            return Shape(self.rows, inputs, taken, None)
        convolution = _convolution(self.geometry, more, inputs)
        if self.rows % more.groups:
            raise ValueError(f"its {self.rows} rows do not split into {more.groups} groups")
        return Shape(self.rows, convolution.columns, taken, convolution)


def _convolution(geometry: dict[str, int], more: Extension, inputs: int) -> Convolution:
    channels, height = geometry["channels"], geometry["height"]
    width, odd = divmod(inputs, channels * height)
    if odd or not width:
        raise ValueError(
            f"{channels} channels of height {height} do not make up the {inputs} activations that "
            "it takes"
        )
    convolution = Convolution(
        width=width,
        groups=more.groups,
        overlap=more.overlap,
        average=more.average,
        **geometry,
    )
    if fault := convolution.fault():
        raise ValueError(fault)
    return convolution


def pack_sizes(layer: CompressedLayer) -> tuple[bytes, bool]:
    """Varints of a layer's shape, and whether the last of them are its extension."""
    sizes, convolution = [layer.rows], layer.convolution
    more = Extension(layer.sources, layer.added)
    if convolution is not None:
        sizes += [getattr(convolution, part) for part in _GEOMETRY]
        more = more._replace(
            groups=convolution.groups, overlap=convolution.overlap, average=convolution.average
        )
    extended = more != Extension()
    if extended:
        sizes += [len(more.sources), *more.sources, int(more.added)]
        if convolution is not None:
            sizes += [more.groups, more.overlap, int(more.average)]
    return b"".join(map(varint, sizes)), extended


def read_sizes(reader: Reader, convolution: bool, extended: bool, most: int) -> Sizes:
    """What `pack_sizes` wrote; no size is over `most`.

    Raises
    ------
    ValueError
        If it is not sound.
    """
    rows, geometry = reader.varint("the number of rows", 1, most), None
    if convolution:
        geometry = {
            part: reader.varint(f"its {part}", 0 if part == "padding" else 1, most)
            for part in _GEOMETRY
        }
    more = _read_extension(reader, convolution, most) if extended else Extension()
    return Sizes(rows, geometry, more)


def _read_extension(reader: Reader, convolution: bool, most: int) -> Extension:
    count = reader.varint("the number of its sources", 1, SOURCES_MAX)
    more = Extension(
        sources=tuple(reader.varint("the distance of a source", 1, most) for _ in range(count)),
        added=bool(reader.varint("whether sources are added", 0, 1)),
    )
    if convolution:
        more = more._replace(
            groups=reader.varint("the number of its groups", 1, most),
            overlap=reader.varint("the overlap of its pooling windows", 0, most),
            average=bool(reader.varint("whether pooling takes the mean", 0, 1)),
        )
    if more == Extension():
        raise ValueError("it is extended, but by nothing")
    return more
