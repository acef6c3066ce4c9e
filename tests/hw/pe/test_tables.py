import dataclasses

import pytest

from hw.config import PRESETS
from hw.pe.tables import Tables
from sim.bench.runner import run_bench

CONFIGS = {
    "separate": {"column_depth": 22, "codebook_depth": 37},
    # A codebook begins at a multiple of its depth: right behind the pointers, or with a gap.
    "shared": {"column_depth": 37, "codebook_depth": 16},
    "shared, without a gap": {"column_depth": 48, "codebook_depth": 16},
    "shared, few columns": {"column_depth": 5, "codebook_depth": 32, "weight_bits": 5},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_tables(name):
    shared = name.startswith("shared")
    config = dataclasses.replace(PRESETS["tiny"], groups=2, shared_tables=shared, **CONFIGS[name])
    # Fewer items than there is room for.
    contents = {
        "pointers": [[3 * place + 1] for place in range(config.column_depth - 2)],
        "codebook": [[place + 5] for place in range(config.codebook_depth - 1)],
    }
    run_bench(
        Tables(config, 5, **contents),
        module="sim.bench.pe.tables",
        name="tables",
        env={"config": dataclasses.asdict(config), "unit": 5, **contents},
    )
