"""What a device can be asked to prove that it works: its memories, and whole networks."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig
from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network

from .compressed import CompressedNetwork
from .device import Device
from .errors import BadInput
from .pack import pack
from .trace import compare, prefix
from .words import activation_masks

__all__ = ["Check", "run_checks"]

# Of dense networks, of which the first that fits is run.
_SIZES = ((300, 100, 10), (100, 60, 20), (40, 20, 10), (16, 8))
_GRAPHS = 8  # with convolutions, of which the first that fits is run
_SEEDS = 2
_VECTORS = 3


Vectors = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Check:
    """A check: what was looked at, and what was wrong with it, in words, or None."""

    name: str
    failure: str | None


async def run_checks(
    device: Device, config: AcceleratorConfig, note: Callable[[str], None]
) -> list[Check]:
    """Try a device; what was loaded into it is lost.

    Every bit of the activation memories, the only ones that can be read, as 0 and as 1; and random
    networks, every layer against the golden model.

    Parameters
    ----------
    note : called with the name of each check before it is made
    """
    note("activation memories")
    checks = [Check("activation memories", await _memories(device, config))]
    for name, network, x in _examples(config):
        note(name)
        checks.append(Check(name, await _network(device, config, network, x)))
    return checks


def _examples(config: AcceleratorConfig) -> Iterator[tuple[str, CompressedNetwork, Vectors]]:
    """Networks that fit the engine, with inputs: dense, then with convolutions."""
    widths = (config.activation_bits, config.weight_bits, config.accumulator_bits)
    for seed in range(_SEEDS):
        for sizes in _SIZES:
            recipe = Recipe(sizes, 0.2, 4, 0.5, *widths)
            network = random_network(recipe, seed)
            if _fits(network, config):
                name = f"random network {seed}: {'-'.join(map(str, sizes))}"
                yield name, network, random_inputs(recipe, _VECTORS, seed)
                break
    limits = Limits(channels=9, side=8, activation_bits=config.activation_bits)
    graphs = (random_graph(limits, seed) for seed in range(_GRAPHS))
    fitting = (graph for graph in graphs if _fits(graph, config))
    for number, graph in enumerate(itertools.islice(fitting, _SEEDS)):
        name = f"random network {_SEEDS + number}: {len(graph.layers)} with convolutions"
        yield name, graph, random_planes(graph, _VECTORS, number)


def _fits(network: CompressedNetwork, config: AcceleratorConfig) -> bool:
    try:
        pack(network, config)
    except BadInput:
        return False
    return True


async def _network(
    device: Device, config: AcceleratorConfig, network: CompressedNetwork, x: Vectors
) -> str | None:
    """The first activation that differs, in words."""
    image = pack(network, config)
    for number, expected in enumerate(golden.run(network, x)):
        await device.load(prefix(image, number + 1))
        difference = compare(network, number, await device.run(x), expected)
        if difference is not None:
            return str(difference)
    return None


async def _memories(device: Device, config: AcceleratorConfig) -> str | None:
    """Random words and their complements in all words of the activation memories."""
    rng = np.random.default_rng(0)
    masks = activation_masks(config)
    patterns = rng.integers(0, 1 << 32, (config.groups, len(masks)), np.uint32)
    for flip in (0, 0xFFFFFFFF):
        for unit, pattern in enumerate(patterns ^ np.uint32(flip)):
            await device.write_activations(unit, pattern)
        for unit, pattern in enumerate(patterns ^ np.uint32(flip)):
            found = await device.read_activations(unit, len(masks))
            wrong = np.flatnonzero((found ^ pattern) & masks)
            if len(wrong):
                at = int(wrong[0])
                return (
                    f"{len(wrong)} of {len(masks)} words of group {unit} are wrong, the first word "
                    f"{at}: {found[at]:08x} instead of {pattern[at]:08x}"
                )
    return None
