"""Random compressed networks for hypothesis."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution

# The same examples in every run.
repeatable = settings(derandomize=True, deadline=None)


@st.composite
def networks(draw, most=24, convolutions=False):
    """Sound networks of one to three layers; accumulators of 48 bits hold whatever comes.

    Layers have 1 to `most` rows. With `convolutions`, any of them may be one.
    """
    activation_bits = draw(st.integers(4, 16))
    weight_bits = draw(st.integers(4, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs, *rows = draw(st.lists(st.integers(1, most), min_size=2, max_size=4))
    planes = (inputs, 1, 1)
    if convolutions:
        planes = tuple(draw(st.lists(st.integers(1, 6), min_size=3, max_size=3)))
    least = -(1 << (activation_bits - 1))
    layers = []
    for i, outputs in enumerate(rows):
        geometry = draw(_geometries(planes)) if convolutions and draw(st.booleans()) else None
        columns = math.prod(planes) if geometry is None else geometry.columns
        values = draw(st.sampled_from([1, 2, 3, 16, 17, 256]))
        codebook = rng.integers(-(1 << (weight_bits - 1)), 1 << (weight_bits - 1), values)
        if draw(st.booleans()):
            codebook.sort()
        codebook[0] = 0
        codes = rng.integers(0, values, (outputs, columns))
        codes[rng.random(codes.shape) > draw(st.sampled_from([0.0, 0.02, 0.2, 1.0]))] = 0
        shift = draw(st.sampled_from([0, 1, 2, 7, 20, 31]))
        bias_bits = draw(st.sampled_from([0, 3, 20, 40]))
        layers.append(
            CompressedLayer(
                name=draw(st.sampled_from(["ip", "é", "", "x" * 255])) if i else "first",
                codes=codes.astype(np.uint8),
                codebook=codebook.astype(np.int64),
                weight_fraction=shift + draw(st.integers(-10, 10)),
                bias=rng.integers(-(1 << bias_bits), 1 << bias_bits, outputs)
                << draw(st.sampled_from([0, 5])),
                shift=shift,
                relu=draw(st.booleans()),
                convolution=geometry,
            )
        )
        planes = (outputs, 1, 1) if geometry is None else (outputs, *geometry.plane)
    return CompressedNetwork(
        input=NumberFormat(
            fraction=draw(st.integers(-8, 16)),
            low=draw(st.integers(least, 0)),
            high=draw(st.integers(0, -least - 1)),
        ),
        activation_bits=activation_bits,
        weight_bits=weight_bits,
        accumulator_bits=48,
        layers=tuple(layers),
    )


@st.composite
def _geometries(draw, planes):
    """Convolutions on planes of (channels, height, width)."""
    _, height, width = planes
    kernel = draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))
    stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, min(kernel) - 1))
    whole = Convolution(*planes, *kernel, stride, padding)
    return dataclasses.replace(whole, pool=draw(st.integers(1, min(2, *whole.positions))))


def assert_same(one: CompressedNetwork, other: CompressedNetwork) -> None:
    """Every field of two networks is equal, types of arrays included."""
    for field in ("input", "activation_bits", "weight_bits", "accumulator_bits"):
        assert getattr(one, field) == getattr(other, field)
    assert len(one.layers) == len(other.layers)
    for a, b in zip(one.layers, other.layers, strict=True):
        for field in ("name", "weight_fraction", "shift", "relu", "convolution"):
            assert getattr(a, field) == getattr(b, field)
        for field in ("codes", "codebook", "bias"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field), strict=True)
