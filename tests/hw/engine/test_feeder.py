import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.feeder import Feeder
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "one lane": {"lanes": 1, "activation_bits": 4},
    "three lanes, two groups": {
        "lanes": 3,
        "groups": 2,
        "activation_bits": 8,
        "activation_depth": 39,
        "column_depth": 203,
        "segment_depth": 37,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_feeder(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    unit = config.groups - 1
    run_bench(
        Feeder(config, unit),
        module="sim.bench.engine.feeder",
        name="feeder",
        env={"config": dataclasses.asdict(config), "unit": unit},
    )
