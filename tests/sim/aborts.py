"""Runs that are ended in their middle, and whole ones after them."""

import numpy as np

from hw.config import AcceleratorConfig
from hw.regmap import PLACE
from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.verilated import VerilatedTransport
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import pack

ABORTS = 30  # of every network


def networks(config, graphs=2):
    """A dense network and graphs that fit, with two vectors each."""
    numbers = {name: getattr(config, name) for name in ("activation_bits", "weight_bits")}
    numbers["accumulator_bits"] = config.accumulator_bits
    recipe = Recipe(sizes=[60, 60, 40], density=0.2, activation_density=1.0, **numbers)
    yield random_network(recipe, 2), random_inputs(recipe, 2, 2)
    limits = Limits(channels=9, side=8, code_bits=3, **numbers)
    found = seed = 0
    while found < graphs:
        network, seed = random_graph(limits, seed), seed + 1
        try:
            pack(network, config)
        except BadInput:
            continue
        if any(layer.convolution is not None for layer in network.layers):
            found += 1
            yield network, random_planes(network, 2, seed)


def run_after_aborts(transport: VerilatedTransport, config: AcceleratorConfig) -> float:
    """Assert that nobody sees what an aborted run left behind; share of aborts that ended one.

    They are spread evenly over the time that a run takes.
    """
    accelerator = Accelerator(transport)
    ended = []
    for network, x in networks(config):
        expected = golden.run(network, x)[-1]
        accelerator.load(pack(network, config))
        np.testing.assert_array_equal(accelerator.run(x), expected)
        cycles = sum(layer.cycles for layer in accelerator.counters())
        for delay in np.linspace(1, cycles, ABORTS):
            # with the vectors of the run before
            transport.write(PLACE["control"], np.ones(1, np.uint32))
            transport.idle(int(delay))
            ended.append(int(transport.read(PLACE["status"], 1)[0]) & 1)
            accelerator.reset()
            np.testing.assert_array_equal(accelerator.run(x), expected)
    return float(np.mean(ended))
