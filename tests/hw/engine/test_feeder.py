import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.feeder import Feeder
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "one lane": {"lanes": 1, "activation_bits": 4},
    "five lanes, 8 bits": {
        "lanes": 5,
        "activation_bits": 8,
        "activation_depth": 39,
        "column_depth": 203,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_feeder(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        Feeder(config),
        module="sim.bench.engine.feeder",
        name="feeder",
        env={"config": dataclasses.asdict(config)},
    )
