"""Random networks of convolutions, pooling, joined sources and dense layers, seeded."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.tensors import Shape

__all__ = ["Limits", "random_graph", "random_planes"]

_FRACTION = 8


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a random graph may be like at most.

    Attributes
    ----------
    channels, side, layers : int
    kernel, stride, padding, pool, code_bits : int
    wired : bool
        Whether layers may take several sources, concatenated or added, and groups.
    activation_bits, weight_bits, accumulator_bits : int
        Widths.
    """

    channels: int = 12
    side: int = 9
    layers: int = 4
    kernel: int = 5
    stride: int = 3
    padding: int = 2
    pool: int = 3
    code_bits: int = 8
    wired: bool = True
    activation_bits: int = 16
    weight_bits: int = 16
    accumulator_bits: int = 32


class _Maker:
    """A graph in the making, from one stream of random numbers."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits = limits
        self.rng = np.random.default_rng(seed)
        self.layers: list[CompressedLayer] = []
        # Few channels of an input are copied to all groups, many are not: both come often.
        channels = int(self.rng.choice([1, 3, self.upto(limits.channels)]))
        self.shapes = [Shape(channels, self.upto(limits.side), self.upto(limits.side))]

    def upto(self, most: int, least: int = 1) -> int:
        return int(self.rng.integers(least, max(least, most) + 1))

    def network(self) -> CompressedNetwork:
        count = self.upto(self.limits.layers)
        while len(self.layers) < count:
            if self.rng.random() < (0.6 if self.shapes[-1].pixels == 1 else 0.1):
                self.dense()
            else:
                self.convolution()
        high = (1 << (self.limits.activation_bits - 1)) - 1
        fmt = NumberFormat(_FRACTION, -high - 1, high)
        limits = self.limits
        widths = (limits.activation_bits, limits.weight_bits, limits.accumulator_bits)
        return CompressedNetwork(fmt, *widths, tuple(self.layers))

    def sources(self, equal: bool) -> tuple[int, ...]:
        """Distances of one source or, where others have the plane of the last tensor, of several.

        Parameters
        ----------
        equal : whether they must have as many channels, too
        """
        last = self.shapes[-1]
        others = [
            len(self.shapes) - place
            for place, shape in enumerate(self.shapes[:-1])
            if (shape.height, shape.width) == (last.height, last.width)
            and (not equal or shape.channels == last.channels)
        ]
        if not self.limits.wired or not others or self.rng.random() < 0.4:
            return (1,)
        extra = self.rng.choice([1, *others], self.upto(2))
        return tuple(int(d) for d in self.rng.permutation([1, *extra]))

    def convolution(self) -> None:
        rng = self.rng
        added = bool(rng.random() < 0.4)
        sources = self.sources(equal=added)
        added = added and len(sources) > 1
        taken = [self.shapes[-distance] for distance in sources]
        channels = taken[0].channels if added else sum(shape.channels for shape in taken)
        divisors = [d for d in range(1, channels + 1) if channels % d == 0]
        groups = int(rng.choice(divisors)) if self.limits.wired and rng.random() < 0.3 else 1
        plane = Convolution(channels, taken[0].height, taken[0].width, 1, 1, groups=groups)
        geometry = self.same(plane) if rng.random() < 0.5 else self.other(plane)
        rows = groups * self.upto(max(1, self.limits.channels // groups))
        if groups == 1 and rng.random() < 0.5:
            rows = self.shapes[-self.upto(len(self.shapes))].channels
        self.add(rows, geometry, sources, added)

    def same(self, plane: Convolution) -> Convolution:
        """One whose output has the plane of its input, so that both can be joined."""
        least = min(self.limits.padding, (self.limits.kernel - 1) // 2)
        around = self.upto(min(least, (min(plane.height, plane.width) - 1) // 2), 0)
        side = 2 * around + 1
        return dataclasses.replace(plane, kernel_height=side, kernel_width=side, padding=around)

    def other(self, plane: Convolution) -> Convolution:
        rng, limits = self.rng, self.limits
        height, width = (self.upto(min(limits.kernel, n)) for n in (plane.height, plane.width))
        strided = dataclasses.replace(
            plane,
            kernel_height=height,
            kernel_width=width,
            stride=self.upto(limits.stride),
            padding=self.upto(min(limits.padding, height, width), 0),
        )
        pool = self.upto(min(limits.pool, *strided.positions))
        average = bool(pool in (2, 4) and rng.random() < 0.4)
        overlap = self.upto(pool - 1, 0) if rng.random() < 0.3 else 0
        return dataclasses.replace(strided, pool=pool, average=average, overlap=overlap)

    def any_sources(self) -> tuple[tuple[int, ...], bool]:
        """Sources of any planes, perhaps the same twice, and whether they are added."""
        sizes = [shape.channels * shape.pixels for shape in reversed(self.shapes)]
        equal = [place + 1 for place, size in enumerate(sizes) if size == sizes[0]]
        added = bool(self.rng.random() < 0.4)
        others = equal if added else range(1, len(sizes) + 1)
        extra = self.rng.choice(list(others), self.upto(2))
        return tuple(int(d) for d in self.rng.permutation([1, *extra])), added

    def dense(self) -> None:
        sources: tuple[int, ...] = (1,)
        added = False
        if self.limits.wired and self.rng.random() < 0.5:
            sources, added = self.any_sources()
        self.add(self.upto(2 * self.limits.channels), None, sources, added)

    def add(
        self, rows: int, geometry: Convolution | None, sources: tuple[int, ...], added: bool
    ) -> None:
        rng = self.rng
        taken = [self.shapes[-distance] for distance in sources]
        columns = sum(s.channels * s.pixels for s in (taken[:1] if added else taken))
        if geometry is not None:
            columns = geometry.columns
        high = 1 << (self.limits.activation_bits - 1)
        # Any row's sum stays below a quarter of the accumulator's range even if all its weights are
        # the greatest there is.
        reach = columns * (len(sources) if added else 1) * high
        greatest = (1 << (self.limits.accumulator_bits - 2)) // reach
        greatest = max(1, min((1 << (self.limits.weight_bits - 1)) - 1, greatest))
        bias = 1 << (self.limits.accumulator_bits - 12)
        values = 1 << self.upto(self.limits.code_bits)
        codebook = rng.integers(-greatest, greatest + 1, values)
        codebook[0] = 0
        mask = rng.random((rows, columns)) < rng.choice(
            [0.0, 0.05, 0.3, 1.0], p=[0.1, 0.3, 0.4, 0.2]
        )
        shift = self.upto(16, 0)
        self.layers.append(
            CompressedLayer(
                name=f"layer{len(self.layers)}",
                codes=np.where(mask, rng.integers(1, values, mask.shape), 0).astype(np.uint8),
                codebook=codebook,
                weight_fraction=shift,  # so that all tensors have the same fraction bits
                bias=rng.integers(-bias, bias, rows) * (rng.random(rows) < 0.7),
                shift=shift,
                relu=bool(rng.random() < 0.7),
                convolution=geometry,
                sources=sources,
                added=added,
            )
        )
        plane = (1, 1) if geometry is None else geometry.plane
        self.shapes.append(Shape(rows, *plane))


def random_graph(limits: Limits, seed: int) -> CompressedNetwork:
    """A network whose accumulators cannot overflow."""
    return _Maker(limits, seed).network()


def random_planes(network: CompressedNetwork, count: int, seed: int) -> NDArray[np.int64]:
    """Integer inputs (count, inputs), many of them 0, among them the extremes."""
    rng = np.random.default_rng(seed)
    low, high = network.input.low, network.input.high
    shape = (count, network.inputs)
    x = rng.integers(low, high + 1, shape)
    x = np.where(rng.random(shape) < 0.1, rng.choice([low, high], shape), x)
    kept: NDArray[np.int64] = np.where(rng.random(shape) < rng.choice([0.1, 0.5, 1.0]), x, 0)
    return kept
