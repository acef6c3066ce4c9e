"""Pruning while training: which weights are kept, and when the others go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sw.compress.recipe import Pruning

from .model import Model

__all__ = ["Pruner"]

_EVERY = 20  # steps between two choices of what is kept
# Surgery: a weight that is kept counts for more than one that would come back, so that no weight
# goes to and fro (the two thresholds of Guo et al. 2016, equation 3), and after this part of the
# training none comes back, so that what is left can settle.
_KEPT, _BACK = 1.1, 0.9
_SPLICING = 0.8


class Pruner:
    """Holds a model's weights to a falling density.

    With the method "magnitude" a weight that was pruned stays 0. With "surgery" (Guo, Yao and Chen
    2016) it goes on learning behind its mask, and is spliced back where it turns out to matter.

    Parameters
    ----------
    model : Model
        Changed in place. Weights that are 0 are pruned already and stay so.
    recipe : Pruning
    densities : sequence of float
        Of each layer at the end; their mean over all weights if the recipe's scope is "network".
    """

    def __init__(self, model: Model, recipe: Pruning, densities: Sequence[float]) -> None:
        self.model = model
        self.recipe = recipe
        self.final = list(densities)
        self.masks = [(weight != 0).float() for weight in model.weights]
        self.allowed = [mask.clone() for mask in self.masks]
        self.first = [float(mask.mean()) for mask in self.masks]

    @property
    def trained(self) -> list[Tensor]:
        """What the optimiser changes."""
        return self.model.parameters

    def weights(self) -> list[Tensor]:
        """What the model computes with."""
        if self.recipe.method != "surgery":
            return self.model.weights
        # The gradient of the masked weights goes to all weights.
        return [
            weight + (weight * mask - weight).detach()
            for weight, mask in zip(self.model.weights, self.masks, strict=True)
        ]

    @torch.no_grad()
    def after_step(self, step: int, time: float, optimizer: torch.optim.Optimizer) -> None:
        """Prune what is due after a step of the optimiser.

        Parameters
        ----------
        step : int
            From 0.
        time : float
            Part of the training that is over, 0 to 1.
        """
        due = time >= 1 or (step > 0 and step % _EVERY == 0)
        if due and self.recipe.method != "none":
            self._choose(time, optimizer)
        if self.recipe.method != "surgery":
            self._clear()

    @torch.no_grad()
    def finish(self) -> None:
        """Make the pruned weights exactly 0."""
        self._clear()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, beside the model."""
        return {"masks": self.masks}

    def restore(self, state: dict[str, Any]) -> None:
        self.masks = state["masks"]

    @property
    def densities(self) -> list[float]:
        """Share of each layer's weights that is left now."""
        return [float(mask.mean()) for mask in self.masks]

    @property
    def info(self) -> str:
        """For the progress bar."""
        kept = sum(float(mask.sum()) for mask in self.masks)
        return f"density {kept / sum(mask.numel() for mask in self.masks):.2%}"

    def _clear(self) -> None:
        for weight, mask in zip(self.model.weights, self.masks, strict=True):
            weight.mul_(mask)

    def _choose(self, time: float, optimizer: torch.optim.Optimizer) -> None:
        densities = [
            self.recipe.density_at(time, first, final)
            for first, final in zip(self.first, self.final, strict=True)
        ]
        scores = [_score(self.recipe.criterion, w, optimizer) for w in self.model.weights]
        if self.recipe.method == "surgery" and time < _SPLICING:
            factors = [_BACK + (_KEPT - _BACK) * mask for mask in self.masks]
            factors = [f * allowed for f, allowed in zip(factors, self.allowed, strict=True)]
        else:
            factors = self.masks
        flat = [(s * factor).flatten() for s, factor in zip(scores, factors, strict=True)]
        sizes = [len(s) for s in flat]
        if self.recipe.scope == "network":
            kept = sum(d * size for d, size in zip(densities, sizes, strict=True))
            chosen = torch.split(_largest(torch.cat(flat), kept), sizes)
        else:
            chosen = tuple(_largest(s, d * len(s)) for s, d in zip(flat, densities, strict=True))
        for mask, largest in zip(self.masks, chosen, strict=True):
            mask.copy_(largest.view_as(mask))


def _score(criterion: str, weight: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """How much a weight matters (rows, columns)."""
    if criterion == "magnitude":
        return weight.abs()
    # Optimal brain damage (LeCun et al. 1990, equation 5) with the Fisher information in place of
    # the second derivative; the optimiser has its moving average anyway. The square root makes
    # it a magnitude again.
    score: Tensor = weight.abs() * optimizer.state[weight]["exp_avg_sq"].sqrt()
    return score


def _largest(scores: Tensor, count: float) -> Tensor:
    """1 at the `count` largest scores, at fewer if fewer are above 0, and 0 elsewhere."""
    kept = min(max(1, math.floor(count + 0.5)), int((scores > 0).sum()))
    return torch.zeros_like(scores).index_fill_(0, scores.topk(kept).indices, 1)
