"""Distorted copies of images: each its own, none far from what it was."""

from __future__ import annotations

import pytest
import torch

from sw.errors import BadInput
from sw.train.distort import distort

SIDE = 28


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(count: int) -> torch.Tensor:
    """Images with a bright square in the middle."""
    planes = torch.zeros(count, SIDE, SIDE)
    planes[:, 9:19, 9:19] = 1
    return planes.flatten(1)


def centres(images: torch.Tensor) -> torch.Tensor:
    """Centre of gravity (n, 2) in pixels from the middle."""
    planes = images.view(-1, SIDE, SIDE)
    axis = torch.arange(SIDE) - (SIDE - 1) / 2
    mass = planes.sum((1, 2))
    rows, columns = ((planes.sum(d) * axis).sum(1) / mass for d in (2, 1))
    return torch.stack([rows, columns], 1)


def test_no_strength_gives_the_images_back():
    images = torch.rand(3, SIDE**2)
    assert torch.equal(distort(images, 0.0, seeded()), images)


def test_a_little_strength_changes_little():
    images = torch.rand(5, SIDE**2, generator=seeded(2))
    torch.testing.assert_close(distort(images, 1e-6, seeded()), images, rtol=0, atol=1e-3)


def test_each_image_is_bent_in_its_own_way_and_the_generator_says_how():
    images = squares(20)
    bent = distort(images, 1.0, seeded())
    assert bent.shape == images.shape
    assert bent.dtype == torch.float32
    assert len({row.numpy().tobytes() for row in bent}) == 20
    assert torch.equal(bent, distort(images, 1.0, seeded()))
    assert not torch.equal(bent, distort(images, 1.0, seeded(2)))
    assert torch.equal(images, squares(20))


def test_they_go_both_ways_and_stay_in_the_picture():
    bent = distort(squares(2000), 1.0, seeded())
    moved = centres(bent)
    # A shift of 4 % of half an image, and what the bumps add.
    assert moved.mean(0).abs().max() < 0.1
    assert (moved.std(0) > 0.4).all()
    assert (moved.std(0) < 1.2).all()
    areas = bent.sum(1)
    assert float(areas.mean()) == pytest.approx(100, rel=0.05)
    assert areas.std() > 5
    assert bent.min() >= 0
    assert bent.max() <= 1.0001


def test_strength_is_a_factor():
    weak, strong = (centres(distort(squares(2000), s, seeded())).std(0) for s in (0.5, 1.0))
    torch.testing.assert_close(2 * weak, strong, rtol=0.05, atol=0)


def test_an_axis_is_scaled_and_sheared_on_its_own():
    bent = distort(squares(500), 1.0, seeded()).view(-1, SIDE, SIDE)
    heights, widths = ((bent.amax(d) > 0.5).sum(1).float() for d in (2, 1))
    assert heights.std() > 0.5
    assert widths.std() > 0.5
    assert float(torch.corrcoef(torch.stack([heights, widths]))[0, 1]) < 0.5


@pytest.mark.parametrize("inputs", [7, 783, 27 * 28])
def test_images_that_are_not_square(inputs):
    with pytest.raises(BadInput, match=f"inputs of {inputs} values are no square images.*= 0"):
        distort(torch.rand(2, inputs), 1.0, seeded())
