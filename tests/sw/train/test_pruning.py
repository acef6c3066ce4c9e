"""Pruning while training: counts, schedules, what goes and what comes back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small import convolutional, dense, images, session, trained

from sw.compress.recipe import Pruning, Training
from sw.network import Layer, Network
from sw.train.loop import error_percent
from sw.train.model import Model
from sw.train.pruning import Pruner

ONE = Training(epochs=1)


def counts(model: Model) -> list[int]:
    return [int(weight.count_nonzero()) for weight in model.weights]


def pruner(network: Network, densities: list[float], **settings) -> Pruner:
    return Pruner(Model(network), Pruning(training=ONE, **settings), densities)


def adam(pruner: Pruner) -> torch.optim.Optimizer:
    return torch.optim.AdamW(pruner.trained, lr=1e-3)


def at(pruner: Pruner, time: float, step: int = 20) -> None:
    pruner.after_step(step, time, adam(pruner))


@pytest.mark.parametrize("method", ["magnitude", "surgery"])
@pytest.mark.parametrize("criterion", ["magnitude", "fisher"])
@pytest.mark.parametrize("schedule", ["oneshot", "iterative", "gradual"])
def test_the_density_at_the_end_is_exact(method, criterion, schedule):
    settings = Training(epochs=3, batch=32)
    for scope, densities in (("layer", [0.1, 0.3]), ("network", [0.13, 0.13])):
        model = Model(dense())
        recipe = Pruning(
            method=method,
            criterion=criterion,
            scope=scope,
            schedule=schedule,
            rounds=3,
            ramp=1.0,
            training=settings,
        )
        trained(model, Pruner(model, recipe, densities), settings, images())
        if scope == "layer":
            assert counts(model) == [round(0.1 * 64 * 24), round(0.3 * 24 * 4)]
        else:
            assert sum(counts(model)) == round(0.13 * (64 * 24 + 24 * 4))


def test_a_training_of_few_steps_prunes_too():
    settings = Training(epochs=1, batch=320)
    model = Model(dense())
    recipe = Pruning(method="magnitude", training=settings)
    trained(model, Pruner(model, recipe, [0.1, 0.1]), settings, images())
    assert counts(model) == [154, 10]


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_the_largest_weights_stay(scope):
    network = dense((30, 20, 10))
    small = pruner(network, [0.25, 0.25], scope=scope)
    at(small, 1.0)
    before = [np.abs(layer.weights) for layer in network.layers]
    kept = [weight.detach().numpy() != 0 for weight in small.model.weights]
    if scope == "network":
        before, kept = ([np.concatenate([a.ravel() for a in arrays])] for arrays in (before, kept))
    for magnitudes, left in zip(before, kept, strict=True):
        assert left.sum() == magnitudes.size / 4
        assert magnitudes[left].min() > magnitudes[~left].max()


def test_network_scope_takes_from_the_layer_whose_weights_are_small():
    network = dense((30, 20, 10))
    network.layers[1].weights[:] *= 0.01
    small = pruner(network, [0.5, 0.5], scope="network")
    at(small, 1.0)
    assert counts(small.model)[1] == 0
    assert counts(small.model)[0] == 400


def test_of_equal_weights_as_many_stay_as_asked():
    network = Network((Layer("ip1", np.full((10, 10), 0.5), np.zeros(10), relu=False),))
    small = pruner(network, [0.25])
    at(small, 1.0)
    assert counts(small.model) == [25]


@pytest.mark.parametrize("method", ["none", "magnitude", "surgery"])
def test_weights_that_were_0_stay_0(method):
    network = dense()
    for layer in network.layers:
        layer.weights[np.random.default_rng(5).random(layer.weights.shape) < 0.7] = 0
    zero = [layer.weights == 0 for layer in network.layers]
    settings = Training(epochs=6, batch=32, rate=1e-2)
    model = Model(network)
    # More than is there: all that is there may stay.
    recipe = Pruning(method=method, training=settings)
    trained(model, Pruner(model, recipe, [0.5, 0.5]), settings, images())
    for weight, were in zip(model.weights, zero, strict=True):
        assert not weight.detach().numpy()[were].any()
        assert weight.detach().numpy()[~were].any()


def test_without_a_method_nothing_goes():
    settings = Training(epochs=3, batch=32)
    model = Model(dense())
    trained(model, Pruner(model, Pruning(method="none"), [0.1, 0.1]), settings, images())
    assert counts(model) == [64 * 24, 24 * 4]


def test_a_weight_that_was_pruned_stays_pruned_by_magnitude():
    one = pruner(dense(), [0.1, 0.1])
    at(one, 0.5)
    before = [mask.clone() for mask in one.masks]
    with torch.no_grad():
        for weight in one.model.weights:
            weight.add_(5.0)
    at(one, 0.6, step=21)
    assert counts(one.model) == [154, 10]
    for mask, was in zip(one.masks, before, strict=True):
        assert torch.equal(mask, was)


def test_surgery_brings_back_what_the_loss_wants():
    # The class is that of input 0, whose weights are the smallest: they go first.
    rng = np.random.default_rng(1)
    x = rng.random((256, 6)).astype(np.float32)
    labels = (x[:, 0] > 0.5).astype(np.int64)
    of = images()._replace(x=x, labels=labels, held_x=x, held_labels=labels)
    weights = np.full((2, 6), 0.1)
    weights[:, 0] = [-0.01, 0.01]
    network = Network((Layer("ip1", weights, np.zeros(2), relu=False),))
    settings = Training(epochs=40, batch=32, rate=3e-3)
    errors, left = {}, {}
    for method in ("magnitude", "surgery"):
        model = Model(network)
        recipe = Pruning(method=method, training=settings)
        trained(model, Pruner(model, recipe, [1 / 6]), settings, of)
        left[method] = model.weights[0].detach()[:, 0] != 0
        errors[method] = error_percent(model, session(of).data)
    assert not left["magnitude"].any()
    assert left["surgery"].any()
    assert errors["surgery"] < 15 < 30 < errors["magnitude"]


@pytest.mark.parametrize("criterion", ["magnitude", "fisher"])
@pytest.mark.parametrize("scope", ["layer", "network"])
def test_surgery_ends_with_the_network_that_it_trained(criterion, scope):
    settings = Training(epochs=8, batch=32)
    model = Model(dense())
    recipe = Pruning(
        method="surgery", criterion=criterion, scope=scope, schedule="gradual", training=settings
    )
    one = Pruner(model, recipe, [0.1, 0.1])
    of = images()
    finish, computed = one.finish, []

    def watched() -> None:
        computed.extend(weight.detach().clone() for weight in one.weights())
        finish()

    one.finish = watched
    watch = trained(model, one, settings, of)
    for weight, was in zip(model.weights, computed, strict=True):
        assert torch.equal(weight.detach(), was)
    assert f"error {error_percent(model, session(of).data):.2f} %" in watch.infos[-1]


def test_surgery_settles_in_the_end():
    one = pruner(dense(), [0.1, 0.1], method="surgery")
    at(one, 0.5)
    before = [mask.clone() for mask in one.masks]

    def swap() -> None:
        """What was pruned becomes largest."""
        with torch.no_grad():
            for weight, mask in zip(one.model.weights, before, strict=True):
                weight.copy_(1.0 + (1 - mask))

    swap()
    at(one, 0.9)
    assert all(map(torch.equal, one.masks, before))
    swap()
    at(one, 0.6)
    for mask, was in zip(one.masks, before, strict=True):
        assert not (mask * was).any()
        assert mask.sum() == was.sum()


def test_surgery_keeps_what_is_nearly_as_large_as_what_would_come_back():
    network = Network((Layer("ip1", np.array([[1.0, 0.5]]), np.zeros(1), relu=False),))
    one = pruner(network, [0.5], method="surgery")
    at(one, 0.1)
    assert one.masks[0].tolist() == [[1, 0]]
    for other, kept in ((1.1, [[1, 0]]), (1.3, [[0, 1]]), (1.1, [[0, 1]])):
        with torch.no_grad():
            one.model.weights[0].copy_(torch.tensor([[1.0, other]]))
        at(one, 0.1)
        assert one.masks[0].tolist() == kept


def test_gradients_reach_what_surgery_has_masked():
    one = pruner(dense(), [0.1, 0.1], method="surgery")
    at(one, 0.5)
    torch.autograd.backward(one.model.logits(torch.rand(16, 64), one.weights()).square().sum())
    masked = one.model.weights[0].grad[one.masks[0] == 0]
    assert masked.count_nonzero() > 300
    for weight, mask in zip(one.weights(), one.masks, strict=True):
        assert torch.equal(weight != 0, mask > 0)


def test_fisher_keeps_what_the_loss_feels():
    # Input 1 is always 0, so its large weight is of no use.
    network = Network((Layer("ip1", np.array([[0.3, 9.0], [-0.3, 9.0]]), np.zeros(2), relu=False),))
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 256)
    x = np.stack([1 - 2.0 * labels, np.zeros(256)], 1).astype(np.float32)
    of = images()._replace(x=x, labels=labels, held_x=x, held_labels=labels)
    settings = Training(epochs=10, batch=32)
    for criterion, error in (("fisher", 0), ("magnitude", 50)):
        model = Model(network)
        recipe = Pruning(criterion=criterion, training=settings)
        trained(model, Pruner(model, recipe, [0.5]), settings, of)
        assert error_percent(model, session(of).data) == pytest.approx(error, abs=10)


def test_fisher_weighs_a_weight_with_what_the_loss_feels_of_it():
    weights = np.array([[1.0, -2.0, 3.0]])
    network = Network((Layer("ip1", weights, np.zeros(1), relu=False),))
    for squares, order in (([9.0, 1.0, 0.01], [0, 1, 2]), ([1.0, 1.0, 1.0], [2, 1, 0])):
        for kept in (1, 2):
            one = pruner(network, [kept / 3], criterion="fisher")
            optimizer = adam(one)
            optimizer.state[one.model.weights[0]]["exp_avg_sq"] = torch.tensor([squares])
            one.after_step(20, 1.0, optimizer)
            assert sorted(one.masks[0][0].nonzero().flatten().tolist()) == sorted(order[:kept])


@pytest.mark.parametrize(
    ("settings", "densities"),
    [
        ({}, [0.01] * 5),
        # In equal parts of what is left.
        ({"schedule": "iterative", "rounds": 4}, [10**-0.5, 10**-1, 10**-1.5, 0.01, 0.01]),
        ({"schedule": "iterative", "rounds": 2}, [0.1, 0.1, 0.01, 0.01, 0.01]),
        ({"schedule": "gradual", "ramp": 0.5}, [1, 0.01 + 0.99 / 8, 0.01, 0.01, 0.01]),
        (
            {"schedule": "gradual", "ramp": 1.0},
            [1, 0.01 + 0.99 * 27 / 64, 0.01 + 0.99 / 8, 0.01 + 0.99 / 64, 0.01],
        ),
    ],
)
def test_schedules(settings, densities):
    recipe = Pruning(**settings)
    for time, expected in zip((0, 0.25, 0.5, 0.75, 1), densities, strict=True):
        assert recipe.density_at(time, 1.0, 0.01) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["oneshot", "iterative", "gradual"])
@pytest.mark.parametrize("first", [0.0, 0.05, 0.1])
def test_schedules_of_what_is_sparse_already(schedule, first):
    recipe = Pruning(schedule=schedule, rounds=3)
    for time in (0, 0.4, 1):
        assert recipe.density_at(time, first, 0.1) >= first


@pytest.mark.parametrize(
    ("settings", "stairs"),
    [({"schedule": "iterative", "rounds": 3}, 3), ({"schedule": "gradual", "ramp": 0.6}, 11)],
)
def test_densities_fall_as_the_schedule_says(settings, stairs):
    one = pruner(dense(), [0.1, 0.1], **settings)
    densities = []
    for index in range(20):
        at(one, (index + 1) / 20)
        densities.append(one.densities[0])
    expected = [one.recipe.density_at((index + 1) / 20, 1.0, 0.1) for index in range(20)]
    np.testing.assert_allclose(densities, expected, atol=1e-3)
    falls = [before > after for before, after in itertools.pairwise([1.0, *densities])]
    assert sum(falls) == stairs


def test_it_prunes_from_time_to_time_only():
    one = pruner(dense(), [0.1, 0.1])
    for step in (0, 1, 19, 21):
        at(one, 0.5, step)
        assert one.densities == [1.0, 1.0]
    at(one, 0.5, 40)
    assert one.densities == pytest.approx([0.1, 0.1], abs=0.01)


def test_a_network_that_is_sparser_already_is_left():
    network = dense()
    network.layers[0].weights[:, 5:] = 0
    one = pruner(network, [0.5, 0.5], schedule="gradual")
    for time in (0.2, 0.5, 1.0):
        at(one, time)
        assert counts(one.model)[0] == 5 * 24


def test_convolutions_are_pruned_like_the_rest():
    model = Model(convolutional())
    settings = Training(epochs=3, batch=32)
    recipe = Pruning(training=settings, schedule="gradual")
    trained(model, Pruner(model, recipe, [0.4, 0.1, 0.5]), settings, images())
    assert counts(model) == [18, 18, 24]


def test_what_the_bar_says():
    one = pruner(dense(), [0.1, 0.1])
    assert one.info == "density 100.00%"
    at(one, 1.0)
    assert one.info == f"density {164 / 1632:.2%}"
