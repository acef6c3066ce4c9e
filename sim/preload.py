"""An image in a simulated engine at once, as if its memories had been initialised with it.

Over the simulated bus a word takes five cycles, and large layers have millions of entries.
"""

from __future__ import annotations

import numpy as np

from hw.layouts import BUS_ADDRESS_BITS
from hw.regmap import PLACE
from sw.driver import Accelerator
from sw.image import Image
from sw.words import image_words

from .verilated import VerilatedTransport

__all__ = ["preload"]

_BURST = 1 << 16


def preload(transport: VerilatedTransport, image: Image) -> Accelerator:
    """The accelerator behind a transport, with an image in its memories.

    Of each deep memory (`sim.verilog.DEEP`) only the first word of a burst goes over the bus; the
    others are put into the memory behind it. All else is written word by word. The device's
    checksum does not see what does not come over the bus, so it is not compared.

    Raises
    ------
    WrongGateware
        If the engine was built for another configuration.
    """
    accelerator = Accelerator(transport)
    accelerator.reset()
    everything = np.array([0, (1 << BUS_ADDRESS_BITS) - 1], np.uint32)
    transport.write(PLACE["write_first"], everything)
    for address, words in image_words(image, _BURST):
        transport.fill(address, words)
    transport.write(PLACE["image_id"], np.array([image.id], np.uint32))
    accelerator.attach(image)
    return accelerator
