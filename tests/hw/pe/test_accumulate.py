import dataclasses

import pytest

from hw.config import PRESETS
from hw.pe.accumulate import MultiplyAccumulate
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "odd": {
        "activation_bits": 9,
        "weight_bits": 5,
        "accumulator_bits": 23,
        "accumulator_depth": 13,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_multiply_accumulate(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        MultiplyAccumulate(config),
        module="sim.bench.pe.accumulate",
        name="multiply_accumulate",
        env={"config": dataclasses.asdict(config)},
    )
