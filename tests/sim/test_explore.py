"""The design space: points are what the cycle model says, in order, on whatever backend."""

from __future__ import annotations

import builtins
import dataclasses

import distributed
import numpy as np
import pytest

from sim.cycles import predict
from sim.explore import Knobs, check, evaluate, explore, front, grid
from sim.random_network import Recipe, random_inputs, random_network
from sw.errors import BadInput
from sw.pack import config_for, pack

RECIPE = Recipe((24, 16, 8))
NETWORK = random_network(RECIPE, 1)
X = random_inputs(RECIPE, 3, 2)
# The last cannot be built.
POINTS = [Knobs(2, 1, 8, 9), Knobs(4, 2, 32, 10), Knobs(1, 1, 8, 9), Knobs(64, 8, 8, 9)]


def test_a_grid_is_every_combination_in_order():
    points = grid([1, 2], [4], [8, 32], [9])
    assert points == [Knobs(1, 4, 8, 9), Knobs(1, 4, 32, 9), Knobs(2, 4, 8, 9), Knobs(2, 4, 32, 9)]


def test_a_point_is_what_the_cycle_model_says():
    point = evaluate(NETWORK, X, POINTS[1])
    config = config_for(NETWORK, lanes=4, groups=2, queue_depth=32, entry_bits=10)
    image = pack(NETWORK, config)
    assert point.config == config
    assert point.cycles == tuple(predict(image, x[None]).cycles for x in X)
    assert point.refused is None


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        (Knobs(64, 8, 8, 9), "lanes × groups is 512"),
        (Knobs(4, 1, 8, 2), "4-bit codes do not fit into"),
        (Knobs(4, 1, 1, 9), "queue_depth is 1"),
    ],
)
def test_what_cannot_be_built_says_why(knobs, reason):
    point = evaluate(NETWORK, X, knobs)
    assert point.config is None
    assert point.cycles == ()
    assert reason in point.refused


def test_a_grid_without_an_engine_is_refused():
    """Of the others, `evaluate` says which points cannot be built."""
    wide, few = Knobs(64, 8, 8, 9), Knobs(4, 1, 8, 2)
    with pytest.raises(BadInput, match="the first: lanes × groups is 512"):
        check(NETWORK, [wide, few])
    with pytest.raises(BadInput, match=r"the first: layer .*: its 4-bit codes do not fit into"):
        check(NETWORK, [few, wide])
    check(NETWORK, [wide, few, POINTS[0]])


@pytest.fixture(scope="module")
def alone():
    return [evaluate(NETWORK, X, knobs) for knobs in POINTS]


@pytest.mark.parametrize(("backend", "jobs"), [("threading", 3), ("loky", 1), ("loky", 2)])
def test_backends_agree(alone, backend, jobs):
    assert list(explore(NETWORK, X, POINTS, backend, jobs)) == alone


def test_a_dask_cluster_agrees(alone):
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address=None,
    )
    with cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://127.0.0.1:")
        assert list(explore(NETWORK, X, POINTS, "dask", scheduler=address)) == alone


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (None, "backend dask needs the address of a scheduler"),
        ("nowhere", "no Dask scheduler answers at nowhere: missing port"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1: .*refused"),
    ],
)
def test_no_cluster(scheduler, message):
    with pytest.raises(BadInput, match=message):
        list(explore(NETWORK, X, POINTS, "dask", scheduler=scheduler))


def test_dask_is_an_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "distributed":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInput, match=r"pip install 'thresher\[explore\]'"):
        list(explore(NETWORK, X, POINTS, "dask", scheduler="tcp://127.0.0.1:1"))


def test_the_front_is_what_nothing_dominates():
    rng = np.random.default_rng(0)
    for _ in range(50):
        costs = [tuple(cost) for cost in rng.integers(0, 8, (20, 2)).tolist()]
        ties = rng.integers(0, 3, 20).tolist()
        on = front(costs, ties)
        for place, (a, b) in enumerate(costs):
            dominated = any(c <= a and d <= b and (c, d) != (a, b) for c, d in costs)
            twins = [other for other, cost in enumerate(costs) if cost == (a, b)]
            first = min(twins, key=lambda other: ties[other])
            assert on[place] == (not dominated and place == first)


def test_the_front_of_nothing():
    assert front([], []) == []


def test_knobs_are_those_of_the_configuration():
    config = config_for(NETWORK, **dataclasses.asdict(POINTS[0]))
    assert (config.lanes, config.groups, config.queue_depth, config.entry_bits) == (2, 1, 8, 9)
