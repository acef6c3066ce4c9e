"""The specification: what a compressed network computes, in integers. All else equals this."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sw.compressed import CompressedLayer, CompressedNetwork

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

    ``y = clamp(relu((W x + b + 2**(shift - 1)) >> shift))``: the sum is exact, halves round up.
    """
    weights = layer.codebook[layer.codes]
    total = np.asarray(x, np.int64) @ weights.T + layer.bias
    half = (1 << layer.shift) >> 1
    y: NDArray[np.int64] = (total + half) >> layer.shift
    high = (1 << (activation_bits - 1)) - 1
    return np.clip(y, 0 if layer.relu else -high - 1, high)


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
        nonzeros = np.count_nonzero(layer.codebook[layer.codes], axis=0)
        count += (activations != 0) @ nonzeros
    return count
