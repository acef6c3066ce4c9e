import dataclasses

from hw.config import PRESETS
from hw.engine.grid import Grid
from sim.bench.runner import run_bench


def test_grid():
    config = dataclasses.replace(PRESETS["tiny"], lanes=2, groups=2, queue_depth=6)
    run_bench(
        Grid(config),
        module="sim.bench.engine.grid",
        name="grid",
        env={"config": dataclasses.asdict(config)},
    )
