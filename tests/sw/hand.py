"""Networks made by hand, layer by layer, of random small weights."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat


def layer_of(geometry, rows, **fields):
    """A layer without zeros among its weights.

    Parameters
    ----------
    geometry : of a convolution, or the inputs of a fully connected layer
    fields : what else is to be said of it
    """
    columns = geometry if isinstance(geometry, int) else geometry.columns
    rng = np.random.default_rng(rows * columns)
    layer = CompressedLayer(
        name="layer",
        codes=rng.integers(1, 3, (rows, columns)).astype(np.uint8),
        codebook=np.array([0, 3, -2]),
        weight_fraction=4,
        bias=rng.integers(-50, 50, rows),
        shift=4,
        relu=True,
        convolution=None if isinstance(geometry, int) else geometry,
    )
    return dataclasses.replace(layer, **fields)


def network_of(*layers, bits=16):
    """Named layer0, layer1 and so on, of integers with `bits` bits."""
    named = tuple(
        dataclasses.replace(layer, name=f"layer{place}") for place, layer in enumerate(layers)
    )
    high = (1 << (bits - 1)) - 1
    return CompressedNetwork(NumberFormat(0, -high - 1, high), bits, 16, 32, named)
