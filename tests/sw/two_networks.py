"""Two networks on a tiny engine, which differ little, and what they answer to the same inputs."""

from __future__ import annotations

import dataclasses

from hw.config import PRESETS
from hw.regmap import Window
from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sw.pack import pack
from sw.words import image_words

TINY = PRESETS["tiny"]
RECIPE = Recipe(sizes=[30, 20, 15, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, TINY)
INPUTS = random_inputs(RECIPE, 2 * IMAGE.vectors + 3, 1)
X = INPUTS * 2.0**-NETWORK.input.fraction
LAYERS = golden.run(NETWORK, INPUTS)
EXPECTED = golden.dequantise(NETWORK, LAYERS[-1])
WHOLE = sum(len(words) for _, words in image_words(IMAGE))


def with_another_weight(network):
    """The network with another value in the codebook of its second layer."""
    codebook = network.layers[1].codebook.copy()
    codebook[1] = -codebook[1]
    layers = list(network.layers)
    layers[1] = dataclasses.replace(layers[1], codebook=codebook)
    return dataclasses.replace(network, layers=tuple(layers))


OTHER = with_another_weight(NETWORK)
PLACE_OF_IT = 1 + len(NETWORK.layers[0].codebook)  # in the memory


def other_image():
    """Of `OTHER`, laid out as `NETWORK` is: the packer might lay it out otherwise."""
    (codebook,) = IMAGE.contents[Window.CODEBOOK]
    codebook = codebook.copy()
    codebook[PLACE_OF_IT] = int(OTHER.layers[1].codebook[1]) & 0xFFFF
    return dataclasses.replace(IMAGE, contents={**IMAGE.contents, Window.CODEBOOK: (codebook,)})


def in_both(network):
    """The network with another value in the codebooks of its first and its last layer."""
    layers = list(network.layers)
    for number in (0, -1):
        codebook = layers[number].codebook.copy()
        codebook[1] = -codebook[1]
        layers[number] = dataclasses.replace(layers[number], codebook=codebook)
    return dataclasses.replace(network, layers=tuple(layers))


OTHER_LAYERS = in_both(NETWORK)


def far_apart():
    """Of `OTHER_LAYERS`, laid out as `NETWORK` is: what differs has other words between."""
    (codebook,) = IMAGE.contents[Window.CODEBOOK]
    codebook = codebook.copy()
    values = len(NETWORK.layers[0].codebook)
    codebook[1] = int(OTHER_LAYERS.layers[0].codebook[1]) & 0xFFFF
    codebook[2 * values + 1] = int(OTHER_LAYERS.layers[-1].codebook[1]) & 0xFFFF
    return dataclasses.replace(IMAGE, contents={**IMAGE.contents, Window.CODEBOOK: (codebook,)})
