"""Distorted copies of small images, each bent in its own way (Simard et al. 2003)."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from sw.errors import BadInput

__all__ = ["distort"]

_BUMPS = 5  # control points a side of the elastic part
# Standard deviations of what is mixed, in units of half an image: x and y (scale, turn, shear), 1
# (shift), and the control points.
_SPREAD = (0.07, 0.07, 0.04, *(0.035 for _ in range(_BUMPS**2)))


def distort(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Shift, turn, scale, shear and bend images.

    Parameters
    ----------
    images : (n, side * side) float32
    strength : float
        Factor of all distortions; 1 suits handwritten digits, 0 gives the images back.
    generator : torch.Generator

    Returns
    -------
    (n, side * side) float32

    Raises
    ------
    BadInput
        If the images are not square.
    """
    if strength == 0:
        return images
    side = math.isqrt(images.shape[1])
    if side * side != images.shape[1]:
        raise BadInput(
            f"inputs of {images.shape[1]} values are no square images, which a recipe with "
            "distortion needs; set distortion = 0"
        )
    fields = _fields(side)
    mix = torch.randn(len(images), 2, len(fields), generator=generator)
    mix *= torch.tensor(_SPREAD) * strength
    mix[:, :, :2] += torch.eye(2)
    grid = (mix.view(-1, len(fields)) @ fields).view(-1, 2, side, side).permute(0, 2, 3, 1)
    planes = images.view(-1, 1, side, side)
    return F.grid_sample(planes, grid, align_corners=False).view(len(images), -1)


@functools.cache
def _fields(side: int) -> Tensor:
    """Displacement fields (28, side * side): x, y, 1, and smooth bumps on a coarse grid."""
    axis = (torch.arange(side) * 2 + 1) / side - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bumps = torch.eye(_BUMPS**2).view(-1, 1, _BUMPS, _BUMPS)
    bumps = F.interpolate(bumps, (side, side), mode="bicubic", align_corners=True)
    return torch.cat([torch.stack([x, y, torch.ones(side, side)]), bumps[:, 0]]).flatten(1)
