import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.segments import SegmentReader
from sim.bench.runner import run_bench

CONFIGS = {
    "tiny": {},
    "three lanes": {"lanes": 3, "groups": 2, "segment_depth": 37, "column_depth": 203},
    "one lane": {"lanes": 1, "activation_depth": 39},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_segment_reader(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    unit = config.groups - 1
    run_bench(
        SegmentReader(config, unit),
        module="sim.bench.engine.segments",
        name="segment_reader",
        env={"config": dataclasses.asdict(config), "unit": unit},
    )
