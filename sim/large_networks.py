"""Random networks as large and as sparse as those of Deep Compression: AlexNet and VGG-16."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.published import PublishedLayer, deep_compression

__all__ = ["NAMES", "Model", "alone", "entropy_bytes", "models", "random_layer"]

_TITLES = {"alexnet": "AlexNet", "vgg16": "VGG-16"}
NAMES = tuple(_TITLES)

_BLOCK = 1 << 22  # weights drawn at once
_DRAWS = 1 << 16  # equally likely draws of a weight's code
_STEP = 8  # between the values of a codebook
_WEIGHT_FRACTION = 11
_BIAS_MAX = 1 << 15

_Shape = tuple[int, Convolution | int]  # rows, and columns or what has them


@dataclasses.dataclass(frozen=True)
class Model:
    """What a random layer is made figures.

    Attributes
    ----------
    figures : PublishedLayer
    place : int
        Of the layer in its network, from 0.
    rows, columns : int
    convolution : Convolution, optional
        None: fully connected.
    """

    figures: PublishedLayer
    place: int
    rows: int
    columns: int
    convolution: Convolution | None

    @property
    def weights(self) -> int:
        return self.rows * self.columns


def models(name: str) -> tuple[Model, ...]:
    """Layers of a network of `NAMES`, as Deep Compression has them.

    AlexNet is Caffe's: conv2, conv4 and conv5 have two groups, and pooling windows overlap.
    """
    figures = deep_compression()[_TITLES[name]].layers
    shapes = _alexnet() if name == "alexnet" else _vgg_16()
    return tuple(
        Model(row, place, rows, columns, None)
        if isinstance(columns, int)
        else Model(row, place, rows, columns.columns, columns)
        for place, (row, (rows, columns)) in enumerate(zip(figures, shapes, strict=True))
    )


def _alexnet() -> list[_Shape]:
    """Krizhevsky et al. (2012)."""
    return [
        (96, Convolution(3, 227, 227, 11, 11, stride=4, pool=3, overlap=1)),
        (256, Convolution(96, 27, 27, 5, 5, padding=2, pool=3, groups=2, overlap=1)),
        (384, Convolution(256, 13, 13, 3, 3, padding=1)),
        (384, Convolution(384, 13, 13, 3, 3, padding=1, groups=2)),
        (256, Convolution(384, 13, 13, 3, 3, padding=1, pool=3, groups=2, overlap=1)),
        (4096, 9216),
        (4096, 4096),
        (1000, 4096),
    ]


def _vgg_16() -> list[_Shape]:
    """Simonyan and Zisserman (2015), configuration D."""
    shapes: list[_Shape] = []
    channels, side = 3, 224
    for rows, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for number in range(1, count + 1):
            pool = 2 if number == count else 1
            shapes.append((rows, Convolution(channels, side, side, 3, 3, padding=1, pool=pool)))
            channels = rows
        side //= 2
    return [*shapes, (4096, 25088), (4096, 4096), (1000, 4096)]


def random_layer(model: Model, seed: int) -> CompressedLayer:
    """A layer of that shape whose codes are as many and as varied as the published ones.

    Each weight is kept or not by itself, with the published density. Codes of kept weights are
    bell-shaped over the codebook, so wide that their entropy is the published Huffman-coded size.
    With 16-bit activations no sum leaves 48 bits.
    """
    figures = model.figures
    rng = np.random.default_rng((seed, model.place))
    draws = _draws(figures)
    codes = np.empty(model.weights, np.uint8)
    for start in range(0, codes.size, _BLOCK):
        part = codes[start : start + _BLOCK]
        part[:] = draws[rng.integers(0, _DRAWS, part.size, np.uint16)]
    values = 1 << figures.code_bits
    # Odd multiples of the step around 0, so none of them is 0.
    codebook = _STEP * (2 * np.arange(values) - values + 1)
    codebook[0] = 0
    return CompressedLayer(
        name=figures.name,
        codes=codes.reshape(model.rows, model.columns),
        codebook=codebook,
        weight_fraction=_WEIGHT_FRACTION,
        bias=rng.integers(-_BIAS_MAX, _BIAS_MAX, model.rows),
        shift=_WEIGHT_FRACTION,
        relu=figures.name != "fc8",
        convolution=model.convolution,
    )


def _draws(figures: PublishedLayer) -> NDArray[np.uint8]:
    """Codes (_DRAWS,), each as often as it is likely."""
    values = 1 << figures.code_bits
    bell = _bell(values - 1, figures.code_bits_huffman)
    edges = np.rint(_DRAWS * (1 - figures.density + figures.density * np.cumsum(bell))).astype(
        np.int64
    )
    start = round(_DRAWS * (1 - figures.density))
    return np.repeat(np.arange(values, dtype=np.uint8), np.diff([0, start, *edges]))


def _bell(count: int, entropy: float) -> NDArray[np.float64]:
    """Probabilities (count,) of a bell-shaped distribution with that entropy, in bits."""
    places = np.arange(count) - (count - 1) / 2
    narrow, wide = 1e-3, 1e3 * count
    # The entropy grows with the width.
    for _ in range(64):
        width = math.sqrt(narrow * wide)
        bell = np.exp(-((places / width) ** 2) / 2)
        bell /= bell.sum()
        narrow, wide = (width, wide) if _entropy(bell) < entropy else (narrow, width)
    return bell


def _entropy(probabilities: NDArray[np.float64]) -> float:
    """Bits of one draw."""
    some = probabilities[probabilities > 0]
    return float(-(some * np.log2(some)).sum())


def entropy_bytes(layer: CompressedLayer) -> float:
    """Bytes of a layer's codes and zeros if each weight takes the bits of its likelihood."""
    codes = layer.codes.reshape(-1)
    # `bincount` makes int64 of all that it is given.
    counts = np.sum(
        [
            np.bincount(codes[start : start + _BLOCK], minlength=len(layer.codebook))
            for start in range(0, codes.size, _BLOCK)
        ],
        axis=0,
    )
    return _entropy(counts / layer.codes.size) * layer.codes.size / 8


def alone(layer: CompressedLayer) -> CompressedNetwork:
    """The network of one layer, with activations of 16 bits and accumulators of 48."""
    inputs = NumberFormat(fraction=8, low=-(1 << 15), high=(1 << 15) - 1)
    return CompressedNetwork(inputs, 16, 16, 48, (layer,))
