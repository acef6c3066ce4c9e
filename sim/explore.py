"""The design space: what a network takes on engines of every shape, by the cycle model."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import joblib
import numpy as np
from numpy.typing import NDArray

from hw.config import MEMORY_DEPTHS, AcceleratorConfig, ConfigError
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.pack import config_for, pack
from sw.place import check_codes

from .cycles import predict

__all__ = [
    "BACKENDS",
    "Backend",
    "Knobs",
    "Point",
    "check",
    "evaluate",
    "explore",
    "front",
    "grid",
]

Backend = Literal["loky", "threading", "dask"]
BACKENDS: tuple[Backend, ...] = ("loky", "threading", "dask")

_CONNECT_SECONDS = 10


@dataclasses.dataclass(frozen=True, order=True)
class Knobs:
    """What the points of a grid differ in; `hw.config.AcceleratorConfig` says what they mean."""

    lanes: int
    groups: int
    queue_depth: int
    entry_bits: int


@dataclasses.dataclass(frozen=True)
class Point:
    """What a network takes on one engine, whose memories are as deep as it needs.

    Attributes
    ----------
    config : AcceleratorConfig
        None if there is no such engine.
    cycles : tuple of int
        Of a run of each input alone; empty if there is no such engine.
    refused : str
        Why there is none.
    """

    knobs: Knobs
    config: AcceleratorConfig | None = None
    cycles: tuple[int, ...] = ()
    refused: str | None = None


def grid(
    lanes: Sequence[int], groups: Sequence[int], queues: Sequence[int], entries: Sequence[int]
) -> list[Knobs]:
    """Every combination, in order."""
    return [Knobs(*knobs) for knobs in itertools.product(lanes, groups, queues, entries)]


def check(network: CompressedNetwork, points: Sequence[Knobs]) -> None:
    """Refuse a grid of which no point is an engine, or none can hold the network's codes.

    Whether memories can be large enough is known only when a point is evaluated.

    Raises
    ------
    BadInput
        Saying what is wrong with the first point.
    """
    refused = [reason for knobs in points if (reason := _impossible(network, knobs))]
    if len(refused) == len(points):
        raise BadInput(f"no point of the grid can be built; the first: {refused[0]}")


def _impossible(network: CompressedNetwork, knobs: Knobs) -> str | None:
    depths: dict[str, Any] = dict.fromkeys(MEMORY_DEPTHS, 2)
    try:
        AcceleratorConfig(**depths, **dataclasses.asdict(knobs))
        for layer in network.layers:
            check_codes(layer, knobs.entry_bits)
    except (BadInput, ConfigError) as error:
        return str(error)
    return None


def evaluate(
    network: CompressedNetwork, x: NDArray[np.integer], knobs: Knobs, shared_tables: bool = False
) -> Point:
    """Pack a network for an engine, and predict each of the integer inputs (n, inputs) alone."""
    try:
        config = config_for(network, **dataclasses.asdict(knobs), shared_tables=shared_tables)
        image = pack(network, config)
    except (BadInput, ConfigError) as error:
        return Point(knobs, refused=str(error))
    cycles = tuple(predict(image, x[n : n + 1]).cycles for n in range(len(x)))
    return Point(knobs, config, cycles)


def explore(
    network: CompressedNetwork,
    x: NDArray[np.integer],
    points: Sequence[Knobs],
    backend: Backend = "loky",
    jobs: int = -1,
    scheduler: str | None = None,
    shared_tables: bool = False,
) -> Iterator[Point]:
    """`evaluate` points in parallel; they come in the order in which they were given.

    Parameters
    ----------
    backend : Backend
        Processes or threads of this machine, or the workers of a Dask cluster, which need this
        package, too.
    jobs : int
        Points at a time; -1 for one each core or worker.
    scheduler : str, optional
        Address of the Dask cluster's scheduler.
    shared_tables : bool
        See `hw.config.AcceleratorConfig`; cycles do not depend on it.

    Raises
    ------
    BadInput
        If Dask is not installed, no scheduler answers at the address, or its workers are none or
        do not have this package.
    """
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {}
        if backend == "dask":
            client = stack.enter_context(_client(scheduler))
            options = {"client": client, "scatter": [network, x]}
        tasks = (joblib.delayed(evaluate)(network, x, knobs, shared_tables) for knobs in points)
        try:
            stack.enter_context(joblib.parallel_config(backend, n_jobs=jobs, **options))
            found = joblib.Parallel(return_as="generator", batch_size=1)(tasks)
            yield from cast("Iterator[Point]", found)
        except TimeoutError:
            raise BadInput(f"the Dask cluster of {scheduler} has no workers") from None


def _client(scheduler: str | None) -> Any:
    """A connection to a Dask cluster, to be closed."""
    if scheduler is None:
        raise BadInput("backend dask needs the address of a scheduler, such as tcp://host:8786")
    try:
        import distributed  # an extra: needed by this backend only
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise BadInput("Dask is not installed: pip install 'thresher[explore]'") from None
    try:
        # A client whose scheduler is not there goes on trying behind the scenes.
        place = get_address_host_port(scheduler)
        socket.create_connection(place, _CONNECT_SECONDS).close()
        client = distributed.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"no Dask scheduler answers at {scheduler}: {error}") from error
    try:
        # If a part of the cluster cannot read what it is sent, joblib would wait for ever.
        here = [client.run_on_scheduler(importlib.util.find_spec, __name__)]
        here += client.run(importlib.util.find_spec, __name__).values()
    except ImportError:
        here = [None]
    if None in here:
        client.close()
        raise BadInput(
            f"the Dask cluster of {scheduler} does not have this release of thresher; it must be "
            "installed for its scheduler and its workers"
        )
    return client


def front(costs: Sequence[tuple[float, float]], ties: Sequence[float]) -> list[bool]:
    """Which points are on the Pareto front: no other is as good in both costs and better in one.

    Parameters
    ----------
    ties : of points with equal costs only one is on the front, the first with the least of these
    """
    order = sorted(range(len(costs)), key=lambda place: (*costs[place], ties[place]))
    on, least = [False] * len(costs), float("inf")
    for place in order:
        if costs[place][1] < least:
            on[place], least = True, costs[place][1]
    return on
