import dataclasses

import pytest

from hw.config import PRESETS
from hw.pe.decoder import EntryDecoder
from sim.bench.runner import run_bench

# Entries that are shorter than the longest code, and ones with room for both at their longest.
CONFIGS = {
    "short": {"entry_bits": 5, "weight_bits": 7, "activation_bits": 9, "codebook_depth": 37},
    "long": {"entry_bits": 16, "accumulator_depth": 300, "codebook_depth": 300},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_entry_decoder(name):
    config = dataclasses.replace(PRESETS["tiny"], **CONFIGS[name])
    run_bench(
        EntryDecoder(config),
        module="sim.bench.pe.decoder",
        name="entry_decoder",
        env={"config": dataclasses.asdict(config)},
    )
