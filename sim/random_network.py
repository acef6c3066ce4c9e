"""Random compressed networks, for tests and benchmarks: any shape, any density, seeded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat

__all__ = ["Recipe", "random_inputs", "random_network"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a random network is like.

    Attributes
    ----------
    sizes : inputs, then the outputs of each layer
    density : share of the weights that are not zero
    code_bits : bits of a code, 1 to 8
    activation_density : share of the inputs that are not zero
    activation_bits, weight_bits, accumulator_bits : widths
    """

    sizes: Sequence[int]
    density: float = 0.2
    code_bits: int = 4
    activation_density: float = 0.5
    activation_bits: int = 16
    weight_bits: int = 16
    accumulator_bits: int = 32


def random_network(recipe: Recipe, seed: int) -> CompressedNetwork:
    """A network whose accumulators cannot overflow and whose outputs reach saturation."""
    rng = np.random.default_rng(seed)
    high = (1 << (recipe.activation_bits - 1)) - 1
    layers = []
    for number, (inputs, outputs) in enumerate(
        zip(recipe.sizes[:-1], recipe.sizes[1:], strict=True)
    ):
        values = 1 << recipe.code_bits
        bias = 1 << (recipe.accumulator_bits - 12)
        # Any row's sum stays below a quarter of the accumulator's range even if all its weights are
        # the greatest there is.
        greatest = (1 << (recipe.accumulator_bits - 2)) // (inputs * (high + 1))
        greatest = max(1, min((1 << (recipe.weight_bits - 1)) - 1, greatest))
        codebook = rng.integers(-greatest, greatest + 1, values)
        codebook[0] = 0
        mask = rng.random((outputs, inputs)) < recipe.density
        codes = np.where(mask, rng.integers(1, values, mask.shape), 0).astype(np.uint8)
        layers.append(
            CompressedLayer(
                name=f"layer{number}",
                codes=codes,
                codebook=codebook,
                weight_fraction=8,
                bias=rng.integers(-bias, bias, outputs),
                shift=int(rng.integers(0, 20)),
                relu=bool(number < len(recipe.sizes) - 2 or rng.random() < 0.3),
            )
        )
    fmt = NumberFormat(fraction=8, low=-high - 1, high=high)
    widths = (recipe.activation_bits, recipe.weight_bits, recipe.accumulator_bits)
    return CompressedNetwork(fmt, *widths, tuple(layers))


def random_inputs(recipe: Recipe, count: int, seed: int) -> NDArray[np.int64]:
    """Integer inputs (count, inputs), among them the extremes."""
    rng = np.random.default_rng(seed)
    high = (1 << (recipe.activation_bits - 1)) - 1
    shape = (count, recipe.sizes[0])
    x = rng.integers(-high - 1, high + 1, shape)
    x = np.where(rng.random(shape) < 0.1, rng.choice([-high - 1, high], shape), x)
    kept: NDArray[np.int64] = np.where(rng.random(shape) < recipe.activation_density, x, 0)
    return kept
