"""What elements do over time, as sampled, against the hardware's counters and the waves."""

import dataclasses

import numpy as np
import pytest
import pywellen
from numpy.testing import assert_array_equal

from hw.config import PRESETS
from sim import golden, utilisation
from sim.engine import engine_verilog, open_engine
from sim.late_reset import INNER
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.waves import groups, save_file
from sw.driver import Accelerator
from sw.pack import pack

TINY = PRESETS["tiny"]
# Groups, of as many lanes as do not fill a byte or a word.
GROUPS = dataclasses.replace(
    TINY,
    lanes=3,
    groups=2,
    activation_depth=2048,
    accumulator_depth=64,
    codebook_depth=512,
    segment_depth=256,
    bias_depth=256,
)


@dataclasses.dataclass
class Ran:
    """Counters of all runs together, by layer; `steps` are the layers of the instructions."""

    used: utilisation.Utilisation
    cycles: list[int]
    busy: np.ndarray
    stalled: np.ndarray
    spans: np.ndarray
    steps: np.ndarray


def run(network, inputs, config, waves=None):
    """One input after the other, each compared with the golden model."""
    image = pack(network, config)
    with open_engine(config, utilisation.observed(config, waves)) as transport:
        accelerator = Accelerator(transport)
        transport.show(False)
        accelerator.load(image)
        transport.show(True)
        cycles, counts = [], []
        for x in inputs[:, None]:
            assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])
            cycles.append(accelerator.cycles)
            counts.append([(c.busy, c.stalled, c.cycles) for c in accelerator.counters()])
        sums = np.sum(counts, axis=0).T
        return Ran(utilisation.read(transport, config), cycles, *sums, np.array(image.steps))


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    return tmp_path_factory.mktemp("waves") / "tiny.fst"


@pytest.fixture(scope="module")
def dense(waves):
    recipe = Recipe(sizes=[30, 20, 10], density=0.3)
    return run(random_network(recipe, 1), random_inputs(recipe, 3, 1), TINY, waves)


@pytest.fixture(scope="module")
def planes():
    """Long enough for several cycles a bin, with layers in which elements are stalled."""
    network = random_graph(Limits(channels=6, side=9, layers=4, kernel=3), 7)
    return run(network, random_planes(network, 6, 1), GROUPS)


@pytest.mark.parametrize("name", ["dense", "planes"])
def test_sums_are_those_of_the_counters(name, request):
    ran = request.getfixturevalue(name)
    used = ran.used
    assert used.cycles == sum(ran.cycles)
    for kind in ("busy", "stalled"):
        per_step = getattr(used, f"layer_{kind}").sum(axis=1)
        per_layer = np.bincount(ran.steps, per_step, minlength=len(ran.busy))
        assert_array_equal(per_layer, getattr(ran, kind))
        by_element = getattr(used, f"layer_{kind}").sum(axis=0)
        assert_array_equal(getattr(used, kind).sum(axis=0), by_element)


def test_the_planes_show_what_there_is_to_see(planes):
    assert planes.used.bin_cycles > 1
    assert planes.stalled.sum() > 0
    assert len(set(planes.used.busy.sum(axis=0))) > 1


@pytest.mark.parametrize("name", ["dense", "planes"])
def test_no_element_does_more_than_there_are_cycles(name, request):
    used = request.getfixturevalue(name).used
    assert used.spans.sum() == used.cycles
    assert (used.spans > 0).all()
    assert ((used.busy + used.stalled) <= used.spans[:, None]).all()


@pytest.mark.parametrize("name", ["dense", "planes"])
def test_layers_begin_where_the_counters_say(name, request):
    ran = request.getfixturevalue(name)
    begins, instructions = ran.used.starts.T
    runs = len(ran.cycles)
    assert_array_equal(instructions, np.tile(np.arange(len(ran.steps)), runs))
    # A run's first instruction begins a cycle after the run; after its last comes one of storing.
    starts = np.cumsum([0, *ran.cycles[:-1]])
    assert_array_equal(begins[instructions == 0], starts + 1)
    ends = np.append(begins[1:], ran.used.cycles)
    last = instructions == len(ran.steps) - 1
    ends[last] = np.cumsum(ran.cycles) - 1
    took = np.bincount(ran.steps[instructions], ends - begins, minlength=len(ran.spans))
    assert_array_equal(took, ran.spans)


def test_waves_show_what_was_counted(dense, waves):
    """Cycles in which a signal is high before the clock's edge, as another program reads it."""
    found = pywellen.Waveform(str(waves))
    signals = {var.full_name: var.signal for var in found.all_vars()}
    times = [time for time, level in signals["TOP.engine.clk"] if level == 0]
    assert max(np.diff(times)) > 1_000  # loading is not shown

    def high(name):
        return [signals[name].value_at(time) for time in times].count(1)

    assert high(f"TOP.engine.{INNER}.sequencer.busy") == sum(dense.cycles)
    for element in range(TINY.elements):
        busy = high(f"TOP.engine.{INNER}.grid.element_{element}.fetch.busy")
        assert busy == dense.used.busy[:, element].sum()


def test_bins_are_three_cycles_behind_the_elements(dense, waves):
    """As the counters are; in the first run, cycle by cycle."""
    used = dense.used
    assert used.bin_cycles == 1
    signals = {var.full_name: var.signal for var in pywellen.Waveform(str(waves)).all_vars()}
    for element in range(TINY.elements):
        busy = signals[f"TOP.engine.{INNER}.grid.element_{element}.fetch.busy"]
        cycles = range(used.began, used.began + dense.cycles[0] - 3)
        seen = [busy.value_at(10 * cycle) for cycle in cycles]
        assert_array_equal(used.busy[3 : dense.cycles[0], element], seen)


@pytest.mark.parametrize("config", [TINY, GROUPS], ids=["tiny", "groups"])
def test_every_signal_of_the_save_file_is_in_the_design(config, waves):
    text = save_file(waves, config, engine_verilog(config), 70)
    shown = [trace.path for _, traces in groups(config) for trace in traces]
    for path in shown:
        assert text.count(f" {path}\n") + text.count(f" {path}[") == 1


def test_every_signal_of_the_save_file_is_in_the_waves(dense, waves):
    """With the range of its bits, by which alone GTKWave finds it."""
    text = save_file(waves, TINY, engine_verilog(TINY), 70)
    found = pywellen.Waveform(str(waves))
    there = set()
    for var in found.all_vars():
        bits = var.bitwidth
        there.add(var.full_name + (f"[{bits - 1}:0]" if bits > 1 else ""))
    named = [line.split("} ")[1] for line in text.splitlines() if line.startswith("+{")]
    assert len(named) == sum(len(traces) for _, traces in groups(TINY))
    assert set(named) <= there
