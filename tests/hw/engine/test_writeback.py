import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.writeback import WriteBack
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "three groups": {
        "lanes": 3,
        "groups": 3,
        "activation_bits": 8,
        "accumulator_bits": 40,  # a bias takes two bus words
        "accumulator_depth": 11,
        "bias_depth": 25,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_write_back(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        WriteBack(config),
        module="sim.bench.engine.writeback",
        name="write_back",
        env={"config": dataclasses.asdict(config)},
    )
