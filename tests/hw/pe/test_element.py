import dataclasses

import pytest

from hw.config import PRESETS
from hw.pe.element import ProcessingElement
from sim.bench.runner import run_bench

CONFIGS = {
    # Four places must be kept free, so that there is hardly a queue.
    "shortest queue": {"queue_depth": 6, "entry_depth": 700},
    "odd": {
        "groups": 2,
        "queue_depth": 9,
        "activation_bits": 11,
        "weight_bits": 9,
        "entry_bits": 6,
        "entry_depth": 1300,
        "column_depth": 37,
        "accumulator_depth": 21,
        "codebook_depth": 32,
        "shared_tables": True,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_processing_element(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        ProcessingElement(config, 3),
        module="sim.bench.pe.element",
        name="processing_element",
        env={"config": dataclasses.asdict(config), "unit": 3},
    )
