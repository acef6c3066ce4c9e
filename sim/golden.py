"""The specification: what a compressed network computes, in integers. All else equals this."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork
from sw.convolution import at_positions, multiply
from sw.graph import gather

__all__ = ["dequantise", "layer_products", "products", "quantise", "run", "run_layer"]


def quantise(network: CompressedNetwork, x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Float inputs (n, inputs) as integers: scaled, rounded half up, clamped to the input range."""
    fmt = network.input
    scaled = np.floor(np.asarray(x, np.float64) * 2.0**fmt.fraction + 0.5)
    return np.clip(scaled, fmt.low, fmt.high).astype(np.int64)


def dequantise(network: CompressedNetwork, y: NDArray[np.integer]) -> NDArray[np.float64]:
    """Integer outputs (n, outputs) as floats."""
    return np.asarray(y, np.float64) * 2.0 ** -network.fractions[-1]


def run_layer(
    layer: CompressedLayer, x: NDArray[np.integer], activation_bits: int
) -> NDArray[np.int64]:
    """Outputs (n, outputs) of one layer for integer activations (n, inputs).

    ``y = clamp(relu((W x + b + 2**(shift - 1)) >> shift))``: the sum is exact, halves round up. A
    convolution does so at every position, and then takes the maximum of each pooling window, or
    its mean, ``(sum + n / 2) >> log2(n)``.
    """
    # Floats for the sake of BLAS. They are exact: `sw.numbers.prove` shows that no partial sum
    # leaves the accumulator, which has 48 bits at most.
    weights = layer.codebook[layer.codes].astype(np.float64)
    half = (1 << layer.shift) >> 1
    high = (1 << (activation_bits - 1)) - 1
    low = 0 if layer.relu else -high - 1
    groups = 1 if layer.convolution is None else layer.convolution.groups

    def product(patches: NDArray[np.integer]) -> NDArray[np.int64]:
        sums = multiply(patches.astype(np.float64), weights, groups).astype(np.int64)
        y: NDArray[np.int64] = np.clip((sums + layer.bias + half) >> layer.shift, low, high)
        return y

    return at_positions(layer.convolution, x, product)


def run(network: CompressedNetwork, x: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Integer outputs of every layer, the last being the network's, for inputs (n, inputs)."""
    tensors = [np.asarray(x, np.int64)]
    for layer in network.layers:
        tensors.append(run_layer(layer, gather(tensors, layer), network.activation_bits))
    return tensors[1:]


def products(
    network: CompressedNetwork, x: NDArray[np.integer], outputs: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """(n,) multiplications of a non-zero weight with a non-zero activation, over all layers.

    Parameters
    ----------
    x : (n, inputs)
    outputs : what `run` gave for `x`
    """
    return sum(layer_products(network, x, outputs), start=np.zeros(len(x), np.int64))


def layer_products(
    network: CompressedNetwork, x: NDArray[np.integer], outputs: list[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """The same, (n,) for each layer."""
    # Floats for the sake of BLAS; counts are far below 2**53.
    active = [np.asarray(tensor != 0, np.float64) for tensor in (x, *outputs)]
    counts = []
    for place, layer in enumerate(network.layers):
        # As many as there are non-zeros in each row, added up over the rows of a group.
        nonzeros = np.asarray(layer.codebook[layer.codes] != 0, np.float64)
        where, groups = layer.convolution, 1
        if where is not None:
            where, groups = dataclasses.replace(where, pool=1, overlap=0), where.groups
        per_group = nonzeros.reshape(groups, -1, layer.columns).sum(axis=1)
        product = functools.partial(multiply, weights=per_group, groups=groups)
        counts.append(
            at_positions(where, gather(active[: place + 1], layer), product)
            .sum(axis=1)
            .astype(np.int64)
        )
    return counts
