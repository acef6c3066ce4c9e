"""The tiny engine, simulated, as the driver's tests have it."""

import pytest
from devices import board_with
from two_networks import NETWORK

from hw.config import PRESETS
from sim.engine import open_engine
from sw.driver import Accelerator


@pytest.fixture(scope="module")
def engine():
    with open_engine(PRESETS["tiny"]) as transport:
        yield transport


@pytest.fixture
def device(engine):
    """The engine as after power-up."""
    engine.reset()
    return engine


@pytest.fixture
def accelerator(device):
    """A driver of that engine, which holds the first of two networks."""
    accelerator = Accelerator(device)
    accelerator.load(NETWORK)
    return accelerator


@pytest.fixture
def port(engine):
    """That of a board with a module's engine, as after power-up."""
    engine.reset()
    with board_with(engine) as name:
        yield name
