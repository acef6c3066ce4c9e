"""A link on which one word goes wrong, and an image in which some words are wrong."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.regmap import REGISTERS, Window
from sw.pack import pack
from sw.transport import Transport


class Faulty:
    """A transport on which one word is written wrongly, and all others as they should be.

    Parameters
    ----------
    device : the sound transport
    place : which of the words written is the wrong one, from 0 on
    fault : (address, words, index of the wrong one) -> writes that take place instead
    """

    def __init__(self, device, place, fault):
        self._device: Transport = device
        self._left = place
        self._fault = fault
        self.read, self.poll, self.close = device.read, device.poll, device.close

    @property
    def struck(self):
        return self._left < 0

    def write(self, address, words, *, fixed=False):
        assert not fixed
        writes = [(address, words)]
        if 0 <= self._left < len(words):
            writes = self._fault(address, words, self._left)
        self._left -= len(words)
        for first, burst in writes:
            self._device.write(first, np.asarray(burst, np.uint32))


def flipped(dice):
    def fault(address, words, at):
        changed = words.copy()
        changed[at] ^= np.uint32(1 << dice.randrange(32))
        return [(address, changed)]

    return fault


def dropped(_):
    """Lost from a burst: what follows moves up."""
    return lambda address, words, at: [(address, np.delete(words, at))]


def missing(_):
    """Never written, though all others are where they should be."""
    return lambda address, words, at: [
        (address, words[:at]),
        (address + at + 1, words[at + 1 :]),
    ]


def doubled(_):
    return lambda address, words, at: [(address, np.insert(words, at, words[at]))]


def astray(dice):
    """Goes to another word: a register, a neighbour, another memory."""

    def fault(address, words, at):
        places = [dice.randrange(len(REGISTERS)), (address + at) ^ 1 << dice.randrange(30)]
        return to_place(dice.choice(places))(address, words, at)

    return fault


def to_place(place):
    return lambda address, words, at: [
        (address, words[:at]),
        (place, words[at : at + 1]),
        (address + at + 1, words[at + 1 :]),
    ]


FAULTS = {fault.__name__: fault for fault in (flipped, dropped, missing, doubled, astray)}


def wrongly_packed(_name, network, config):
    """An image whose last biases are wrong; stands in for `sw.pack.pack_file`."""
    image = pack(network, config)
    biases = [items.copy() for items in image.contents[Window.BIAS]]
    for items in biases:
        items[-4:] += np.uint32(1 << 20)  # rows of a lane, of the last layer
    return dataclasses.replace(image, contents={**image.contents, Window.BIAS: tuple(biases)})
