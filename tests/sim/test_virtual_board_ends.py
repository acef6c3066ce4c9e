"""The virtual board as a process: what it is started with, and what ends it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys

import pytest

from hw.boards import find
from hw.config import PRESETS
from hw.regmap import MAGIC
from sim.board import VirtualBoard, build

TINY = PRESETS["tiny"]
BOARD = dataclasses.replace(find("arty"), clock_hz=4_000_000)
# A program that asks its board something when it is interrupted.
USER = """
import contextlib, dataclasses, sys
from hw.boards import find
from sim.board import VirtualBoard
from sw.driver import Accelerator
from sw.serial_port import open_serial

BOARD = dataclasses.replace(find("arty"), clock_hz=4_000_000)

with (
    VirtualBoard(sys.argv[1], BOARD) as board,
    contextlib.closing(open_serial(board.port, BOARD.baud, timeout=1.0)) as bone,
):
    try:
        print(board.url.rpartition(":")[2], flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print(Accelerator(bone).config_digest)
"""


@pytest.fixture(scope="module")
def program():
    return build(BOARD, TINY)


@contextlib.contextmanager
def user(program):
    """The program above, and the TCP port of its board."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_ctrl_c_of_a_terminal_is_for_its_user(program):
    with user(program) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        answer, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert int(answer) == TINY.digest


def test_it_does_not_outlive_its_user(program):
    with (
        user(program) as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        connection.makefile("rwb", buffering=0) as stream,
    ):
        stream.write(bytes.fromhex("02 01 00000000"))
        answer = b"".join(stream.read(1) for _ in range(4))
        assert answer == MAGIC.to_bytes(4, "big")
        process.kill()
        assert stream.read(1) == b""


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def test_what_cannot_be_started_leaves_nothing_open(tmp_path):
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        VirtualBoard(tmp_path / "missing", BOARD)
    assert descriptors() == before


def test_it_may_be_closed_twice(program):
    before = descriptors()
    board = VirtualBoard(program, BOARD)
    board.close()
    assert descriptors() == before
    with open(os.devnull) as other:
        board.close()
        os.fstat(other.fileno())
