"""Where the streams of an export put activations, against where the driver puts them."""

import dataclasses

import numpy as np
import pytest

from hw import layouts
from hw.config import PRESETS
from hw.export.stream_map import StreamShape
from sim.random_network import Recipe, random_network
from sw import networks
from sw.cli.export import stream_settings
from sw.format import read
from sw.pack import pack
from sw.words import activation_stride, from_words, port_units, to_words

TINY = PRESETS["tiny"]


def shipped(name):
    return pack(read(networks.LENET300100.with_name(name)), PRESETS["arty_a7_35t"])


def dense(seed, **knobs):
    config = dataclasses.replace(TINY, **knobs)
    recipe = Recipe([41, 17, 9], density=0.3, activation_bits=config.activation_bits)
    return pack(random_network(recipe, seed), config)


@pytest.fixture(
    params=[
        lambda: shipped("lenet300100-best.thr"),
        lambda: shipped("lenet5-best.thr"),
        lambda: dense(1, lanes=1),
        lambda: dense(2, lanes=3, groups=2),
        lambda: dense(3, lanes=5, groups=3, activation_bits=8),
    ],
    ids=["lenet300100", "lenet5", "one lane", "gaps", "8 bits"],
)
def image(request):
    return request.param()


def test_inputs(image):
    settings, config = stream_settings(image), image.config
    rng = np.random.default_rng(1)
    high = 1 << (config.activation_bits - 1)
    x = rng.integers(-high, high, (1, len(image.input.slots)))
    units, words = len(port_units(image.input, config)), settings.registers["stream_words"]
    shape = StreamShape(config, x.shape[1], units * words)
    held = [0] * (units * words)
    for value, item in zip(x[0].tolist(), settings.inputs_at, strict=True):
        place = layouts.decode(shape.input_place, item)
        held[place["word"]] |= (value % (2 * high)) << (place["lane"] * config.activation_bits)
    np.testing.assert_array_equal(held, np.concatenate(to_words(x, image.input, config)))
    assert settings.registers["stream_groups"] == (0 if image.input.copies else units)
    assert settings.registers["stream_first"] == image.input.base * activation_stride(config)


def test_outputs(image):
    settings, config = stream_settings(image), image.config
    rng = np.random.default_rng(1)
    stride = activation_stride(config)
    shape = StreamShape(config, len(settings.outputs_at), 1)
    memory = rng.integers(0, 1 << 32, (config.groups, config.activation_depth * stride))
    first = image.output.base * stride
    vector = memory[:, first : first + image.output.words * stride].astype(np.uint32)
    high = 1 << (config.activation_bits - 1)
    found = []
    for item in settings.outputs_at:
        place = layouts.decode(shape.output_place, item)
        word = int(memory[place["group"], place["offset"]])
        bits = word >> (place["lane"] * config.activation_bits) & (2 * high - 1)
        found.append((bits ^ high) - high)
    np.testing.assert_array_equal([found], from_words(list(vector), image.output, config))
