import dataclasses

import pytest

from hw.config import PRESETS
from hw.export.stream_map import StreamSettings, StreamShape
from hw.export.streams import Streams
from sim.bench.runner import run_bench

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("knobs", "spread"),
    [
        ({"lanes": 2, "groups": 3}, True),
        ({"lanes": 4, "groups": 2, "activation_bits": 4}, False),
    ],
    ids=["16 bits, three groups", "4 bits, in all groups"],
)
def test_streams(knobs, spread):
    config = dataclasses.replace(TINY, **knobs)
    shape = StreamShape(config, items=20, room=12)
    run_bench(
        Streams(shape, StreamSettings()),
        module="sim.bench.export.streams",
        name="streams",
        env={
            "config": dataclasses.asdict(config),
            "items": shape.items,
            "room": shape.room,
            "spread": spread,
        },
    )
