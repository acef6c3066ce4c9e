"""Memory items and activations as bus words, there and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import layouts
from hw.config import PRESETS
from hw.regmap import Window, window_items
from sim.random_network import Recipe, random_network
from sw.image import Port, word_address
from sw.pack import pack
from sw.words import (
    activation_address,
    activation_stride,
    from_words,
    image_words,
    port_places,
    port_units,
    to_words,
)

TINY = PRESETS["tiny"]
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=200)
configs = st.builds(
    lambda lanes, groups, bits: dataclasses.replace(
        TINY, lanes=lanes, groups=groups, activation_bits=bits
    ),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(4, 16),
)


@st.composite
def ports(draw, config, copies):
    units = 1 if copies else config.groups
    words = draw(st.integers(1, 6))
    slots = np.random.default_rng(draw(st.integers(0, 99))).permutation(
        words * units * config.lanes
    )
    return Port(draw(st.integers(0, 9)), words, slots[: draw(st.integers(1, len(slots)))], copies)


def memory_of(words, config):
    """Activation words as lists of lanes, bit by bit from bus words."""
    step, width = activation_stride(config), config.activation_bits
    items = words.reshape(-1, step)
    values = []
    for parts in items:
        bits = sum(int(part) << (32 * at) for at, part in enumerate(parts))
        assert bits >> (config.lanes * width) == 0
        lanes = [(bits >> (lane * width)) & ((1 << width) - 1) for lane in range(config.lanes)]
        values.append([lane - ((lane >> (width - 1)) << width) for lane in lanes])
    return values


@repeatable
@given(data=st.data(), config=configs, copies=st.booleans(), vectors=st.integers(1, 3))
def test_each_activation_is_where_its_port_says(data, config, copies, vectors):
    port = data.draw(ports(config, copies))
    high = 1 << (config.activation_bits - 1)
    x = np.random.default_rng(1).integers(-high, high, (vectors, len(port.slots)))
    units = to_words(x, port, config)
    assert len(units) == len(port_units(port, config)) == (1 if copies else config.groups)
    memories = [memory_of(words, config) for words in units]
    assert all(words.dtype == np.uint32 for words in units)
    wanted = np.zeros((len(units), vectors * port.words, config.lanes), np.int64)
    for vector in range(vectors):
        for feature, slot in enumerate(port.slots):
            word, lane = divmod(int(slot), config.lanes)
            word, unit = divmod(word, len(units))
            wanted[unit, vector * port.words + word, lane] = x[vector, feature]
    assert memories == wanted.tolist()


@repeatable
@given(data=st.data(), config=configs, vectors=st.integers(1, 3))
def test_there_and_back(data, config, vectors):
    port = data.draw(ports(config, copies=False))
    high = 1 << (config.activation_bits - 1)
    x = np.random.default_rng(2).integers(-high, high, (vectors, len(port.slots)))
    x[0, 0], x[-1, -1] = -high, high - 1
    found = from_words(to_words(x, port, config), port, config)
    np.testing.assert_array_equal(found, x)
    assert found.dtype == np.int64


@repeatable
@given(data=st.data(), config=configs, copies=st.booleans())
def test_the_places_of_activations_are_those_of_their_words(data, config, copies):
    port = data.draw(ports(config, copies))
    high = 1 << (config.activation_bits - 1)
    x = np.random.default_rng(3).integers(-high, high, len(port.slots))
    held = [
        sum(int(word) << 32 * at for at, word in enumerate(words))
        for words in to_words(x[None], port, config)
    ]
    places = zip(x.tolist(), *(each.tolist() for each in port_places(port, config)), strict=True)
    for value, unit, word, bit in places:
        assert 0 <= bit < 32
        held[unit] ^= (value % (2 * high)) << (32 * word + bit)
    assert held == [0] * len(held)


def test_copies_are_written_to_all_groups_at_once():
    config = dataclasses.replace(TINY, groups=3)
    port = Port(5, 2, np.arange(8), copies=True)
    assert port_units(port, config) == [layouts.ALL_UNITS]
    assert port_units(dataclasses.replace(port, copies=False), config) == [0, 1, 2]
    address = activation_address(port, layouts.ALL_UNITS, config)
    assert address == word_address(
        Window.ACTIVATIONS, layouts.ALL_UNITS, 5 * activation_stride(config)
    )


@pytest.mark.parametrize("most", [1 << 18, 7])
def test_an_image_in_bursts(most):
    """Items of several words begin at their stride; what is between is 0."""
    image = pack(random_network(Recipe(sizes=[30, 20, 10], density=0.3), 1), TINY)
    memory = {}
    for address, words in image_words(image, most):
        assert 0 < len(words) <= most
        for place, word in enumerate(words):
            assert address + place not in memory
            memory[address + place] = int(word)
    for window, units in image.contents.items():
        step = layouts.stride(window_items(window, TINY)[2])
        for unit, items in enumerate(units):
            for number, parts in enumerate(items):
                first = word_address(window, unit, number * step)
                found = [memory.pop(first + place) for place in range(step)]
                assert found == parts.tolist() + [0] * (step - len(parts))
    assert not memory
