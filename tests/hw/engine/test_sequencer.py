import dataclasses

import pytest

from hw.config import PRESETS
from hw.engine.sequencer import Sequencer
from sim.bench.runner import run_bench

# Instructions of ten bus words, and of eleven, which lie sixteen apart.
CONFIGS = {
    "tiny": PRESETS["tiny"],
    "wide": dataclasses.replace(PRESETS["arty_a7_35t"], layer_depth=5),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_sequencer(name):
    run_bench(
        Sequencer(CONFIGS[name]),
        module="sim.bench.engine.sequencer",
        name="sequencer",
        env={"config": dataclasses.asdict(CONFIGS[name])},
    )
