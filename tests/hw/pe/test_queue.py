import dataclasses

import pytest

from hw.config import PRESETS
from hw.pe.queue import ColumnQueue
from sim.bench.runner import run_bench


@pytest.mark.parametrize("depth", [6, 17])
def test_column_queue(depth):
    config = dataclasses.replace(PRESETS["tiny"], queue_depth=depth)
    run_bench(
        ColumnQueue(config),
        module="sim.bench.pe.queue",
        name="column_queue",
        env={"config": dataclasses.asdict(config)},
    )
