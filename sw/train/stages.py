"""The trained steps: a dense network from nothing, and a recipe's pruning and sharing."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Before torch loads OpenMP: threads that spin while they wait make these short steps several
# times slower as soon as another program wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from sw.compress.recipe import Pruning, Recipe, Training
from sw.compress.shared import Shared
from sw.compress.steps import prune_layers, share_layers
from sw.datasets import TrainingSet
from sw.errors import BadInput
from sw.network import Network

from .checkpoint import Checkpoint
from .loop import Data, Session, Stage, train
from .model import Model
from .pruning import Pruner
from .sharing import Sharer

__all__ = ["Run", "prune_and_share", "train_dense"]


@dataclasses.dataclass(frozen=True)
class Run:
    """How a run is made, whatever it trains.

    Attributes
    ----------
    images : TrainingSet
    seed : int
        0 or more. The same seed, recipe and number of threads give the same network on the same
        machine.
    checkpoint : Path, optional
        File that is kept while the run lasts, so that it can be resumed.
    resume : bool
        Whether to go on from there.
    """

    images: TrainingSet
    seed: int = 1
    checkpoint: Path | None = None
    resume: bool = False


def train_dense(network: Network, settings: Training, run: Run) -> Network:
    """A network of this shape, trained from random weights.

    Raises
    ------
    BadInput
        If the images are not such as the network takes.
    KeyboardInterrupt
        After Ctrl-C, when a checkpoint has been saved.
    """
    model = Model(network)
    with _session(run, network, f"dense {settings.model_dump_json()}") as session:
        model.initialise(session.generator)
        pruner = Pruner(model, Pruning(method="none"), [1.0] * len(model.weights))
        train(model, Stage("dense", settings, pruner), session)
        session.checkpoint.remove()
    return model.network()


def prune_and_share(network: Network, recipe: Recipe, run: Run) -> list[Shared]:
    """Layers pruned and shared as the recipe says, with its training.

    The checkpoint is left: it is for the caller to delete when something has come of the layers.

    Raises
    ------
    BadInput
        If the images are not such as the network takes, or a rule of the recipe names no place.
    KeyboardInterrupt
        After Ctrl-C, when a checkpoint has been saved.
    """
    teacher = Model(network)
    model = Model(network if recipe.prune.training.epochs else prune_layers(network, recipe))
    # What is coded in the end, and how, may still be changed when all training is done.
    trained = recipe.model_dump_json(include={"prune", "share", "layer"})
    with _session(run, network, f"recipe {trained}") as session:
        densities = recipe.densities(network)
        pruner = Pruner(model, recipe.prune, [densities[place] for place in model.learned])
        if not session.checkpoint.holds("share"):
            train(model, Stage("prune", recipe.prune.training, pruner, teacher), session)
        layers = share_layers(model.network(), recipe, run.seed)
        sharer = Sharer(
            model,
            recipe.share,
            [torch.from_numpy(layers[place].codes).long() for place in model.learned],
            [torch.from_numpy(layers[place].centroids) for place in model.learned],
        )
        train(model, Stage("share", recipe.share.training, sharer, teacher), session)
    for place, codes, centroids, bias in zip(
        model.learned, sharer.codes, sharer.centroids, model.biases, strict=True
    ):
        layers[place] = dataclasses.replace(
            layers[place],
            codes=codes.numpy().astype("uint8"),
            centroids=centroids.detach().numpy().astype("float64"),
            bias=bias.detach().numpy().astype("float64"),
        )
    return layers


@contextmanager
def _session(run: Run, network: Network, what: str) -> Iterator[Session]:
    """Data, generators, checkpoint and progress of a run."""
    images = run.images
    if images.x.shape[1] != network.inputs:
        raise BadInput(
            f"layer {network.layers[0].name} takes {network.inputs} inputs; the training images "
            f"have {images.x.shape[1]} pixels"
        )
    outputs = network.layers[-1].outputs
    if (most := max(int(images.labels.max()), int(images.held_labels.max()))) >= outputs:
        raise BadInput(
            f"layer {network.layers[-1].name} gives {outputs} outputs; the training images have "
            f"labels up to {most}"
        )
    torch.set_num_threads(os.cpu_count() or 1)
    # PyTorch looks at 32 bits of a seed only.
    of_dropout, of_data = np.random.SeedSequence(run.seed).generate_state(2).tolist()
    torch.manual_seed(of_dropout)  # which takes no generator
    checkpoint = Checkpoint(run.checkpoint, _identity(run, network, what), run.resume)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(10, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[info]}", table_column=Column()),  # wraps on narrow terminals
        console=Console(stderr=True),
    )
    with progress:
        arrays = (images.x, images.labels, images.held_x, images.held_labels)
        yield Session(
            Data(*(torch.from_numpy(array) for array in arrays)),
            torch.Generator().manual_seed(of_data),
            checkpoint,
            progress,
        )


def _identity(run: Run, network: Network, what: str) -> str:
    """Digest of all that the outcome depends on."""
    digest = hashlib.sha256(f"{run.seed} {what}".encode())
    for layer in network.layers:
        kind = (layer.name, layer.relu, layer.convolution, layer.sources, layer.added, layer.fixed)
        digest.update(repr(kind).encode())
        digest.update(layer.weights.tobytes() + layer.bias.tobytes())
    for array in (run.images.x, run.images.labels):
        digest.update(array.tobytes())
    return digest.hexdigest()
