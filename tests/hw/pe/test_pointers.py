import dataclasses

from hw.config import PRESETS
from hw.pe.pointers import PointerStage
from sim.bench.runner import run_bench


def test_pointer_stage():
    config = dataclasses.replace(PRESETS["tiny"], groups=2, column_depth=22, entry_depth=300)
    run_bench(
        PointerStage(config),
        module="sim.bench.pe.pointers",
        name="pointer_stage",
        env={"config": dataclasses.asdict(config)},
    )
