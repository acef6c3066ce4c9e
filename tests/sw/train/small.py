"""Small networks and images that can be told apart, so that a training takes a moment."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from rich.progress import Progress, TaskID

from sw.compress.recipe import Training
from sw.convolution import Convolution
from sw.datasets import TrainingSet
from sw.network import Layer, Network
from sw.train.checkpoint import Checkpoint
from sw.train.loop import Data, Session, Stage, train
from sw.train.model import Model

SIDE = 8
CLASSES = 4


def images(count: int = 320, held: int = 200, seed: int = 0, noise: float = 0.5) -> TrainingSet:
    """Noisy copies of one picture a class."""
    pictures = np.random.default_rng(7).random((CLASSES, SIDE**2))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count + held)
    x = (1 - noise) * pictures[labels] + noise * rng.random((count + held, SIDE**2))
    x = x.astype(np.float32)
    return TrainingSet(x[:count], labels[:count], x[count:], labels[count:])


def dense(sizes: tuple[int, ...] = (SIDE**2, 24, CLASSES), seed: int = 1) -> Network:
    """Fully connected layers with random weights."""
    rng = np.random.default_rng(seed)
    return Network(
        tuple(
            Layer(
                f"ip{index}",
                rng.normal(size=(outputs, inputs)) * np.sqrt(2 / inputs),
                rng.normal(size=outputs) * 0.1,
                relu=index < len(sizes) - 1,
            )
            for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes), 1)
        )
    )


def convolutional(seed: int = 1) -> Network:
    """A convolution with padding and pooling, one with a stride, and a fully connected layer."""
    rng = np.random.default_rng(seed)
    first = Convolution(1, SIDE, SIDE, 3, 3, padding=1, pool=2)
    second = Convolution(5, 4, 4, 2, 3, stride=2)
    layers = (
        Layer("conv1", rng.normal(size=(5, 9)) * 0.5, rng.normal(size=5) * 0.1, True, first),
        Layer("conv2", rng.normal(size=(6, 30)) * 0.3, rng.normal(size=6) * 0.1, True, second),
        Layer("ip1", rng.normal(size=(CLASSES, 12)) * 0.4, rng.normal(size=CLASSES) * 0.1, False),
    )
    return Network(layers)


def residual(seed: int = 1) -> Network:
    """A residual block, a concatenation into a convolution with groups, means; two fixed layers."""
    rng = np.random.default_rng(seed)
    half = SIDE // 2

    def layer(name: str, rows: int, where: Convolution, **wiring) -> Layer:
        weights = rng.normal(size=(rows, where.columns)) * np.sqrt(2 / where.columns)
        return Layer(name, weights, rng.normal(size=rows) * 0.1, True, where, **wiring)

    first = Convolution(1, SIDE, SIDE, 3, 3, padding=1, pool=2)
    plain = Convolution(4, half, half, 3, 3, padding=1)
    added = Convolution(4, half, half, 1, 1, groups=4)
    joint = Convolution(8, half, half, 2, 2, padding=1, groups=2, pool=2, overlap=1, average=True)
    mean = Convolution(6, 4, 4, 2, 2, stride=2, groups=6)
    wiring = {"sources": (2, 1), "added": True, "fixed": True}
    output = rng.normal(size=(CLASSES, 120)) * 0.2
    layers = (
        layer("conv1", 4, first),
        layer("conv2", 4, plain),
        Layer("add", np.ones((4, 1)), np.zeros(4), True, added, **wiring),
        layer("conv3", 6, joint, sources=(1, 3)),
        Layer("mean", np.full((6, 4), 0.25), np.zeros(6), False, mean, fixed=True),
        Layer("ip1", output, rng.normal(size=CLASSES) * 0.1, False, sources=(2, 1)),
    )
    return Network(layers)


class Watch(Progress):
    """A bar that is not shown, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(disable=True)
        self.infos: list[str] = []
        self.steps = 0

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        self.steps += 1

    def update(self, task_id: TaskID, **fields: str) -> None:
        self.infos.append(fields["info"])


def session(of: TrainingSet, seed: int = 1, checkpoint: Checkpoint | None = None) -> Session:
    """What a stage needs, on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return Session(
        Data(*(torch.from_numpy(array) for array in of)),
        torch.Generator().manual_seed(seed),
        checkpoint or Checkpoint(None, "", False),
        Watch(),
    )


def trained(model: Model, constraint, settings: Training, of: TrainingSet, teacher=None) -> Watch:
    """Train a model in place; the bar that watched it."""
    where = session(of)
    train(model, Stage("stage", settings, constraint, teacher), where)
    return where.progress
