"""Runs that are ended in their middle, and whole ones after them."""

import numpy as np

from hw.config import AcceleratorConfig
from hw.regmap import CONTROL, PLACE
from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sim.simulate import first_difference
from sim.verilated import VerilatedTransport
from sim.walk import steps
from sw.device_errors import DeviceError
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.pack import pack

_START, _ABORT = (CONTROL.field[name].mask for name in ("start", "abort"))
# What the graphs must have among them, beside convolutions.
_POOLING = {
    "maximum": lambda c: c.pool > 1 and not c.average,
    "mean": lambda c: c.pool > 1 and c.average,
    "overlapping windows": lambda c: c.overlap > 0,
}


def _networks(config):
    """(network, inputs) to abort: one whose first layer takes both accumulator buffers; graphs."""
    numbers = {
        name: getattr(config, name)
        for name in ("activation_bits", "weight_bits", "accumulator_bits")
    }
    rows = config.lanes * config.accumulator_depth * 5 // 4  # those that are always 0 share one
    recipe = Recipe(sizes=[40, rows, 9], density=0.1, code_bits=4, **numbers)
    yield random_network(recipe, 2), random_inputs(recipe, 3, 2)
    limits = Limits(channels=9, side=8, code_bits=3, **numbers)
    wanted = set(_POOLING)
    for seed in range(300):
        network = random_graph(limits, seed)
        try:
            pack(network, config)
        except BadInput:
            continue
        layers = [layer.convolution for layer in network.layers if layer.convolution]
        found = {name for name in wanted if any(map(_POOLING[name], layers))}
        if found:
            wanted -= found
            yield network, random_planes(network, 3, seed)
    assert not wanted


def _outputs(accelerator, x):
    """None at all if the device gives none."""
    try:
        return accelerator.run(x)
    except DeviceError:
        return np.empty((0, 0), np.int64)


def run_after_aborts(
    transport: VerilatedTransport, config: AcceleratorConfig, aborts: int = 24
) -> float:
    """Assert that nobody sees what an aborted run left behind; share of aborts that ended one.

    They are spread over the time that a run takes, `aborts` for each network; some come twice.
    Behind them other inputs of the network are run, then another network.
    """
    accelerator = Accelerator(transport)
    examples = list(_networks(config))
    expected = [golden.run(network, x)[-1] for network, x in examples]
    images = [pack(network, config) for network, _ in examples]
    whole = steps(images[0], examples[0][1][:1])
    assert any(step.instruction["store"]["joined"] for step in whole)
    cycles = []
    for image, (_, x), right in zip(images, examples, expected, strict=True):
        accelerator.load(image)
        assert first_difference(_outputs(accelerator, x[:2]), right[:2]) is None
        cycles.append(sum(layer.cycles for layer in accelerator.counters()))
    ended = []
    for number in range(aborts * len(images)):
        which, part = number % len(images), number // len(images) / aborts
        x, right = examples[which][1], expected[which]
        accelerator.load(images[which])
        assert first_difference(_outputs(accelerator, x[:2]), right[:2]) is None
        transport.write(PLACE["control"], np.array([_START], np.uint32))  # the same once more
        transport.idle(int(part * cycles[which]))
        ended.append(int(transport.read(PLACE["status"], 1)[0]) & 1)
        for _ in range(1 + number % 2):
            transport.write(PLACE["control"], np.array([_ABORT], np.uint32))
        assert first_difference(_outputs(accelerator, x[2:]), right[2:]) is None
    return float(np.mean(ended))
