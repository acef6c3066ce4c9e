"""The training loop: steps, progress, checkpoints, and a clean stop at Ctrl-C."""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from rich.progress import Progress
from torch import Tensor

from sw.compress.recipe import Training
from sw.errors import BadInput
from sw.graph import sources

from .checkpoint import Checkpoint
from .distort import distort
from .model import Model

__all__ = ["Constraint", "Data", "Session", "Stage", "error_percent", "train"]

_EVALUATED = 1000  # inputs run at once when nothing is learned


class Constraint(Protocol):
    """What a stage holds the weights to while they are trained."""

    @property
    def trained(self) -> list[Tensor]: ...
    @property
    def densities(self) -> list[float]: ...
    @property
    def info(self) -> str: ...
    def weights(self) -> list[Tensor]: ...
    def after_step(self, step: int, time: float, optimizer: torch.optim.Optimizer) -> None: ...
    def finish(self) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


@dataclasses.dataclass(frozen=True)
class Data:
    """Inputs (n, inputs) float32 and labels (n,) int64 to train on, and those held out."""

    x: Tensor
    labels: Tensor
    held_x: Tensor
    held_labels: Tensor


@dataclasses.dataclass(frozen=True)
class Session:
    """What all stages of a run share.

    Attributes
    ----------
    data : Data
    generator : torch.Generator
        Of the order of the inputs and of their distortions.
    checkpoint : Checkpoint
    progress : Progress
        Shows loss, what the constraint says, and the held-out error.
    """

    data: Data
    generator: torch.Generator
    checkpoint: Checkpoint
    progress: Progress


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training of a model.

    Attributes
    ----------
    name : str
    settings : Training
    constraint : Constraint
    teacher : Model, optional
        Whose softened outputs are learned.
    """

    name: str
    settings: Training
    constraint: Constraint
    teacher: Model | None = None


def error_percent(model: Model, data: Data, weights: list[Tensor] | None = None) -> float:
    """Percentage of the held-out inputs whose largest output is not the label's."""
    x, labels = (torch.split(part, _EVALUATED) for part in (data.held_x, data.held_labels))
    with torch.no_grad():
        wrong = sum(
            int((model.logits(one, weights).argmax(1) != label).sum())
            for one, label in zip(x, labels, strict=True)
        )
    return 100 * wrong / len(data.held_x)


def train(model: Model, stage: Stage, session: Session) -> None:
    """Train `model` in place under the stage's constraint.

    Raises
    ------
    BadInput
        If the loss is no longer a number.
    KeyboardInterrupt
        After Ctrl-C, when a checkpoint has been saved.
    """
    settings, constraint = stage.settings, stage.constraint
    epoch_steps = max(1, len(session.data.x) // settings.batch)
    steps = settings.epochs * epoch_steps
    if steps == 0:
        return
    run = _Run(model, stage, session)
    task = session.progress.add_task(stage.name, total=steps, completed=run.step, info="")
    with _interrupts() as interrupted:
        while run.step < steps:
            if run.step % epoch_steps == 0:
                run.shuffle()
            run.take_step(run.step % epoch_steps, steps)
            session.progress.advance(task)
            if run.step % epoch_steps == 0:
                session.progress.update(task, info=run.describe(epoch_steps))
            if interrupted.is_set():
                run.save()
                raise KeyboardInterrupt
            if run.step % epoch_steps == 0:
                run.save()
    constraint.finish()


class _Run:
    """State of a stage: all that a checkpoint holds."""

    def __init__(self, model: Model, stage: Stage, session: Session) -> None:
        self.model, self.stage, self.session = model, stage, session
        self.step = 0
        self.loss = 0.0
        self.order = torch.zeros(0, dtype=torch.int64)
        state = session.checkpoint.take(stage.name)
        if state is not None:
            self._restore(state)
        settings = stage.settings
        self.optimizer = torch.optim.AdamW(
            stage.constraint.trained, lr=settings.rate, weight_decay=settings.decay, fused=True
        )
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer"])

    def shuffle(self) -> None:
        """A new order of the inputs, for the epoch that begins."""
        self.order = torch.randperm(len(self.session.data.x), generator=self.session.generator)
        self.loss = 0.0

    def take_step(self, place: int, steps: int) -> None:
        """Learn the batch at that place of the epoch."""
        data, settings = self.session.data, self.stage.settings
        chosen = self.order[place * settings.batch :][: settings.batch]
        x = distort(data.x[chosen], settings.distortion, self.session.generator)
        _set_rate(self.optimizer, settings, self.step / steps)
        dropout = self._dropout() if settings.dropout else None
        logits = self.model.logits(x, self.stage.constraint.weights(), dropout)
        loss = _loss(logits, data.labels[chosen], x, self.stage)
        self.loss += float(loss.detach())
        if not math.isfinite(self.loss):
            raise BadInput(
                f"training went astray in stage {self.stage.name!r}: the loss is no number after "
                f"{self.step} steps; a rate below {settings.rate:g} may do"
            )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.stage.constraint.after_step(self.step, (self.step + 1) / steps, self.optimizer)
        self.step += 1

    def describe(self, epoch_steps: int) -> str:
        """Loss of the epoch, the constraint's state and the held-out error."""
        constraint = self.stage.constraint
        with torch.no_grad():
            error = error_percent(self.model, self.session.data, constraint.weights())
        return f"loss {self.loss / epoch_steps:.4f}  {constraint.info}  error {error:.2f} %"

    def save(self) -> None:
        self.session.checkpoint.save(
            {
                "stage": self.stage.name,
                "step": self.step,
                "loss": self.loss,
                "order": self.order,
                "weights": [weight.detach() for weight in self.model.weights],
                "biases": [bias.detach() for bias in self.model.biases],
                "constraint": self.stage.constraint.state(),
                "optimizer": self.optimizer.state_dict(),
                "generator": self.session.generator.get_state(),
                "global_generator": torch.get_rng_state(),  # dropout's
            }
        )

    def _dropout(self) -> list[float]:
        """Share of each layer's inputs to drop; none of images and of planes."""
        layers, taken = self.model.layers, sources(self.model.layers)
        hidden = [
            0 not in taken[place] and layers[place].convolution is None
            for place in self.model.learned
        ]
        # The fewer connections, the less there is to overfit (Han et al. 2015, equation 2).
        return [
            self.stage.settings.dropout * math.sqrt(density) if dropped else 0.0
            for dropped, density in zip(hidden, self.stage.constraint.densities, strict=True)
        ]

    def _restore(self, state: dict[str, Any]) -> None:
        """Begin where the stage was stopped."""
        self.step, self.loss, self.order = state["step"], state["loss"], state["order"]
        with torch.no_grad():
            for parameter, stored in zip(
                self.model.parameters, [*state["weights"], *state["biases"]], strict=True
            ):
                parameter.copy_(stored)
        self.stage.constraint.restore(state["constraint"])
        self.session.generator.set_state(state["generator"])
        torch.set_rng_state(state["global_generator"])


def _loss(logits: Tensor, labels: Tensor, x: Tensor, stage: Stage) -> Tensor:
    """Cross entropy with the labels, and what the teacher says.

    The square keeps the gradient of distillation independent of the temperature (Hinton et al.,
    section 2.1).
    """
    settings = stage.settings
    loss = F.cross_entropy(logits, labels, label_smoothing=settings.smoothing)
    if stage.teacher is None or settings.distillation == 0:
        return loss
    temperature = settings.temperature
    with torch.no_grad():
        target = F.softmax(stage.teacher.logits(x) / temperature, 1)
    softened = F.log_softmax(logits / temperature, 1)
    distilled = F.kl_div(softened, target, reduction="batchmean") * temperature**2
    return loss * (1 - settings.distillation) + distilled * settings.distillation


def _set_rate(optimizer: torch.optim.Optimizer, settings: Training, time: float) -> None:
    """Let the rate fall along a cosine, once a cycle."""
    for group in optimizer.param_groups:
        group["lr"] = settings.rate * (1 + math.cos(math.pi * (time * settings.cycles % 1))) / 2


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, or SIGTERM, so that a step is never cut in half."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals are the main thread's
        return

    def stop(number: int, frame: FrameType | None) -> None:
        event.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
