"""Run a compressed network on a target and compare it with the golden model, to the bit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.boards import Board
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator
from sw.image import Image

from . import golden, utilisation
from .verilated import NOTHING, Observed
from .walk import walk

__all__ = [
    "PLAIN",
    "TARGETS",
    "EngineOptions",
    "Run",
    "Simulation",
    "accuracy",
    "first_difference",
    "judge",
    "one_by_one",
    "simulate",
]

Target = Literal["golden", "image", "verilator"]
TARGETS: tuple[Target, ...] = ("golden", "image", "verilator")

_CHUNK = 16  # vectors between two reports of progress


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How a Verilated engine is simulated.

    Attributes
    ----------
    board : Board or None
        Its memories have the form that they have there (see `sim.engine.engine_verilog`).
    observed : Observed
        What is seen of it beside its outputs, see `sim.utilisation.observed`.
    """

    board: Board | None = None
    observed: Observed = NOTHING


PLAIN = EngineOptions()


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What a run gave.

    Attributes
    ----------
    outputs : (vectors, outputs) int64
    agrees : bool
        Outputs equal the golden model's.
    cycles : (vectors,) int64 or None
        Clock cycles of each vector, from start to the last word written; None where the target
        has no clock.
    products : (vectors,) int64
        Non-zero weights times non-zero activations: the multiplications that cannot be left out.
    elements : int or None
        Processing elements; None where there is no engine.
    seconds : float
        Wall time of the run, building and loading not counted.
    simulated_cycles : int
        Clock cycles simulated in that time, input and output included; 0 where nobody counts them.
    utilisation : Utilisation or None
        What each element did, if the run was observed for it.
    """

    target: str
    outputs: NDArray[np.int64]
    agrees: bool
    difference: str | None
    cycles: NDArray[np.int64] | None
    products: NDArray[np.int64]
    elements: int | None
    seconds: float
    simulated_cycles: int
    utilisation: utilisation.Utilisation | None

    def report(self, labels: NDArray[np.int64] | None) -> dict[str, object]:
        """The figures, as `thresher sim --json` prints them."""
        limit = None if self.elements is None else float(self.products.mean()) / self.elements
        cycles = self.cycles
        return {
            "target": self.target,
            "vectors": len(self.outputs),
            "cycles_per_vector": {
                "mean": None if cycles is None else float(cycles.mean()),
                "max": None if cycles is None else int(cycles.max()),
            },
            "macs_per_vector": float(self.products.mean()),
            "limit_cycles": limit,
            "utilisation": (
                None if cycles is None or limit is None else limit / float(cycles.mean())
            ),
            "agrees_with_golden": self.agrees,
            "accuracy": None if labels is None else accuracy(self.outputs, labels),
            "seconds": self.seconds,
            "simulated_cycles_per_second": (
                self.simulated_cycles / self.seconds if self.simulated_cycles else None
            ),
        }


def simulate(
    network: CompressedNetwork,
    image: Image | None,
    x: NDArray[np.int64],
    target: Target,
    progress: Callable[[int], None] = lambda _vectors: None,
    engine: EngineOptions = PLAIN,
) -> Simulation:
    """Run integer inputs (vectors, inputs) on a target, one vector at a time.

    Parameters
    ----------
    image : Image, optional
        The network packed for the engine that is simulated; the golden model needs none.
    progress : called with the number of vectors that have just been finished; with 0 when the
        simulator is ready
    engine : EngineOptions
        Of the target "verilator".
    """
    if target == "golden":
        run = _run_golden(network, x, progress)
    elif image is None:
        raise ValueError(f"target {target} needs an image")
    elif target == "image":
        run = _run_image(image, x, progress)
    else:
        run = _run_verilator(image, x, progress, engine)
    return judge(network, image, x, target, run)


def judge(
    network: CompressedNetwork,
    image: Image | None,
    x: NDArray[np.int64],
    target: str,
    run: Run,
) -> Simulation:
    """What a run of these inputs on a target gave, beside the golden model."""
    layers = golden.run(network, x)
    expected = layers[-1]
    return Simulation(
        target=target,
        agrees=bool(np.array_equal(run.outputs, expected)),
        difference=first_difference(run.outputs, expected),
        products=golden.products(network, x, layers),
        elements=None if image is None else image.config.elements,
        **run._asdict(),
    )


def accuracy(outputs: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Share of the vectors whose greatest output (the first, if there are several) is the label."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def first_difference(found: NDArray[np.int64], expected: NDArray[np.int64]) -> str | None:
    """Where two sets of outputs first differ, in words; None if they are equal."""
    if found.shape != expected.shape:
        return f"shape {found.shape} instead of {expected.shape}"
    differing = np.argwhere(found != expected)
    if not len(differing):
        return None
    vector, output = differing[0]
    return (
        f"{len(differing)} of {expected.size} outputs differ, the first in vector {vector}, output "
        f"{output}: {found[vector, output]} instead of {expected[vector, output]}"
    )


class Run(NamedTuple):
    """What the attributes of the same names of `Simulation` are."""

    outputs: NDArray[np.int64]
    cycles: NDArray[np.int64] | None
    seconds: float
    simulated_cycles: int = 0
    utilisation: utilisation.Utilisation | None = None


def _run_golden(
    network: CompressedNetwork, x: NDArray[np.int64], progress: Callable[[int], None]
) -> Run:
    began = time.perf_counter()
    outputs = golden.run(network, x)[-1]
    progress(len(x))
    return Run(outputs, None, time.perf_counter() - began)


def _run_image(image: Image, x: NDArray[np.int64], progress: Callable[[int], None]) -> Run:
    began = time.perf_counter()
    outputs = []
    for at in range(0, len(x), _CHUNK):
        layers = walk(image, x[at : at + _CHUNK])
        outputs.append(layers[-1].outputs[:, image.output.slots])
        progress(len(outputs[-1]))
    return Run(np.concatenate(outputs), None, time.perf_counter() - began)


def _run_verilator(
    image: Image, x: NDArray[np.int64], progress: Callable[[int], None], engine: EngineOptions
) -> Run:
    from .engine import open_engine  # needs the simulator; the other targets do not

    with open_engine(image.config, engine.observed, engine.board) as transport:
        accelerator = Accelerator(transport)
        transport.show(False)  # loading is most of the cycles and says little
        accelerator.load(image)
        transport.show(True)
        first_cycle = transport.cycles
        progress(0)
        run = one_by_one(accelerator, x, progress)
        used = utilisation.read(transport, image.config) if engine.observed.watched else None
        return run._replace(simulated_cycles=transport.cycles - first_cycle, utilisation=used)


def one_by_one(
    accelerator: Accelerator, x: NDArray[np.int64], progress: Callable[[int], None]
) -> Run:
    """Each vector by itself on an accelerator that has its network."""
    outputs, cycles = [], []
    began = time.perf_counter()
    for vector in range(len(x)):
        outputs.append(accelerator.run(x[vector : vector + 1]))
        cycles.append(accelerator.cycles)
        progress(1)
    seconds = time.perf_counter() - began
    return Run(np.concatenate(outputs), np.array(cycles), seconds)
