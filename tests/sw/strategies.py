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
def networks(draw, most=24, convolutions=False, wired=False):
    """Sound networks of one to three layers; accumulators of 48 bits hold whatever comes.

    Layers have 1 to `most` rows. With `convolutions`, any of them may be one, with groups and
    pooling of every kind. With `wired`, there are up to five layers, and any may take several
    tensors.
    """
    activation_bits = draw(st.integers(4, 16))
    weight_bits = draw(st.integers(4, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs, *rows = draw(st.lists(st.integers(1, most), min_size=2, max_size=6 if wired else 4))
    planes = (inputs, 1, 1)
    if convolutions:
        planes = tuple(draw(st.lists(st.integers(1, 6), min_size=3, max_size=3)))
    least = -(1 << (activation_bits - 1))
    tensors, layers = [(0, planes)], []  # fraction bits beyond the input's; planes
    for outputs in rows:
        sources, added = draw(_sources(tensors)) if wired else ((1,), False)
        planes = _gathered([tensors[-distance][1] for distance in sources], added)
        geometry = None
        if convolutions and draw(st.booleans()):
            outputs = min(most, planes[0]) if draw(st.booleans()) else outputs  # as depthwise ones
            geometry = draw(_geometries(planes, outputs))
        elif wired and draw(st.booleans()):
            outputs = min(most, math.prod(planes))  # so that it can be added to what it took
        columns = math.prod(planes) if geometry is None else geometry.columns
        gain = draw(st.sampled_from([0, 0, -3]) if wired else st.integers(-10, 10))
        layer = draw(_layers(rng, (outputs, columns), weight_bits, gain))
        name = draw(st.sampled_from(["ip", "é", "", "x" * 255])) if layers else "first"
        layers.append(
            dataclasses.replace(
                layer, name=name, convolution=geometry, sources=sources, added=added
            )
        )
        planes = (outputs, 1, 1) if geometry is None else (outputs, *geometry.plane)
        tensors.append((tensors[-sources[0]][0] + gain, planes))
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
def _layers(draw, rng, shape, weight_bits, gain):
    """Fully connected layers of codes of some shape, that add `gain` fraction bits."""
    values = draw(st.sampled_from([1, 2, 3, 16, 17, 256]))
    codebook = rng.integers(-(1 << (weight_bits - 1)), 1 << (weight_bits - 1), values)
    if draw(st.booleans()):
        codebook.sort()
    codebook[0] = 0
    codes = rng.integers(0, values, shape)
    codes[rng.random(shape) > draw(st.sampled_from([0.0, 0.02, 0.2, 1.0]))] = 0
    shift = draw(st.sampled_from([0, 1, 2, 7, 20, 31]))
    bias_bits = draw(st.sampled_from([0, 3, 20, 40]))
    bias = rng.integers(-(1 << bias_bits), 1 << bias_bits, shape[0])
    return CompressedLayer(
        name="",
        codes=codes.astype(np.uint8),
        codebook=codebook.astype(np.int64),
        weight_fraction=shift + gain,
        bias=bias << draw(st.sampled_from([0, 5])),
        shift=shift,
        relu=draw(st.booleans()),
    )


@st.composite
def _sources(draw, tensors):
    """Sources of the layer after tensors of (fraction bits, planes), and whether they are added."""
    first = draw(st.integers(1, len(tensors)))
    added, (fraction, planes) = draw(st.booleans()), tensors[-first]
    alike = [
        distance
        for distance in range(1, len(tensors) + 1)
        if tensors[-distance][0] == fraction
        and (not added or math.prod(tensors[-distance][1]) == math.prod(planes))
    ]
    return (first, *draw(st.lists(st.sampled_from(alike), max_size=2))), added


def _gathered(planes, added):
    """Planes of what a layer takes, of those of its sources."""
    if added:
        return planes[0]
    if len({tuple(size) for _, *size in planes}) == 1:
        return sum(channels for channels, *_ in planes), *planes[0][1:]
    return sum(map(math.prod, planes)), 1, 1


@st.composite
def _geometries(draw, planes, rows):
    """Convolutions on planes of (channels, height, width)."""
    channels, height, width = planes
    kernel = draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))
    # Planes that grow from layer to layer would take long.
    padding = draw(st.integers(0, min(kernel))) if max(height, width) <= 6 else 0
    common = math.gcd(channels, rows)
    groups = draw(st.sampled_from([n for n in range(1, common + 1) if common % n == 0]))
    whole = Convolution(*planes, *kernel, draw(st.integers(1, 2)), padding, groups=groups)
    pool = draw(st.integers(1, min(4, *whole.positions)))
    overlap = draw(st.integers(0, pool - 1))
    average = pool != 3 and draw(st.booleans())
    return dataclasses.replace(whole, pool=pool, overlap=overlap, average=average)


def assert_same(one: CompressedNetwork, other: CompressedNetwork) -> None:
    """Every field of two networks is equal, types of arrays included."""
    for field in ("input", "activation_bits", "weight_bits", "accumulator_bits"):
        assert getattr(one, field) == getattr(other, field)
    assert len(one.layers) == len(other.layers)
    for a, b in zip(one.layers, other.layers, strict=True):
        for field in (
            "name",
            "weight_fraction",
            "shift",
            "relu",
            "convolution",
            "sources",
            "added",
        ):
            assert getattr(a, field) == getattr(b, field)
        for field in ("codes", "codebook", "bias"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field), strict=True)
