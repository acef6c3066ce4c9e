"""The driver on planes: an input that all groups hold, and a layer of several instructions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from endless import endless
from faulty import FAULTS, Faulty
from hand import layer_of, network_of

from hw.config import PRESETS
from sim import golden
from sim.engine import open_engine
from sim.random_graph import random_planes
from sim.walk import walk
from sw.convolution import Convolution
from sw.driver import Accelerator, DeviceError
from sw.pack import pack

NETWORK = network_of(
    layer_of(Convolution(1, 10, 10, 3, 3, pool=2), 4), layer_of(64, 600), layer_of(600, 4)
)
ARTY = PRESETS["arty_a7_35t"]
IMAGE = pack(NETWORK, ARTY)
X = random_planes(NETWORK, 3, 1)


@pytest.fixture(scope="module")
def arty():
    with open_engine(ARTY) as transport:
        yield transport


def agrees(accelerator):
    np.testing.assert_array_equal(accelerator.run(X), golden.run(NETWORK, X)[-1])


def test_runs_and_counts_by_layer(arty):
    assert IMAGE.input.copies
    assert IMAGE.steps == (0, 1, 1, 2)
    accelerator = Accelerator(arty)
    accelerator.load(IMAGE)
    agrees(accelerator)
    counted = accelerator.counters()
    assert len(counted) == 3
    last = walk(IMAGE, X[-IMAGE.vectors :])
    for counts, layer in zip(counted, last, strict=True):
        assert counts.busy == layer.entries.sum()
        assert counts.activations == layer.tokens.sum()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_word_of_the_inputs_is_repeated(arty, fault, seed):
    Accelerator(arty).load(IMAGE)
    dice = random.Random(f"{fault} {seed}")
    faulty = Faulty(arty, 3 + dice.randrange(IMAGE.input.words * 2), FAULTS[fault](dice))
    accelerator = Accelerator(faulty)
    accelerator.attach(IMAGE)
    agrees(accelerator)
    assert faulty.struck


@pytest.mark.parametrize(("step", "layer"), [(0, 0), (1, 1), (2, 1), (3, 2)])
def test_a_device_that_never_finishes(arty, step, layer):
    accelerator = Accelerator(arty)
    accelerator.load(endless(IMAGE, step))
    with pytest.raises(DeviceError, match=f"it was executing layer {layer} of 0 to 2$"):
        accelerator.run(X, timeout=0.2)
    accelerator.load(IMAGE)
    agrees(accelerator)
