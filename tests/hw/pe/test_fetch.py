import dataclasses

from hw.config import PRESETS
from hw.pe.fetch import EntryFetch
from sim.bench.runner import run_bench


def test_entry_fetch():
    config = dataclasses.replace(PRESETS["tiny"], groups=2, entry_depth=300)
    run_bench(
        EntryFetch(config, 6),
        module="sim.bench.pe.fetch",
        name="entry_fetch",
        env={"config": dataclasses.asdict(config), "unit": 6},
    )
