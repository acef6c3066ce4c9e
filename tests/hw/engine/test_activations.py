import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.activations import ActivationMemory
from sim.bench.runner import run_bench

# In words of the bus: part of one, exactly two, one and part of another, three of four.
CONFIGS = {
    "1 × 8 bits": {"lanes": 1, "activation_bits": 8, "activation_depth": 13},
    "4 × 16 bits": {"activation_depth": 16},
    "5 × 8 bits": {"lanes": 5, "activation_bits": 8, "activation_depth": 13},
    "5 × 16 bits": {"lanes": 5, "activation_bits": 16, "activation_depth": 11},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_activation_memory(name):
    config = dataclasses.replace(PRESETS["tiny"], groups=3, **CONFIGS[name])
    run_bench(
        ActivationMemory(config, 1),
        module="sim.bench.engine.activations",
        name="activation_memory",
        env={"config": dataclasses.asdict(config), "unit": 1},
    )
