"""Where tensors lie in the activation memories: none over another that is needed at the time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from .compressed import CompressedNetwork
from .graph import consumers

__all__ = ["allocate", "lifetimes"]


def lifetimes(network: CompressedNetwork) -> list[tuple[int, int]]:
    """(first, last) step at which each tensor is needed; layer i is executed at step i + 1."""
    takers = consumers(network.layers)
    return [
        (step, max([step, *(taker + 1 for taker in takers[step])])) for step in range(len(takers))
    ]


def allocate(words: Sequence[int], lives: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """First word of every tensor, and how many words that takes in all.

    The best of some greedy orders; that of a chain, where a tensor lives until the next is there,
    needs no more than its greatest pair of neighbours.

    Parameters
    ----------
    words : of each tensor
    lives : (first, last) step at which each is needed
    """
    tensors = range(len(words))
    places = [
        _first_fit(sorted(tensors, key=lambda t: -words[t]), words, lives),
        _first_fit(tensors, words, lives),
    ]
    if all(last <= first + 1 for first, last in lives):
        top = max([*map(sum, itertools.pairwise(words)), *words])
        places.append([0 if t % 2 == 0 else top - words[t] for t in tensors])
    return min(
        ((place, max(p + w for p, w in zip(place, words, strict=True))) for place in places),
        key=lambda pair: pair[1],
    )


def _first_fit(
    order: Iterable[int], words: Sequence[int], lives: Sequence[tuple[int, int]]
) -> list[int]:
    """Each tensor at the lowest place that is free for as long as it lives."""
    placed: dict[int, int] = {}
    for tensor in order:
        first, last = lives[tensor]
        place = 0
        for other in sorted(placed, key=lambda t: placed[t]):
            meets = lives[other][0] <= last and first <= lives[other][1]
            if meets and placed[other] < place + words[tensor]:
                place = max(place, placed[other] + words[other])
        placed[tensor] = place
    return [placed[tensor] for tensor in range(len(words))]
