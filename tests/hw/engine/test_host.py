import dataclasses

from hw.config import PRESETS
from hw.engine.host import HostPort
from sim.bench.runner import run_bench

IMAGE_ID = 0x89ABCDEF


def test_host_port():
    config = PRESETS["tiny"]
    run_bench(
        HostPort(config, image_id=IMAGE_ID),
        module="sim.bench.engine.host",
        name="host_port",
        env={"config": dataclasses.asdict(config), "image_id": IMAGE_ID},
    )
