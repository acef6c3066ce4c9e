"""`thresher board`: what it refuses, and a board that `thresher run` finds at both of its ports."""

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hw.boards import find
from hw.config import PRESETS
from hw.csr import csr_csv, regmap
from sim import board as virtual_board
from sim.random_network import Recipe, random_inputs, random_network
from sw import format as thr
from sw.cli import main

BOARD = find("hx8k")  # whose engine is compiled in seconds
CONFIG = PRESETS[BOARD.preset]
RECIPE = Recipe(
    sizes=[30, 20, 10],
    code_bits=3,
    activation_bits=CONFIG.activation_bits,
    weight_bits=CONFIG.weight_bits,
    accumulator_bits=CONFIG.accumulator_bits,
)
NETWORK = random_network(RECIPE, 0)
COMMAND = [sys.executable, "-m", "sw.cli"]


def refused(*arguments):
    """What the command says of arguments that it refuses."""
    result = CliRunner().invoke(main, ["board", *map(str, arguments)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


class TestBaud:
    """The receiver stands 2 %, and a bit takes a whole number of clock cycles, 4 or more."""

    @pytest.mark.parametrize("baud", [-1, 0, 1999])
    def test_too_low(self, baud):
        assert "must be 2000 or more" in refused("--virtual", "arty", "--baud", baud)

    @pytest.mark.parametrize(
        ("board", "baud", "nearest"),
        [
            ("arty", 12_900_000, 12_500_000),  # 50 MHz / 4
            ("arty", 50_000_000, 12_500_000),
            ("arty", 11_000_000, 10_000_000),
            ("icebreaker", 2_000_000, 1_909_091),  # 21 MHz / 11
            ("icebreaker", 2_150_000, 2_100_000),
        ],
    )
    def test_no_whole_divisor(self, board, baud, nearest):
        message = refused("--virtual", board, "--baud", baud)
        assert f"--baud is {baud}; the nearest rate of " in message
        assert f" UART is {nearest}, " in message


def test_a_register_map_that_cannot_be_written(tmp_path):
    message = refused("--virtual", "hx8k", "--csr", tmp_path / "none" / "csr.csv")
    assert f"csr.csv cannot be written: there is no folder {tmp_path / 'none'}" in message


def children(process):
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [Path(f"/proc/{child}") for child in text.split()]


@pytest.fixture(scope="module")
def compiled():
    """So that the verb has nothing to say of that."""
    virtual_board.build(BOARD, CONFIG)


@contextlib.contextmanager
def started(*arguments):
    """The verb as a process of its own, and the record that it prints once its board is up."""
    command = [*COMMAND, "board", *map(str, arguments), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            text = process.stdout.readline()
            while not text.endswith("}\n"):
                text += process.stdout.readline() or pytest.fail(process.stderr.read())
            yield process, json.loads(text)
        finally:
            process.kill()


@pytest.fixture
def running(compiled, tmp_path):
    with started("--virtual", "hx8k", "--csr", tmp_path / "csr.csv") as process_and_record:
        yield process_and_record


def test_run_at_both_ports_until_sigterm(running, tmp_path):
    process, record = running
    assert record.keys() == {"board", "port", "url", "baud", "clock_hz"}
    assert (record["board"], record["clock_hz"]) == (BOARD.name, BOARD.clock_hz)
    # As `hw.project` writes it for a build of this board, before the record is printed.
    assert (tmp_path / "csr.csv").read_text() == csr_csv(regmap(CONFIG), BOARD.clock_hz)
    model, inputs = tmp_path / "network.thr", tmp_path / "x.npy"
    thr.write_file(model, thr.to_bytes(NETWORK))
    np.save(inputs, random_inputs(RECIPE, 3, 0) * 2.0**-NETWORK.input.fraction)
    for way in ("port", "url"):
        arguments = ["--port", record[way], "--board", "hx8k", "--inputs", inputs, "--json"]
        done = subprocess.run(
            [*COMMAND, "run", model, *arguments], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["agrees_with_golden"]
        assert found["vectors"] == 3
    (server,) = children(process)
    assert server.exists()
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not server.exists()
    assert process.communicate() == ("", "")


def test_the_engine_of_a_build(tmp_path):
    config = dataclasses.replace(CONFIG, queue_depth=7)
    summary = {"board": BOARD.name, "config": dataclasses.asdict(config)}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with started("--build", tmp_path) as (_, record):
        assert record["board"] == BOARD.name
        command = [*COMMAND, "info", "--port", record["port"], "--build", tmp_path, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config_digest"] == f"{config.digest:08x}"


@pytest.mark.usefixtures("compiled")
def test_a_tcp_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        message = refused("--virtual", "hx8k", "--tcp", number)
    expected = f"--tcp {number}: this port cannot be had (Address already in use)\n"
    assert message.partition(": ")[2] == expected
