"""The training loop: rates, losses, dropout, and what it says of itself."""

from __future__ import annotations

import math
import re
import signal
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from small import Watch, convolutional, dense, images, session, trained

from sw.compress.recipe import Pruning, Training
from sw.errors import BadInput
from sw.train import loop
from sw.train.loop import Stage, error_percent, train
from sw.train.model import Model
from sw.train.pruning import Pruner

NONE = Pruning(method="none")


def free(model: Model) -> Pruner:
    """A constraint that holds a model to nothing."""
    return Pruner(model, NONE, [1.0] * len(model.weights))


@pytest.mark.parametrize("network", [dense, convolutional])
def test_what_can_be_told_apart_is_learned_with_a_tenth_of_the_weights(network):
    model = Model(network())
    settings = Training(epochs=30, batch=32, rate=1e-2)
    recipe = Pruning(schedule="gradual", training=settings)
    of = images()
    before = error_percent(model, session(of).data)
    densities = [0.1] * len(model.weights) if network is dense else [0.3, 0.3, 0.5]
    watch = trained(model, Pruner(model, recipe, densities), settings, of)
    assert before > 40
    assert error_percent(model, session(of).data) < 10
    assert watch.steps == 300
    assert len(watch.infos) == 30


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    def weights(seed: int) -> list[bytes]:
        model = Model(dense())
        settings = Training(epochs=2, batch=32, dropout=0.3, distortion=0.5)
        train(model, Stage("a", settings, free(model)), session(images(), seed))
        return [weight.detach().numpy().tobytes() for weight in model.parameters]

    first, same, other = weights(1), weights(1), weights(2)
    assert first == same
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_every_input_is_seen_once_an_epoch_in_an_order_of_its_own(monkeypatch):
    of = images(count=300)
    seen = []

    def watched(x, strength, generator):
        seen.append(x.clone())
        return x

    monkeypatch.setattr(loop, "distort", watched)
    model = Model(dense())
    trained(model, free(model), Training(epochs=2, batch=100), of)
    epochs = [torch.cat(seen[:3]).numpy(), torch.cat(seen[3:]).numpy()]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(of.x, axis=0))
    assert not np.array_equal(*epochs)
    assert not np.array_equal(epochs[0], of.x)


def test_a_batch_may_be_larger_than_the_data():
    model = Model(dense())
    watch = trained(model, free(model), Training(epochs=3, batch=1000), images())
    assert watch.steps == 3


def test_no_epochs_change_nothing():
    model = Model(dense())
    before = [parameter.detach().clone() for parameter in model.parameters]
    assert trained(model, free(model), Training(), images()).steps == 0
    assert all(map(torch.equal, model.parameters, before))


class Spy(Pruner):
    """Notes the rate of every step."""

    def after_step(self, step, time, optimizer):
        self.rates = [*getattr(self, "rates", []), optimizer.param_groups[0]["lr"]]
        self.times = [*getattr(self, "times", []), time]
        super().after_step(step, time, optimizer)


def test_the_rate_falls_along_a_cosine_to_nearly_0():
    model = Model(dense())
    spy = Spy(model, NONE, [1.0, 1.0])
    trained(model, spy, Training(epochs=5, batch=32, rate=0.004), images())
    expected = [0.002 * (1 + math.cos(math.pi * step / 50)) for step in range(50)]
    assert spy.rates == pytest.approx(expected)
    assert spy.rates[0] == 0.004
    assert spy.rates[-1] < 1e-5
    assert spy.times == pytest.approx([(step + 1) / 50 for step in range(50)])


def test_the_rate_starts_anew_in_each_cycle():
    model = Model(dense())
    spy = Spy(model, NONE, [1.0, 1.0])
    trained(model, spy, Training(epochs=4, batch=32, rate=0.004, cycles=2), images())
    expected = [0.002 * (1 + math.cos(math.pi * (step % 20) / 20)) for step in range(40)]
    assert spy.rates == pytest.approx(expected)


def test_weight_decay_shrinks_weights():
    norms = []
    for decay in (0.0, 2.0):
        model = Model(dense())
        trained(model, free(model), Training(epochs=5, batch=32, decay=decay), images())
        norms.append(float(model.weights[0].detach().square().sum()))
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize(
    ("network", "densities", "expected"),
    [
        (dense, [1.0, 1.0], [0.0, 0.4]),
        (dense, [0.25, 0.09], [0.0, 0.4 * 0.3]),
        (convolutional, [1.0, 1.0, 0.25], [0.0, 0.0, 0.4 * 0.5]),
    ],
)
def test_dropout_shrinks_with_the_density_and_spares_images_and_planes(
    monkeypatch, network, densities, expected
):
    dropped = []
    logits = Model.logits

    def watched(self, x, weights=None, dropout=None):
        dropped.append(dropout)
        return logits(self, x, weights, dropout)

    monkeypatch.setattr(Model, "logits", watched)
    model = Model(network())
    one = free(model)
    for mask, density in zip(one.masks, densities, strict=True):
        mask.view(-1)[round(density * mask.numel()) :] = 0
    trained(model, one, Training(epochs=1, batch=320, dropout=0.4), images())
    assert dropped[0] == pytest.approx(expected, abs=0.01)
    assert dropped[1:] == [None]  # none where the held-out error is measured


def loss(settings: Training, teacher: Model | None, of) -> float:
    """Mean loss of an epoch that changes nothing to speak of."""
    model = Model(dense(seed=1))
    tiny = settings.model_copy(update={"epochs": 1, "batch": 320, "rate": 1e-12})
    watch = trained(model, free(model), tiny, of, teacher)
    return float(re.match(r"loss ([\d.]+)  ", watch.infos[0]).group(1))


def test_losses():
    of = images()
    x, labels = torch.from_numpy(of.x), torch.from_numpy(of.labels)
    student, teacher = Model(dense(seed=1)), Model(dense(seed=2))
    with torch.no_grad():
        mine, its = student.logits(x), teacher.logits(x)
        plain = float(F.cross_entropy(mine, labels))
        smooth = 0.9 * plain - 0.1 * float(F.log_softmax(mine, 1).mean())
        p = F.softmax(its / 2.0, 1)
        distilled = 4 * float((p * (p.log() - F.log_softmax(mine / 2.0, 1))).sum(1).mean())
    half = Training(distillation=0.3, temperature=2.0)
    assert loss(Training(), None, of) == pytest.approx(plain, abs=1e-3)
    assert loss(Training(), teacher, of) == pytest.approx(plain, abs=1e-3)
    assert loss(Training(smoothing=0.1), None, of) == pytest.approx(smooth, abs=1e-3)
    assert loss(half, None, of) == pytest.approx(plain, abs=1e-3)
    assert loss(half, teacher, of) == pytest.approx(0.7 * plain + 0.3 * distilled, abs=1e-3)
    whole = half.model_copy(update={"distillation": 1.0})
    assert loss(whole, Model(dense(seed=1)), of) == pytest.approx(0, abs=1e-3)


def test_a_student_becomes_like_its_teacher_without_labels():
    of = images()
    teacher = Model(dense(seed=2))
    trained(teacher, free(teacher), Training(epochs=15, batch=32, rate=1e-2), of)
    wrong = of._replace(labels=np.zeros_like(of.labels))
    student = Model(dense(seed=1))
    settings = Training(epochs=30, batch=32, rate=1e-2, distillation=1.0)
    trained(student, free(student), settings, wrong, teacher)
    assert error_percent(student, session(of).data) < 5


def test_the_error_is_of_the_held_out_images_and_of_the_weights_given():
    of = images()
    data, model, other = session(of).data, Model(dense(seed=1)), Model(dense(seed=2))
    outputs = model.network().predict(of.held_x.astype(np.float64))
    wrong = 100 * np.mean(outputs.argmax(axis=1) != of.held_labels)
    assert error_percent(model, data) == pytest.approx(wrong)
    assert error_percent(model, data, other.weights) != pytest.approx(wrong)


def test_the_error_is_of_all_images_whatever_the_block(monkeypatch):
    data, model = session(images(held=203)).data, Model(dense())
    whole = error_percent(model, data)
    monkeypatch.setattr(loop, "_EVALUATED", 50)
    assert error_percent(model, data) == whole


def test_what_the_bar_says():
    model = Model(dense())
    of = images()
    watch = trained(model, free(model), Training(epochs=2, batch=32), of)
    error = error_percent(model, session(of).data)
    assert re.fullmatch(
        rf"loss \d\.\d{{4}}  density 100\.00%  error {error:.2f} %", watch.infos[-1]
    )


def test_a_training_that_goes_astray_says_so():
    model = Model(dense())
    with pytest.raises(BadInput, match=r"stage 'stage': the loss is no number .* below 1e\+30 may"):
        trained(model, free(model), Training(epochs=9, batch=32, rate=1e30), images())


def test_images_that_cannot_be_distorted():
    of = images()
    of = of._replace(x=of.x[:, :50], held_x=of.held_x[:, :50])
    model = Model(dense((50, 4)))
    with pytest.raises(BadInput, match="inputs of 50 values are no square images"):
        trained(model, free(model), Training(epochs=1, distortion=1.0), of)


class Interrupted(Watch):
    """A signal comes twice in the third step."""

    number = signal.SIGINT

    def advance(self, task_id, advance=1):
        super().advance(task_id)
        if self.steps == 3:
            signal.raise_signal(self.number)
            signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_after_the_step_and_is_given_back(number, monkeypatch):
    monkeypatch.setattr(Interrupted, "number", number)
    model = Model(dense())
    where = session(images())
    where = loop.Session(where.data, where.generator, where.checkpoint, Interrupted())
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(model, Stage("a", Training(epochs=2, batch=32), free(model)), where)
    assert where.progress.steps == 3
    assert signal.getsignal(number) is before


def test_it_trains_in_a_thread_too():
    model = Model(dense())
    done = []

    def work() -> None:
        done.append(trained(model, free(model), Training(epochs=1, batch=32), images()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].steps == 10
