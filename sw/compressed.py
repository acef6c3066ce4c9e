"""A compressed network: integers only. What a .thr file holds and the golden model executes."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from . import graph
from .convolution import Convolution

__all__ = ["CompressedLayer", "CompressedNetwork", "NumberFormat"]


@dataclasses.dataclass(frozen=True)
class NumberFormat:
    """Signed fixed point: the integer `q` stands for ``q * 2**-fraction``, ``low <= q <= high``.

    `low <= 0 <= high` always holds.
    """

    fraction: int
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class CompressedLayer:
    """A layer in shared sparse encoding.

    Attributes
    ----------
    codes : (rows, columns) uint8
        Index of each weight in the codebook; 0 where the weight was pruned. With the groups of a
        convolution, a row has the columns of its own group only.
    codebook : (n,) int64, n <= 256
        Weight of each code, with `weight_fraction` fraction bits; ``codebook[0] == 0``.
    bias : (rows,) int64
        In the accumulator's scale: weight_fraction + the input's fraction bits.
    shift : int
        Bits by which (sum + bias) is shifted right, rounding halves up, to give the output.
    relu : bool
        Whether negative outputs become 0.
    convolution : Convolution, optional
        Where the layer is a convolution: a row is an output channel. None: fully connected.
    sources : tuple of int
        What it takes (see `sw.graph`); all sources have the same fraction bits.
    added : bool
        Whether sources are added; else they are concatenated.
    """

    name: str
    codes: NDArray[np.uint8]
    codebook: NDArray[np.int64]
    weight_fraction: int
    bias: NDArray[np.int64]
    shift: int
    relu: bool
    convolution: Convolution | None = None
    sources: tuple[int, ...] = (1,)
    added: bool = False

    @property
    def rows(self) -> int:
        return int(self.codes.shape[0])

    @property
    def columns(self) -> int:
        return int(self.codes.shape[1])

    @property
    def inputs(self) -> int:
        """Activations that go in; those of a convolution are flattened, channel first."""
        return self.columns if self.convolution is None else self.convolution.inputs

    @property
    def outputs(self) -> int:
        """Activations that come out, flattened likewise."""
        if self.convolution is None:
            return self.rows
        return self.rows * int(np.prod(self.convolution.plane))

    @property
    def code_bits(self) -> int:
        """Bits of a code: enough for every place in the codebook, 1 at least."""
        return max(1, (len(self.codebook) - 1).bit_length())


@dataclasses.dataclass(frozen=True)
class CompressedNetwork:
    """Layers in order, with the widths that their numbers were chosen for.

    Attributes
    ----------
    input : NumberFormat
        Inputs are rounded to it and clamped to its range.
    activation_bits, weight_bits, accumulator_bits : int
        Signed widths. A layer's outputs are clamped to `activation_bits`; no accumulator leaves
        `accumulator_bits` for any input in range (`sw.numbers.prove` shows it).
    """

    input: NumberFormat
    activation_bits: int
    weight_bits: int
    accumulator_bits: int
    layers: tuple[CompressedLayer, ...]

    @property
    def inputs(self) -> int:
        """Activations that go in."""
        # The first layer takes the input alone, though perhaps several times.
        first = self.layers[0]
        return first.inputs if first.added else first.inputs // max(1, len(first.sources))

    @property
    def parameters(self) -> int:
        """Weights and biases of the network, pruned ones included."""
        return sum(layer.codes.size + layer.bias.size for layer in self.layers)

    @property
    def fractions(self) -> tuple[int, ...]:
        """Fraction bits of the input and of every layer's outputs."""
        fractions = [self.input.fraction]
        for layer in self.layers:
            before = fractions[-layer.sources[0]]
            fractions.append(before + layer.weight_fraction - layer.shift)
        return tuple(fractions)

    @property
    def sources(self) -> list[tuple[int, ...]]:
        """Tensors that each layer takes: 0 is the input, i the output of layer i - 1."""
        return graph.sources(self.layers)
