"""Agreement of golden model, image walk and RTL on engines of random shape, for as long as wanted.

``python -m tests.soak --minutes 30 [--seed 1] [--lanes 64]``: every engine is compiled anew, so
this is not part of the suite. Exit status 1 at the first difference, with what repeats it.
"""

import dataclasses
import random
import time

import click
import numpy as np

from sim import golden
from sim.engine import open_engine
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.walk import walk
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import config_for, pack

SECONDS_PER_ENGINE = 60


def random_case(rng: random.Random, activation_bits: int):
    """A network, inputs, and what repeats them: dense layers, or a graph with convolutions."""
    seed = rng.getrandbits(32)
    if rng.random() < 0.5:
        limits = Limits(
            channels=rng.choice([3, 12, 40]),
            side=rng.choice([4, 9, 20]),
            layers=rng.randint(1, 7),
            activation_bits=activation_bits,
        )
        network = random_graph(limits, seed)
        return network, random_planes(network, 3, seed), f"seed {seed}, {limits}"
    recipe = Recipe(
        sizes=[rng.randint(1, 300) for _ in range(rng.randint(2, 5))],
        density=rng.choice([0.0, 0.005, 0.02, 0.08, 0.2, 1.0]),
        code_bits=rng.randint(1, 8),
        activation_density=rng.choice([0.0, 0.05, 0.3, 1.0]),
        activation_bits=activation_bits,
    )
    network = random_network(recipe, seed)
    return network, random_inputs(recipe, 5, seed), f"seed {seed}, {recipe}"


def random_config(rng: random.Random, lanes: int | None):
    """An engine whose memories hold any of the random networks, most of them at least."""
    lanes = lanes or rng.randint(1, 64)
    activation_bits = rng.choice([8, 12, 16])
    largest = Recipe(sizes=[300] * 5, density=0.3, code_bits=8, activation_bits=activation_bits)
    groups = rng.randint(1, min(4, 256 // lanes))
    config = config_for(
        random_network(largest, 0),
        lanes=lanes,
        groups=groups,
        queue_depth=rng.choice([6, 8, 32]),
        entry_bits=rng.randint(9, 16),
        activation_depth=4096,
        segment_depth=512,
        codebook_depth=2048,
        layer_depth=64,
    )
    # So few that layers take several instructions, or enough for all rows.
    rows = rng.choice([groups + 1, 4 * groups, config.accumulator_depth])
    return dataclasses.replace(config, accumulator_depth=rows)


def try_networks(config, rng: random.Random, until: float) -> int:
    """Networks that agreed; raises AssertionError at the first that does not."""
    agreed = 0
    with open_engine(config) as transport:
        accelerator = Accelerator(transport)
        while time.monotonic() < until:
            network, x, what = random_case(rng, config.activation_bits)
            try:
                image = pack(network, config)
            except BadInput:
                continue
            what = f"{what}, {config}"
            outputs = golden.run(network, x)
            accelerator.load(image)
            np.testing.assert_array_equal(accelerator.run(x), outputs[-1], what)
            for layer, port, expected in zip(
                walk(image, x), image.layer_ports, outputs, strict=True
            ):
                np.testing.assert_array_equal(layer.outputs[:, port.slots], expected, what)
            agreed += 1
    return agreed


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--lanes", type=click.IntRange(1, 64), help="Random if not given.")
def main(minutes: float, seed: int, lanes: int | None) -> None:
    rng = random.Random(seed)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        config = random_config(rng, lanes)
        open_engine(config).close()  # compiles it, which is not counted
        agreed = try_networks(config, rng, time.monotonic() + SECONDS_PER_ENGINE)
        click.echo(f"{config.lanes} x {config.groups}: {agreed} networks agreed")


if __name__ == "__main__":
    main()
