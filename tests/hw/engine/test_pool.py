import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.pool import Pool
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "three lanes": {"lanes": 3, "groups": 2, "activation_bits": 9, "accumulator_depth": 13},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_pool(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        Pool(config),
        module="sim.bench.engine.pool",
        name="pool",
        env={"config": dataclasses.asdict(config)},
    )
