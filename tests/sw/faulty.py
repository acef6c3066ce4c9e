"""Links on which one word goes wrong, and an image in which some words are wrong."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.regmap import REGISTERS, Window
from sw.pack import pack
from sw.transport import DeviceSilent, LinkError, PortError, Transport


class Faulty:
    """A transport on which one word is written wrongly, and all others as they should be.

    Parameters
    ----------
    device : the sound transport
    place : which of the words written is the wrong one, from 0 on
    fault : (address, words, index of the wrong one) -> writes that take place instead

    Attributes
    ----------
    words : how many were written
    """

    def __init__(self, device, place=None, fault=None):
        self._device: Transport = device
        self._place, self._fault = place, fault
        self.words = 0
        self.read, self.poll, self.close = device.read, device.poll, device.close
        self.resynchronise = device.resynchronise

    @property
    def struck(self):
        return self._place is not None and self.words > self._place

    def write(self, address, words, *, fixed=False):
        assert not fixed
        writes = [(address, words)]
        if self._place is not None and 0 <= self._place - self.words < len(words):
            writes = self._fault(address, words, self._place - self.words)
        self.words += len(words)
        for first, burst in writes:
            self._device.write(first, np.asarray(burst, np.uint32))


class FaultyReads:
    """A transport on which one word is read wrongly, as `Faulty` is for those written.

    Parameters
    ----------
    place : which of the words read is the wrong one, from 0 on
    fault : (words, index of the wrong one) -> words that are read instead
    """

    def __init__(self, device, place=None, fault=None):
        self._device: Transport = device
        self._place, self._fault = place, fault
        self.words = 0
        self.write, self.poll, self.close = device.write, device.poll, device.close
        self.resynchronise = device.resynchronise

    @property
    def struck(self):
        return self._place is not None and self.words > self._place

    def read(self, address, count):
        words = self._device.read(address, count)
        before, self.words = self.words, self.words + count
        if self._place is not None and 0 <= self._place - before < count:
            return self._fault(words, self._place - before)
        return words


class Lost:
    """A transport whose port is there until it is closed, or `there` is False.

    Attributes
    ----------
    closed : how often it was closed; the sound transport never is
    """

    port = "its port"

    def __init__(self, device):
        self._device = device
        self.there = True
        self.closed = 0

    def close(self):
        self.there = False
        self.closed += 1

    def __getattr__(self, name):
        if not self.there:
            raise PortError("the port was lost")
        return getattr(self._device, name)


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


def misread(dice):
    def fault(words, at):
        changed = words.copy()
        changed[at] ^= np.uint32(1 << dice.randrange(32))
        return changed

    return fault


def shifted(_):
    """A byte is lost on the way, and another comes from somewhere."""
    return lambda words, at: np.concatenate([words[:at], words[at:] << np.uint32(8)])


def cut_short(_):
    def fault(words, at):
        raise LinkError("only 3 of 8 bytes came")

    return fault


def unanswered(_):
    def fault(words, at):
        raise DeviceSilent("no answer")

    return fault


READ_FAULTS = {fault.__name__: fault for fault in (misread, shifted, cut_short, unanswered)}
FAULTS = {fault.__name__: fault for fault in (flipped, dropped, missing, doubled, astray)}


def wrongly_packed(_name, network, config):
    """An image whose last biases are wrong; stands in for `sw.pack.pack_file`."""
    image = pack(network, config)
    biases = [items.copy() for items in image.contents[Window.BIAS]]
    for items in biases:
        items[-4:] += np.uint32(1 << 20)  # rows of a lane, of the last layer
    return dataclasses.replace(image, contents={**image.contents, Window.BIAS: tuple(biases)})
