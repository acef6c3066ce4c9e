"""A self-test that is killed leaves no image id but that of what the memories hold."""

from __future__ import annotations

import numpy as np
import pytest
from two_networks import EXPECTED, NETWORK, TINY, X

from sim import golden
from sw.driver import Accelerator
from sw.pack import pack
from sw.selftest import _examples
from sw.trace import prefix
from sw.transport import DeviceSilent


class Killed:
    """A transport on which nothing is written any more from some write on."""

    def __init__(self, device, writes):
        self._device, self._left = device, writes

    def __getattr__(self, name):
        return getattr(self._device, name)

    def write(self, address, words):
        if not self._left:
            raise DeviceSilent("killed")
        self._left -= 1
        self._device.write(address, words)

    def resynchronise(self):
        if not self._left:
            raise DeviceSilent("killed")


@pytest.fixture(scope="module")
def known():
    """Image id -> the image, inputs for it and what it makes of them."""
    images = {}
    for _, network, x in _examples(TINY):
        image = pack(network, TINY)
        for number, layer in enumerate(golden.run(network, x)):
            part = prefix(image, number + 1)
            images[part.id] = part, x, layer
    return images


# While memories are tried, while networks are loaded, before and after that, and while they run:
# what was there before, nothing, or a network of the test.
@pytest.mark.parametrize(
    ("writes", "left"),
    [
        *((n, "before") for n in (0, 20)),
        *((n, "nothing") for n in (31, 36, 50, 101)),
        *((n, "network") for n in (70, 71, 72, 90, 130, 200, 300, 370)),
    ],
)
def test_the_id_left_is_that_of_what_is_held(accelerator, device, known, writes, left):
    with pytest.raises(DeviceSilent):
        Accelerator(Killed(device, 4 + writes)).selftest()
    after = Accelerator(device)
    if left == "nothing":
        assert after.image_id == 0
    elif left == "before":
        after.attach(NETWORK)
        np.testing.assert_array_equal(after.predict(X), EXPECTED)
    else:
        image, x, expected = known[after.image_id]
        after.attach(image)
        np.testing.assert_array_equal(after.run(x), expected)


def test_ctrl_c_leaves_none(accelerator, device):
    def interrupt(name):
        if name != "activation memories":
            raise KeyboardInterrupt

    other = Accelerator(device)
    with pytest.raises(KeyboardInterrupt):
        other.selftest(interrupt)
    assert Accelerator(device).image_id == 0
