"""What a coder would spend, while training goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sw.train.cost import code_costs, probability_left, total_bits


def test_bits_are_the_entropy_where_nothing_can_be_learned():
    rng = np.random.default_rng(1)
    codes = rng.choice(5, size=(300, 400), p=[0.8, 0.08, 0.06, 0.04, 0.02])
    p = np.bincount(codes.ravel()) / codes.size
    entropy = -(p * np.log2(p)).sum() * codes.size
    assert total_bits(torch.from_numpy(codes), 5) == pytest.approx(entropy, rel=0.01)


def test_rows_and_columns_are_learned():
    left = torch.zeros(100, 200)
    left[:50, :20] = 1
    p = probability_left(left)
    assert p[:50, :20].min() > 0.9
    assert p[50:].max() < 0.05
    assert p[:, 20:].max() < 0.05


def test_the_commoner_of_two_codes_is_the_cheaper_and_a_rare_one_is_finite():
    codes = torch.tensor([[1, 1, 1, 2, 0, 0, 0, 0]] * 10)
    costs = code_costs(codes, 4)
    assert costs.shape == (80, 4)
    assert (costs[:, 1] < costs[:, 2]).all()
    assert (costs[:, 2] < costs[:, 3]).all()
    assert costs.isfinite().all()
    assert (costs > 0).all()


@pytest.mark.parametrize("values", [1, 4])
def test_a_layer_without_weights_takes_hardly_a_bit(values):
    codes = torch.zeros(50, 80, dtype=torch.int64)
    assert 0 < total_bits(codes, values) < 200
