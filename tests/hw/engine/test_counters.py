import dataclasses

from hw.config import PRESETS
from hw.engine.counters import LayerCounters
from sim.bench.runner import run_bench


def test_layer_counters():
    config = dataclasses.replace(PRESETS["tiny"], lanes=5, groups=3, layer_depth=5)
    run_bench(
        LayerCounters(config),
        module="sim.bench.engine.counters",
        name="layer_counters",
        env={"config": dataclasses.asdict(config)},
    )
