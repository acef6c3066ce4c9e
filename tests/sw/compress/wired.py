"""Small float networks whose layers take several tensors, by hand and by lot."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import strategies as st

from sw.compress.recipe import Recipe, Sharing
from sw.compress.shared import Shared
from sw.compress.steps import share_layers
from sw.convolution import Convolution
from sw.network import Layer, Network

SIDE = 8


def layer(rng, name, rows, where, relu=True, **wiring) -> Layer:
    """A layer with random weights; `where` is a Convolution, or the columns of a matrix."""
    geometry = None if isinstance(where, int) else where
    columns = where if geometry is None else geometry.columns
    weights = rng.normal(size=(rows, columns)) * math.sqrt(2 / columns)
    return Layer(name, weights, rng.normal(size=rows) * 0.1, relu, geometry, **wiring)


def identity(name, channels, side, sources=(1,), relu=False, **where) -> Layer:
    """A fixed layer that gives the sum of what it takes, and then pools."""
    geometry = Convolution(channels, side, side, 1, 1, groups=channels, **where)
    ones = np.ones((channels, 1))
    return Layer(
        name,
        ones,
        np.zeros(channels),
        relu,
        geometry,
        sources,
        added=len(sources) > 1,
        fixed=True,
    )


def mean(name, channels, side) -> Layer:
    """A fixed layer that gives the mean of every plane."""
    geometry = Convolution(channels, side, side, side, side, groups=channels)
    weights = np.full((channels, side**2), 1 / side**2)
    return Layer(name, weights, np.zeros(channels), False, geometry, fixed=True)


def residual(seed=1, width=4) -> Network:
    """Two residual blocks, the second with a stride and a projection; mean; fully connected."""
    rng = np.random.default_rng(seed)
    wide, half = 2 * width, SIDE // 2
    plain = Convolution(width, SIDE, SIDE, 3, 3, padding=1)
    strided = Convolution(width, SIDE, SIDE, 3, 3, stride=2, padding=1)
    layers = (
        layer(rng, "stem", width, Convolution(1, SIDE, SIDE, 3, 3, padding=1)),
        layer(rng, "conv1a", width, plain),
        layer(rng, "conv1b", width, plain, relu=False),
        identity("add1", width, SIDE, (1, 3), relu=True),
        layer(rng, "conv2a", wide, strided),
        layer(rng, "conv2b", wide, Convolution(wide, half, half, 3, 3, padding=1), relu=False),
        layer(
            rng,
            "project",
            wide,
            Convolution(width, SIDE, SIDE, 1, 1, stride=2),
            relu=False,
            sources=(3,),
        ),
        identity("add2", wide, half, (1, 2), relu=True),
        mean("mean", wide, half),
        layer(rng, "fc", 5, wide, relu=False),
    )
    return Network(layers)


def fire(seed=1) -> Network:
    """Overlapping pooling, a fire module, a depthwise convolution, average pooling."""
    rng = np.random.default_rng(seed)
    stem = Convolution(1, SIDE, SIDE, 3, 3, padding=1, pool=3, overlap=1)  # to 3 × 3
    layers = (
        layer(rng, "stem", 8, stem),
        layer(rng, "squeeze", 3, Convolution(8, 3, 3, 1, 1)),
        layer(rng, "expand1", 4, Convolution(3, 3, 3, 1, 1)),
        layer(rng, "expand3", 6, Convolution(3, 3, 3, 3, 3, padding=1), sources=(2,)),
        layer(rng, "depthwise", 10, Convolution(10, 3, 3, 2, 2, groups=10), sources=(2, 1)),
        layer(rng, "grouped", 6, Convolution(10, 2, 2, 1, 1, groups=2, pool=2, average=True)),
        layer(rng, "fc", 5, 6, relu=False),
    )
    return Network(layers)


def shared(network: Network) -> list[Shared]:
    """The layers with all their distinct weights, 255 at most."""
    return share_layers(network, Recipe(description="", share=Sharing(code_bits=8)))


def pictures(count=200, seed=3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE**2)) / 256


@st.composite
def graphs(draw, fixed=True) -> Network:
    """Networks of up to six layers wired by lot; of few values, many of them 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tensors = [(draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))]
    layers: list[Layer] = []
    for place in range(draw(st.integers(1, 6))):
        sources, added = draw(_sources(tensors))
        planes = _gathered([tensors[-distance] for distance in sources], added)
        where = draw(_geometries(planes)) if draw(st.booleans()) else None
        columns = math.prod(planes) if where is None else where.columns
        rows = draw(st.integers(1, 3)) * (1 if where is None else where.groups)
        if draw(st.booleans()) and math.prod(planes) < 20 and where is None:
            rows = math.prod(planes)  # so that it can be added to what it took
        made = Layer(
            f"layer{place}",
            _weights(draw, rng, rows, columns, planes[0]),
            rng.integers(-4, 5, rows) / 4 * (rng.random(rows) < 0.7),
            draw(st.booleans()),
            where,
            sources,
            added,
            fixed and draw(st.integers(0, 4)) == 0,
        )
        layers.append(made)
        tensors.append((rows, 1, 1) if where is None else (rows, *where.plane))
    return Network(tuple(layers))


def _weights(draw, rng, rows, columns, channels) -> np.ndarray:
    """Few values; rows and columns without any, by lot."""
    weights = rng.integers(-3, 4, (rows, columns)) / 4
    weights[rng.random(rows) < draw(st.sampled_from([0, 0.5, 1]))] = 0
    if columns % channels == 0:
        blocks = weights.reshape(rows, channels, -1)
        blocks[:, rng.random(channels) < draw(st.sampled_from([0, 0.5]))] = 0
    return weights


@st.composite
def _sources(draw, tensors):
    first = draw(st.integers(1, len(tensors)))
    added = draw(st.booleans())
    alike = [
        distance
        for distance in range(1, len(tensors) + 1)
        if not added or math.prod(tensors[-distance]) == math.prod(tensors[-first])
    ]
    more = draw(st.lists(st.sampled_from(alike), max_size=2))
    return (first, *more), added


def _gathered(planes, added):
    if added:
        return planes[0]
    if len({tuple(size) for _, *size in planes}) == 1:
        return (sum(channels for channels, *_ in planes), *planes[0][1:])
    return sum(map(math.prod, planes)), 1, 1


@st.composite
def _geometries(draw, planes):
    channels, height, width = planes
    kernel = draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))
    padding = draw(st.integers(0, min(kernel))) if max(height, width) <= 6 else 0
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    whole = Convolution(*planes, *kernel, draw(st.integers(1, 2)), padding, groups=groups)
    pool = draw(st.integers(1, min(4, *whole.positions)))
    overlap = draw(st.integers(0, pool - 1))
    average = pool != 3 and draw(st.booleans())
    return dataclasses.replace(whole, pool=pool, overlap=overlap, average=average)
