"""Shared weights while training: centroids learn, and weights settle on them little by little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sw.compress.recipe import Sharing

from .cost import code_costs, total_bits
from .model import Model

__all__ = ["Sharer"]

_EVERY = 50  # steps between two times at which weights settle
_FIRST = 100  # step from which on the optimiser's averages say something


class Sharer:
    """Holds a model's weights to a codebook a layer.

    The gradient of a centroid is the sum of the gradients of the weights that share it (Han et al.
    2016, equation 3). With the schedule "oneshot" all weights are shared from the beginning, as in
    the paper. With "gradual" they settle on a centroid little by little, those that matter most
    first, and those that are still free learn on and make up for it (incremental network
    quantisation, Zhou et al. 2017).

    Parameters
    ----------
    model : Model
        Changed in place; in the end its weights are those of the codebooks.
    recipe : Sharing
    codes : sequence of (rows, columns) int64 Tensor
        0 where the weight was pruned.
    centroids : sequence of (n,) Tensor
        The first is 0.
    """

    def __init__(
        self,
        model: Model,
        recipe: Sharing,
        codes: Sequence[Tensor],
        centroids: Sequence[Tensor],
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.codes = list(codes)
        self.centroids = [c.detach().float().clone().requires_grad_(True) for c in centroids]
        settled = recipe.schedule == "oneshot" or recipe.training.epochs == 0
        self.free = [(c != 0) & (not settled) for c in self.codes]

    @property
    def trained(self) -> list[Tensor]:
        """What the optimiser changes."""
        latent = self.model.weights if self.recipe.schedule == "gradual" else []
        return [*self.centroids, *self.model.biases, *latent]

    def weights(self) -> list[Tensor]:
        """What the model computes with."""
        together = []
        for latent, codes, centroids, free in zip(
            self.model.weights, self.codes, self.centroids, self.free, strict=True
        ):
            flat = codes.flatten()
            places = flat.nonzero()[:, 0]
            shared = torch.zeros(flat.numel()).index_put((places,), centroids[flat[places]])
            together.append(torch.where(free, latent, shared.view_as(latent)))
        return together

    @torch.no_grad()
    def after_step(self, step: int, time: float, optimizer: torch.optim.Optimizer) -> None:
        """Keep the codebooks in order and let the weights settle that are due."""
        for centroids in self.centroids:
            centroids[0] = 0
        if self.recipe.schedule == "gradual" and step >= _FIRST and step % _EVERY == 0:
            share = min(1.0, time / self.recipe.ramp)
            for index, latent in enumerate(self.model.weights):
                # The mean of squared gradients of batches is about the Fisher information over
                # the size of a batch, and half of that information is the loss of a squared
                # distance. In the first thousand steps the mean has yet to grow to that.
                squares = optimizer.state[latent]["exp_avg_sq"].flatten()
                loss = self.recipe.training.batch / 2 * squares
                if self.recipe.rate_distortion:
                    # Early, as long as there are free weights to make up for those that go.
                    self._prune(index, loss, self.recipe.rate_distortion * min(1.0, 2 * share))
                self._settle(index, loss, share)

    @torch.no_grad()
    def finish(self) -> None:
        """Give the model the shared weights."""
        for index, free in enumerate(self.free):
            self._move(index, free.flatten().nonzero()[:, 0], torch.ones(free.numel()))
        for weight, shared in zip(self.model.weights, self.weights(), strict=True):
            weight.copy_(shared)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, beside the model."""
        return {
            "codes": self.codes,
            "free": self.free,
            "centroids": [c.detach() for c in self.centroids],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.codes, self.free = state["codes"], state["free"]
        self.centroids = [c.clone().requires_grad_(True) for c in state["centroids"]]

    @property
    def densities(self) -> list[float]:
        """Share of each layer's weights that is left now."""
        return [float((codes != 0).float().mean()) for codes in self.codes]

    @property
    def info(self) -> str:
        """For the progress bar."""
        bits = sum(
            total_bits(codes, len(c)) for codes, c in zip(self.codes, self.centroids, strict=True)
        )
        kept = sum(int((codes != 0).sum()) for codes in self.codes)
        free = sum(int(free.sum()) for free in self.free)
        return f"{kept} weights, {free} free, about {bits / 8:,.0f} bytes"

    def _prune(self, index: int, loss: Tensor, price: float) -> None:
        """Give up the free weights whose bits are worth more than what the loss feels of them."""
        places = self.free[index].flatten().nonzero()[:, 0]
        if len(places) == 0:
            return
        costs = self._costs(index, places, loss, price)
        gone = places[costs[:, 0] < costs[:, 1:].min(1).values]
        self.codes[index].flatten()[gone] = 0
        self.free[index].flatten()[gone] = False

    def _settle(self, index: int, loss: Tensor, share: float) -> None:
        """Let so many of a layer's weights be settled, beginning with those that matter most."""
        free = self.free[index].flatten()
        left = int((self.codes[index] != 0).sum())
        due = int(free.sum()) - round((1 - share) * left)
        if due > 0:
            score = torch.where(free, loss * self.model.weights[index].flatten() ** 2, -1.0)
            self._move(index, score.topk(due).indices, loss)

    def _move(self, index: int, places: Tensor, loss: Tensor) -> None:
        """Settle the weights at these places on the codes of least cost."""
        if len(places) == 0:
            return
        costs = self._costs(index, places, loss, self.recipe.rate_distortion)
        self.codes[index].flatten()[places] = costs[:, 1:].argmin(1) + 1
        self.free[index].flatten()[places] = False

    def _costs(self, index: int, places: Tensor, loss: Tensor, price: float) -> Tensor:
        """Loss and price of bits (places, values) that each code would have.

        Parameters
        ----------
        places : (n,) int64 Tensor
            Of flattened weights.
        loss : (rows * columns,) Tensor
            Of a squared distance of 1, each weight's.
        """
        weights, centroids = self.model.weights[index].flatten(), self.centroids[index]
        costs = loss[places, None] * (weights[places, None] - centroids) ** 2
        if price:
            costs += price * code_costs(self.codes[index], len(centroids))[places]
        return costs
