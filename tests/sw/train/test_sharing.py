"""Shared weights while training: gradients of centroids, codes, and the price of a bit."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch
from small import CLASSES, SIDE, convolutional, dense, images, session, trained

from sw.compress.recipe import Pruning, Recipe, Sharing, Training
from sw.compress.steps import share_layers
from sw.datasets import TrainingSet
from sw.network import Network
from sw.train.cost import total_bits
from sw.train.loop import error_percent
from sw.train.model import Model
from sw.train.pruning import Pruner
from sw.train.sharing import Sharer

SETTINGS = Training(epochs=4, batch=32, rate=2e-3)
LONG = Training(epochs=12, batch=16, rate=2e-3)  # 240 steps


def sharer(network: Network, values: int = 5, **settings) -> Sharer:
    """A model of the network, its weights replaced by those of codebooks."""
    recipe = Recipe(description="", share=Sharing(values=values, training=SETTINGS, **settings))
    layers = share_layers(network, recipe)
    return Sharer(
        Model(network),
        recipe.share,
        [torch.from_numpy(layer.codes).long() for layer in layers],
        [torch.from_numpy(layer.centroids) for layer in layers],
    )


def sparse(network: Network, density: float = 0.4) -> Network:
    """The network with weights chosen by lot set to 0."""
    rng = np.random.default_rng(9)
    for layer in network.layers:
        layer.weights[rng.random(layer.weights.shape) > density] = 0
    return network


@functools.cache
def noisy() -> TrainingSet:
    """Images that nothing can tell apart for sure: gradients do not vanish."""
    return images(noise=0.8)


@functools.cache
def taught() -> Network:
    """A pruned network that knows the noisy images as well as may be."""
    model = Model(dense())
    settings = Training(epochs=15, batch=32, rate=1e-2)
    recipe = Pruning(schedule="gradual", training=settings)
    trained(model, Pruner(model, recipe, [0.3, 0.5]), settings, noisy())
    return model.network()


def learn(one: Sharer) -> list[torch.Tensor]:
    """Gradients of the weights themselves; those of what is trained are left beside it."""
    x = torch.rand(20, SIDE**2, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(20) % CLASSES
    loss = torch.nn.functional.cross_entropy
    torch.autograd.backward(loss(one.model.logits(x, one.weights()), labels))
    plain = [weight.detach().clone().requires_grad_(True) for weight in one.weights()]
    torch.autograd.backward(loss(one.model.logits(x, plain), labels))
    return [weight.grad for weight in plain]


def half_settled(one: Sharer) -> torch.optim.Optimizer:
    """The optimiser, after a step that half of the weights settle at."""
    optimizer = torch.optim.AdamW(one.trained, lr=1e-3)
    learn(one)
    optimizer.step()
    optimizer.zero_grad()
    one.after_step(200, one.recipe.ramp / 2, optimizer)
    return optimizer


@pytest.mark.parametrize("network", [dense, convolutional])
def test_gradient_of_a_centroid_is_the_sum_of_its_weights_gradients(network):
    one = sharer(sparse(network()))
    gradients = learn(one)
    for grads, codes, centroids in zip(gradients, one.codes, one.centroids, strict=True):
        assert not centroids.grad[0]
        for code in range(1, len(centroids)):
            assert centroids.grad[code].item() == pytest.approx(
                grads[codes == code].sum().item(), rel=1e-4, abs=1e-6
            )
    assert not any(weight.grad.any() for weight in one.model.weights)


@pytest.mark.parametrize("network", [dense, convolutional])
def test_gradients_reach_what_is_free_and_the_centroids_of_what_has_settled(network):
    one = sharer(sparse(network()), schedule="gradual")
    half_settled(one)
    gradients = learn(one)
    for index, grads in enumerate(gradients):
        free, codes, centroids = one.free[index], one.codes[index], one.centroids[index]
        torch.testing.assert_close(one.model.weights[index].grad, grads * free)
        for code in range(1, len(centroids)):
            settled = (codes == code) & ~free
            assert centroids.grad[code].item() == pytest.approx(
                grads[settled].sum().item(), rel=1e-4, abs=1e-6
            )


def test_the_model_computes_with_the_codebooks():
    one = sharer(sparse(dense()))
    for weight, codes, centroids in zip(one.weights(), one.codes, one.centroids, strict=True):
        assert torch.equal(weight, centroids[codes])


def test_the_model_computes_with_what_is_free():
    one = sharer(sparse(dense()), schedule="gradual")
    for weight, own in zip(one.weights(), one.model.weights, strict=True):
        assert torch.equal(weight, own)
    half_settled(one)
    for index, weight in enumerate(one.weights()):
        codes, free = one.codes[index], one.free[index]
        shared = one.centroids[index][codes]
        assert torch.equal(weight[free], one.model.weights[index][free])
        assert torch.equal(weight[~free], shared[~free])


def test_those_that_matter_most_settle_first_on_what_is_nearest():
    one = sharer(sparse(dense()), schedule="gradual")
    optimizer = half_settled(one)
    for index, (weight, codes, free) in enumerate(
        zip(one.model.weights, one.codes, one.free, strict=True)
    ):
        settled = (codes != 0) & ~free
        assert int(free.sum()) == round(int((codes != 0).sum()) / 2)
        matter = weight.detach() ** 2 * optimizer.state[weight]["exp_avg_sq"]
        assert matter[settled].min() >= matter[free].max()
        near = (weight.detach()[..., None] - one.centroids[index].detach()[1:]).abs().argmin(-1)
        assert torch.equal(codes[settled], near[settled] + 1)


@pytest.mark.parametrize(
    "settings",
    [{}, {"schedule": "gradual"}, {"schedule": "gradual", "rate_distortion": 1e-5}],
)
def test_codes_and_centroids_stay_sound(settings):
    one = sharer(sparse(convolutional()), **settings)
    first = [codes.clone() for codes in one.codes]
    begun = [centroids.detach().clone() for centroids in one.centroids]
    biases = [bias.detach().clone() for bias in one.model.biases]
    trained(one.model, one, LONG, images())
    for index, (codes, centroids) in enumerate(zip(one.codes, one.centroids, strict=True)):
        assert codes.min() >= 0
        assert codes.max() < len(centroids) == 6
        assert centroids[0] == 0
        assert not torch.equal(centroids.detach(), begun[index])
        assert not torch.equal(one.model.biases[index].detach(), biases[index])
        assert not codes[first[index] == 0].any()
        assert torch.equal(one.model.weights[index].detach(), centroids.detach()[codes])
        assert not one.free[index].any()
        if "rate_distortion" not in settings:
            assert torch.equal(codes == 0, first[index] == 0)
        if not settings:
            assert torch.equal(codes, first[index])
        else:
            assert not torch.equal(codes, first[index])


def test_what_has_settled_stays():
    one = sharer(taught(), schedule="gradual", ramp=1.0, rate_distortion=1e-6)
    step = one.after_step
    counts = []

    def watched(*arguments) -> None:
        codes, free = ([x.clone() for x in those] for those in (one.codes, one.free))
        step(*arguments)
        counts.append(sum(int(x.sum()) for x in one.free))
        for before, now, was, still in zip(codes, one.codes, free, one.free, strict=True):
            assert not (still & ~was).any()
            assert torch.equal(now[~was], before[~was])

    one.after_step = watched
    trained(one.model, one, LONG, noisy())
    left = sorted(set(counts), reverse=True)
    assert len(left) >= 3
    assert counts == sorted(counts, reverse=True)


def test_a_training_of_few_steps_shares_too():
    one = sharer(taught(), schedule="gradual")
    trained(one.model, one, SETTINGS, noisy())
    for weight, codes, centroids in zip(one.model.weights, one.codes, one.centroids, strict=True):
        assert torch.equal(weight.detach(), centroids.detach()[codes])


def test_the_higher_the_price_of_a_bit_the_fewer_are_left():
    kept, bits = [], []
    for price in (0.0, 1e-6, 1e-5, 1e-4):
        one = sharer(taught(), values=7, schedule="gradual", rate_distortion=price)
        trained(one.model, one, LONG, noisy())
        kept.append(sum(int(codes.count_nonzero()) for codes in one.codes))
        bits.append(sum(map(total_bits, one.codes, map(len, one.centroids))))
    assert kept[0] == round(0.3 * 64 * 24) + round(0.5 * 24 * 4)
    for those in (kept, bits):
        assert all(fewer < more for more, fewer in itertools.pairwise(those))


def test_fine_tuning_mends_what_sharing_broke():
    broken = sharer(taught(), values=2)
    data = session(noisy()).data
    before = error_percent(broken.model, data, broken.weights())
    trained(broken.model, broken, Training(epochs=10, batch=32, rate=5e-3), noisy())
    assert error_percent(broken.model, data) < 0.7 * before


@pytest.mark.parametrize("price", [0.0, 1e-4])
def test_a_layer_without_weights(price):
    network = dense()
    network.layers[0].weights[:] = 0
    one = sharer(network, schedule="gradual", rate_distortion=price)
    watch = trained(one.model, one, LONG, images())
    assert one.codes[0].count_nonzero() == 0
    assert one.densities[0] == 0
    assert "96 weights, 0 free, about " in watch.infos[-1] or price


def test_densities_are_what_is_left():
    network = sparse(dense(), 0.3)
    one = sharer(network)
    expected = [np.count_nonzero(layer.weights) / layer.weights.size for layer in network.layers]
    assert one.densities == pytest.approx(expected)
