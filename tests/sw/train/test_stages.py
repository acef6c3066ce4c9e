"""Whole runs: pruned and shared as the recipe says, stopped and resumed with nothing lost."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal

import numpy as np
import pytest
import torch
from small import convolutional, dense, images, residual

from sw.cli.training import error_percent, integer_error
from sw.compress import compress, pipeline
from sw.compress.recipe import Coding, LayerRule, Pruning, Recipe, Sharing, Training
from sw.compress.shared import Shared
from sw.errors import BadInput
from sw.network import Layer, Network
from sw.train import stages
from sw.train.stages import Run, prune_and_share, train_dense

PRUNE = Training(epochs=4, batch=32, rate=5e-3, dropout=0.2, distillation=0.5, distortion=0.3)
SHARE = Training(epochs=8, batch=16, rate=2e-3, distillation=0.5)
# Of 10 steps an epoch, and of 20.
RECIPE = Recipe(
    description="",
    prune=Pruning(density=0.2, schedule="gradual", training=PRUNE),
    share=Sharing(values=5, schedule="gradual", ramp=1.0, rate_distortion=1e-6, training=SHARE),
)
SURGERY = RECIPE.model_copy(
    update={
        "prune": Pruning(
            method="surgery", criterion="fisher", scope="network", density=0.2, training=PRUNE
        ),
        "share": Sharing(values=5, training=SHARE),
    }
)


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "net.thr.checkpoint"


def content(layers: list[Shared]) -> list[tuple[bytes, ...]]:
    """All numbers of shared layers."""
    return [(x.codes.tobytes(), x.centroids.tobytes(), x.bias.tobytes()) for x in layers]


@functools.cache
def uninterrupted(surgery: bool = False) -> list[tuple[bytes, ...]]:
    return content(prune_and_share(dense(), SURGERY if surgery else RECIPE, Run(images())))


def interrupting(monkeypatch, stage: str, at: int) -> None:
    """Ctrl-C in that step of the stage of that name."""

    class Interrupting(stages.Progress):
        def advance(self, task_id, advance=1):
            super().advance(task_id, advance)
            task = next(task for task in self.tasks if task.id == task_id)
            if task.description == stage and task.completed == at:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(stages, "Progress", Interrupting)


def counting(monkeypatch) -> list[float]:
    """Steps of the stages from now on, as they are done."""
    steps = []

    class Counting(stages.Progress):
        def advance(self, task_id, advance=1):
            super().advance(task_id, advance)
            steps.append(self.tasks[-1].completed)

    monkeypatch.setattr(stages, "Progress", Counting)
    return steps


@pytest.mark.parametrize(
    ("stage", "at", "surgery"),
    [
        ("prune", 1, False),
        ("prune", 20, False),
        ("prune", 40, False),
        ("share", 123, False),
        ("share", 160, False),
        ("prune", 25, True),
        ("share", 77, True),
    ],
)
def test_a_run_that_is_stopped_and_resumed_ends_as_if_it_never_had_been(
    monkeypatch, checkpoint, stage, at, surgery
):
    recipe = SURGERY if surgery else RECIPE
    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        interrupting(patch, stage, at)
        with pytest.raises(KeyboardInterrupt):
            prune_and_share(dense(), recipe, run)
    assert checkpoint.exists()
    torch.manual_seed(99)  # a new process has another state
    layers = prune_and_share(dense(), recipe, dataclasses.replace(run, resume=True))
    assert content(layers) == uninterrupted(surgery)


def test_a_run_may_be_stopped_again_and_again(monkeypatch, checkpoint):
    run = Run(images(), checkpoint=checkpoint)
    for stage, at in (("prune", 13), ("prune", 14), ("prune", 39), ("share", 5), ("share", 121)):
        with monkeypatch.context() as patch:
            interrupting(patch, stage, at)
            with pytest.raises(KeyboardInterrupt):
                prune_and_share(dense(), RECIPE, run)
        run = dataclasses.replace(run, resume=True)
    assert content(prune_and_share(dense(), RECIPE, run)) == uninterrupted()


def test_a_run_that_is_killed_loses_an_epoch_at_most(monkeypatch, checkpoint):
    class Killed(Exception):
        pass

    class Killing(stages.Progress):
        def advance(self, task_id, advance=1):
            super().advance(task_id, advance)
            if self.tasks[-1].description == "share" and self.tasks[-1].completed == 117:
                raise Killed

    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "Progress", Killing)
        with pytest.raises(Killed):
            prune_and_share(dense(), RECIPE, run)
    expected = uninterrupted()  # before steps are counted, since it takes some itself
    steps = counting(monkeypatch)
    layers = prune_and_share(dense(), RECIPE, dataclasses.replace(run, resume=True))
    assert content(layers) == expected
    assert steps == list(range(101, 161))


def test_the_dense_training_is_stopped_and_resumed_too(monkeypatch, checkpoint):
    settings = Training(epochs=3, batch=32, dropout=0.2, distortion=0.3)
    whole = train_dense(dense(), settings, Run(images()))
    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        interrupting(patch, "dense", 15)
        with pytest.raises(KeyboardInterrupt):
            train_dense(dense(), settings, run)
    resumed = train_dense(dense(), settings, dataclasses.replace(run, resume=True))
    for layer, other in zip(whole.layers, resumed.layers, strict=True):
        np.testing.assert_array_equal(layer.weights, other.weights)
        np.testing.assert_array_equal(layer.bias, other.bias)
    assert not checkpoint.exists()


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    assert content(prune_and_share(dense(), RECIPE, Run(images()))) == uninterrupted()
    # PyTorch alone would take these two for the same.
    for seed in (2, 1 + (1 << 32)):
        other = content(prune_and_share(dense(), RECIPE, Run(images(), seed)))
        assert all(a != b for a, b in zip(other, uninterrupted(), strict=True))


@pytest.mark.parametrize("change", ["network", "recipe", "seed", "images"])
def test_a_checkpoint_of_another_run_is_refused(monkeypatch, checkpoint, change):
    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        interrupting(patch, "prune", 3)
        with pytest.raises(KeyboardInterrupt):
            prune_and_share(dense(), RECIPE, run)
    arguments = {
        "network": dense(seed=2) if change == "network" else dense(),
        "recipe": SURGERY if change == "recipe" else RECIPE,
        "run": Run(
            images(seed=1) if change == "images" else images(),
            seed=2 if change == "seed" else 1,
            checkpoint=checkpoint,
            resume=True,
        ),
    }
    before = checkpoint.read_bytes()
    with pytest.raises(BadInput, match="belongs to a run of another"):
        prune_and_share(**arguments)
    assert checkpoint.read_bytes() == before


def test_what_is_done_after_the_training_may_fail_and_be_changed(monkeypatch, checkpoint):
    def stopped(*_) -> None:
        raise KeyboardInterrupt

    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "choose", stopped)
        with pytest.raises(KeyboardInterrupt):
            compress(dense(), RECIPE, run=run)
    steps = counting(monkeypatch)
    other = RECIPE.model_copy(update={"code": Coding(weight_bits=8)})
    compressed = compress(dense(), other, run=dataclasses.replace(run, resume=True))
    assert compressed.weight_bits == 8
    assert not steps


def test_what_comes_out():
    network = convolutional()
    recipe = RECIPE.model_copy(
        update={
            "share": Sharing(values=5, training=SHARE),
            "layer": (LayerRule(match="@last", density=0.5, values=3),),
        }
    )
    layers = prune_and_share(network, recipe, Run(images()))
    for layer, of in zip(layers, network.layers, strict=True):
        assert (layer.name, layer.relu, layer.convolution) == (of.name, of.relu, of.convolution)
        assert layer.codes.shape == of.weights.shape
        assert layer.codes.dtype == np.uint8
        assert layer.centroids.dtype == layer.bias.dtype == np.float64
        assert layer.centroids[0] == 0
    assert [np.count_nonzero(layer.codes) for layer in layers] == [9, 36, 24]
    assert [len(layer.centroids) for layer in layers] == [6, 6, 4]


@pytest.mark.parametrize("stage", ["prune", "share"])
def test_one_of_the_stages_may_train_nothing(stage):
    recipe = RECIPE.model_copy(
        update={stage: getattr(RECIPE, stage).model_copy(update={"training": Training()})}
    )
    layers = prune_and_share(dense(), recipe, Run(images()))
    counts = [np.count_nonzero(layer.codes) for layer in layers]
    if stage == "share":
        assert counts == [round(0.2 * 64 * 24), round(0.2 * 24 * 4)]
    assert all(0 < a <= b for a, b in zip(counts, [307, 19], strict=True))


def test_compression_to_integers_keeps_the_error():
    of = images()
    network = train_dense(dense(), Training(epochs=20, batch=32, rate=1e-2), Run(of))
    compressed = compress(network, RECIPE, run=Run(of))
    assert error_percent(network.predict(of.held_x.astype(np.float64)), of.held_labels) < 5
    assert integer_error(compressed, of.held_x, of.held_labels) < 10


def test_images_that_the_network_does_not_take():
    with pytest.raises(BadInput, match="ip1 takes 50 inputs; the training images have 64 pixels"):
        prune_and_share(dense((50, 4)), RECIPE, Run(images()))


def test_labels_for_which_there_are_no_outputs():
    with pytest.raises(BadInput, match="ip2 gives 3 outputs; the training images have labels"):
        prune_and_share(dense((64, 10, 3)), RECIPE, Run(images()))


def test_a_network_pruned_to_nothing_but_biases():
    network = dense()
    empty = Network(
        tuple(
            Layer(layer.name, np.zeros_like(layer.weights), layer.bias, layer.relu)
            for layer in network.layers
        )
    )
    layers = prune_and_share(empty, RECIPE, Run(images()))
    assert not any(layer.codes.any() for layer in layers)
    assert all(layer.bias.any() for layer in layers)


@pytest.mark.parametrize("scope", ["layer", "network"])
@pytest.mark.parametrize("schedule", ["oneshot", "gradual"])
def test_a_residual_network_learns_but_for_its_fixed_layers(scope, schedule):
    of, network = images(), residual()
    dense_one = train_dense(network, Training(epochs=20, batch=16, rate=1e-2), Run(of))
    prune = Pruning(
        criterion="fisher",
        scope=scope,
        density=0.5,
        schedule="gradual",
        training=Training(epochs=8, batch=32, rate=5e-3, distillation=0.5),
    )
    price = 1e-6 if schedule == "gradual" else 0.0
    share = Sharing(
        values=7,
        schedule=schedule,
        rate_distortion=price,
        training=Training(epochs=15, batch=32, rate=5e-3),
    )
    recipe = Recipe(description="", prune=prune, share=share, code=Coding(fold_dead=True))
    compressed = compress(dense_one, recipe, run=Run(of))
    assert error_percent(dense_one.predict(of.held_x.astype(np.float64)), of.held_labels) < 10
    assert integer_error(compressed, of.held_x, of.held_labels) < 20
    free = [place for place, layer in enumerate(network.layers) if not layer.fixed]
    left = sum(np.count_nonzero(compressed.layers[place].codes) for place in free)
    assert left <= 0.5 * sum(network.layers[place].weights.size for place in free) + 4
    for layer, before in zip(compressed.layers, network.layers, strict=True):
        assert (layer.sources, layer.added) == (before.sources, before.added)
        assert layer.convolution == before.convolution
        if before.fixed:
            weights = np.ldexp(layer.codebook[layer.codes], -layer.weight_fraction)
            np.testing.assert_array_equal(weights, before.weights)


@pytest.mark.parametrize("change", [{"sources": (2,)}, {"fixed": True}])
def test_a_checkpoint_of_another_wiring_is_refused(monkeypatch, checkpoint, change):
    layers = list(residual().layers)
    layers[3] = dataclasses.replace(layers[3], **change)
    run = Run(images(), checkpoint=checkpoint)
    with monkeypatch.context() as patch:
        interrupting(patch, "prune", 3)
        with pytest.raises(KeyboardInterrupt):
            prune_and_share(residual(), RECIPE, run)
    with pytest.raises(BadInput, match="belongs to a run of another"):
        prune_and_share(Network(tuple(layers)), RECIPE, dataclasses.replace(run, resume=True))
