"""Exports that tests run: a network in the memories, and what it computes."""

import dataclasses
import json

from hw.export import Export, write
from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sw.cli.export import resident
from sw.pack import pack

__all__ = ["Case", "addresses", "software"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A random network for an engine, and vectors."""

    config: object
    recipe: Recipe
    seed: int
    vectors: int = 6

    @property
    def network(self):
        return random_network(self.recipe, self.seed)

    @property
    def image(self):
        return pack(self.network, self.config)

    @property
    def inputs(self):
        return random_inputs(self.recipe, self.vectors, self.seed)

    @property
    def outputs(self):
        return golden.run(self.network, self.inputs)[-1]

    def export(self, kind):
        network = resident(kind, "net.thr", self.network, self.image)
        return Export(kind, self.config, resident=network)

    def written(self, kind, folder):
        write(self.export(kind), folder)
        return folder


def addresses(space, first, count):
    """Byte addresses in an export of `count` words, from one on that the engine has at `first`."""
    window, unit, offset = first >> 26, first >> 18 & 0xFF, first & (1 << 18) - 1
    return [4 * space.word(window, unit, offset + n) for n in range(count)]


def software(case, folder):
    """What the benches' `Software` is given, and a function that reads the results of that name."""
    files = {name: folder / f"{name}.json" for name in ("results", "results_in_c")}
    env = {"export": str(folder), "inputs": case.inputs.tolist()}
    env |= {name: str(path) for name, path in files.items()}
    return env, lambda name: json.loads(files[name].read_text())
