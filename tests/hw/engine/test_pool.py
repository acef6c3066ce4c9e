import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.pool import Pool
from sim.bench.runner import run_bench

# Totals of as many words before are forwarded as a row may recur after.
CONFIGS = {
    "tiny": {},
    "three lanes": {"lanes": 3, "groups": 2, "activation_bits": 9, "accumulator_depth": 13},
    "three groups": {"lanes": 1, "groups": 3},
    "four groups": {"lanes": 2, "groups": 4, "activation_bits": 7},
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
