"""`thresher explore --backend dask` on a real cluster: processes that talk over the loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys

import distributed
import numpy as np
import pytest
from click.testing import CliRunner
from hand import layer_of, network_of

from sw import format as thr
from sw.cli import main

HOST = "127.0.0.1"
SECONDS = 60  # for all to start


@contextlib.contextmanager
def program(name, *options):
    command = [sys.executable, "-m", f"distributed.cli.{name}", "--host", HOST, "--no-dashboard"]
    with subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def client(tmp_path):
    """A client of a scheduler with two workers, of one thread each."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://{HOST}:{port}"
    own = ["--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    with (
        program("dask_scheduler", "--port", str(port)),
        program("dask_worker", address, *own),
        program("dask_worker", address, *own),
        distributed.Client(address, timeout=SECONDS, set_as_default=False) as found,
    ):
        found.wait_for_workers(2, timeout=SECONDS)
        yield found


def explored(*arguments):
    result = CliRunner().invoke(main, ["explore", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_cluster_says_what_this_machine_says(client, tmp_path):
    thr.write(tmp_path / "net.thr", network_of(layer_of(24, 16), layer_of(16, 6)))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 3, (4, 24)).astype(float))
    given = [tmp_path / "net.thr", "--inputs", tmp_path / "x.npy"]
    # Points with entries of one bit cannot be built.
    grid = ["--lanes", "1,2,4", "--groups", "1,2", "--queue", 8, "--entry-bits", "1,9"]
    before = client.run(lambda dask_worker: dask_worker.state.executed_count)
    there = explored(*given, *grid, "--backend", "dask", "--scheduler", client.scheduler.address)
    after = client.run(lambda dask_worker: dask_worker.state.executed_count)
    here = explored(*given, *grid, "--jobs", 1)
    assert there["backend"] == "dask"
    assert there["points"] == here["points"]
    assert len(here["points"]) == 12
    assert all(after[worker] > before[worker] for worker in after)
    assert sum(after.values()) - sum(before.values()) >= len(here["points"])
