"""Allocation: tensors that live at once lie apart, in as few words as that takes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.random_graph import Limits, random_graph
from sw.allocate import allocate, lifetimes

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=300)


@st.composite
def tensors(draw):
    """Words, and lives of tensors of which one is made at each step, as in a network."""
    words = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    lives = [(step, step + draw(st.integers(0, 5))) for step in range(len(words))]
    return words, lives


@repeatable
@given(tensors())
def test_tensors_that_live_at_once_lie_apart(given_tensors):
    words, lives = given_tensors
    places, total = allocate(words, lives)
    regions = [
        (place, place + size, first, last)
        for place, size, (first, last) in zip(places, words, lives, strict=True)
    ]
    for (low, high, first, last), other in itertools.combinations(regions, 2):
        at_once = first <= other[3] and other[2] <= last
        assert not at_once or high <= other[0] or other[1] <= low or low == high
    assert min(places) >= 0
    assert total == max(high for _, high, _, _ in regions)


@repeatable
@given(tensors())
def test_no_fewer_words_than_live_at_once_and_no_more_than_all(given_tensors):
    words, lives = given_tensors
    alive = [
        sum(size for size, (first, last) in zip(words, lives, strict=True) if first <= step <= last)
        for step in range(len(words) + 5)
    ]
    assert max(alive) <= allocate(words, lives)[1] <= sum(words)


@repeatable
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=20))
def test_a_chain_takes_its_greatest_pair(words):
    lives = [(step, step + 1) for step in range(len(words))]
    assert allocate(words, lives)[1] == max(map(sum, itertools.pairwise(words)))


def test_one_tensor():
    assert allocate([7], [(0, 0)]) == ([0], 7)


@pytest.mark.parametrize("branch", [1, 100])
def test_a_residual_block_takes_what_is_alive(branch):
    """The block's input waits for the addition while two layers pass by."""
    words = [10, branch, 10, 10]
    lives = [(0, 3), (1, 2), (2, 3), (3, 3)]
    places, total = allocate(words, lives)
    assert total == max(10 + branch + 10, 30)
    assert len({places[0], places[2], places[3]}) == 3


def test_a_tensor_lives_from_when_it_is_made_to_its_last_taker():
    for seed in range(200):
        network = random_graph(Limits(channels=3, side=4, layers=6), seed)
        lives = lifetimes(network)
        assert len(lives) == len(network.layers) + 1
        last = dict(enumerate(range(len(lives))))
        for step, taken in enumerate(network.sources, start=1):
            last |= dict.fromkeys(taken, step)
        assert lives == list(last.items())
