"""Whether an image is sound, and computes what the network computes."""

from __future__ import annotations

import itertools

import numpy as np

from hw import layouts
from hw.regmap import window_items
from sim import golden
from sim.walk import walk
from sw.allocate import lifetimes
from sw.pack import pack


def agree(network, config, x):
    """Golden model and image walk on inputs (n, inputs); returns the packed image."""
    image = pack(network, config)
    expected = golden.run(network, x)
    for walked, port, outputs in zip(walk(image, x), image.layer_ports, expected, strict=True):
        np.testing.assert_array_equal(walked.outputs[:, port.slots], outputs)
    check_contents(image)
    check_ports(image, network)
    return image


def check_contents(image):
    """Every word lies within its memory, every item within its bits."""
    for window, units in image.contents.items():
        count, depth, width = window_items(window, image.config)
        assert len(units) == count
        for items in units:
            assert items.dtype == np.uint32
            assert items.shape[1] == -(-width // layouts.BUS_BITS)
            assert len(items) <= depth
            assert not (items[:, -1] >> (width - 1) % layouts.BUS_BITS >> 1).any()


def check_ports(image, network):
    """What is needed at one time lies apart, for all vectors of a run."""
    ports, lives = [image.input, *image.layer_ports], lifetimes(network)
    regions = [
        (port.base, port.base + image.vectors * port.words, first, last)
        for port, (first, last) in zip(ports, lives, strict=True)
    ]
    assert image.vectors >= 1
    for one, other in itertools.combinations(regions, 2):
        at_once = one[2] <= other[3] and other[2] <= one[3]
        assert not at_once or one[1] <= other[0] or other[1] <= one[0]
    for port, (low, high, _, _) in zip(ports, regions, strict=True):
        assert low >= 0
        assert high <= image.config.activation_depth
        groups = 1 if port.copies else image.config.groups
        assert port.slots.max() < port.words * groups * image.config.lanes
