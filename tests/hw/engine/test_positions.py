import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.positions import PositionWalker
from sim.bench.runner import run_bench

CONFIGS = {"tiny": {}, "three lanes": {"lanes": 3, "groups": 2}, "one lane": {"lanes": 1}}


@pytest.mark.parametrize("name", CONFIGS)
def test_position_walker(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        PositionWalker(config),
        module="sim.bench.engine.positions",
        name="position_walker",
        env={"config": dataclasses.asdict(config)},
    )
