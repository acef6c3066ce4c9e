"""The specification: what a compressed network computes, in integers. All else equals this."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork
from sw.convolution import at_positions

__all__ = ["dequantise", "products", "quantise", "run", "run_layer"]


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
    convolution does so at every position, and then takes the maximum of each pooling window.
    """
    # Floats for the sake of BLAS. They are exact: `sw.numbers.prove` shows that no partial sum
    # leaves the accumulator, which has 48 bits at most.
    weights = layer.codebook[layer.codes].astype(np.float64)
    half = (1 << layer.shift) >> 1
    high = (1 << (activation_bits - 1)) - 1
    low = 0 if layer.relu else -high - 1

    def product(patches: NDArray[np.integer]) -> NDArray[np.int64]:
        sums = (patches.astype(np.float64) @ weights.T).astype(np.int64)
        y: NDArray[np.int64] = np.clip((sums + layer.bias + half) >> layer.shift, low, high)
        return y

    return at_positions(layer.convolution, x, product)


def run(network: CompressedNetwork, x: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Integer outputs of every layer, the last being the network's, for inputs (n, inputs)."""
    outputs = []
    for layer in network.layers:
        x = run_layer(layer, x, network.activation_bits)
        outputs.append(x)
    return outputs


def products(
    network: CompressedNetwork, x: NDArray[np.integer], outputs: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """(n,) multiplications of a non-zero weight with a non-zero activation, over all layers.

    Parameters
    ----------
    x : (n, inputs)
    outputs : what `run` gave for `x`
    """
    count = np.zeros(len(x), np.int64)
    for layer, activations in zip(network.layers, [x, *outputs[:-1]], strict=True):
        nonzeros = np.count_nonzero(layer.codebook[layer.codes], axis=0)[:, None]
        where = layer.convolution and dataclasses.replace(layer.convolution, pool=1)
        counts = at_positions(where, activations != 0, functools.partial(_times, nonzeros))
        count += counts.sum(axis=1)
    return count


def _times(nonzeros: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.int64]:
    return active @ nonzeros
