"""Exports that tests run: a network in the memories, and what it computes."""

import dataclasses
import json

import numpy as np

from hw.export import Export, write
from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sw.cli.export import stream_settings
from sw.pack import pack
from sw.words import activation_address, activation_stride, from_words, port_units, to_words

__all__ = ["Case", "addresses"]


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
        image = self.image
        return Export(
            kind,
            self.config,
            contents=image.contents,
            image_id=image.id,
            model="net.thr",
            streams=stream_settings(image),
        )

    def written(self, kind, folder):
        write(self.export(kind), folder)
        return folder


def addresses(space, first, count):
    """Byte addresses in an export of `count` words, from one on that the engine has at `first`."""
    window, unit, offset = first >> 26, first >> 18 & 0xFF, first & (1 << 18) - 1
    return [4 * space.word(window, unit, offset + n) for n in range(count)]


def software(case, kind, folder):
    """What the benches' `Software` is given, and a function that checks what it found."""
    image, config, space = case.image, case.config, case.export(kind).space
    inputs = []
    units = port_units(image.input, config)
    for unit, words in zip(units, to_words(case.inputs, image.input, config), strict=True):
        first = activation_address(image.input, unit, config)
        inputs += zip(addresses(space, first, len(words)), words.tolist(), strict=True)
    count = case.vectors * image.output.words * activation_stride(config)
    outputs = [
        address
        for group in range(config.groups)
        for address in addresses(space, activation_address(image.output, group, config), count)
    ]
    results = folder / "results.json"
    env = {
        "regmap": str(folder / "regmap.json"),
        "vectors": case.vectors,
        "inputs": inputs,
        "outputs": outputs,
        "results": str(results),
    }

    def check():
        words = np.array(json.loads(results.read_text()), np.uint32).reshape(config.groups, -1)
        np.testing.assert_array_equal(from_words(list(words), image.output, config), case.outputs)

    return env, check
