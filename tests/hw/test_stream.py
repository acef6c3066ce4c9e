from hw.stream import Skid
from sim.bench.runner import run_bench


def test_skid():
    run_bench(Skid(9), module="sim.bench.skid", name="skid", env={"width": 9})
