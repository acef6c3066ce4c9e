"""Ctrl-C, SIGTERM and SIGHUP amid what must not be torn apart."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sw.interrupts import uninterrupted

# A verb that loads and runs a network on a simulated engine until it is interrupted.
ENDLESS = """
import click, signal, sys
from hw.config import PRESETS
from sim.engine import open_engine
from sim.random_network import Recipe, random_inputs, random_network
from sw import cli, entry
from sw.driver import Accelerator
from sw.pack import pack

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests
RECIPE = Recipe(sizes=[60, 50, 40])

@click.command()
def endless():
    with open_engine(PRESETS["tiny"]) as transport:
        accelerator = Accelerator(transport)
        images = [pack(random_network(RECIPE, seed), PRESETS["tiny"]) for seed in range(2)]
        print("ready", flush=True)
        while True:
            for image in images:
                accelerator.load(image)
                accelerator.run(random_inputs(RECIPE, 3, 0))

sys.modules["endless"] = sys.modules["__main__"]
cli._VERBS["endless"] = ("endless:endless", "Endless.")
entry.main(["endless"])
"""


def test_a_block_is_ended_first():
    done = []
    before = signal.getsignal(signal.SIGINT)

    def work():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("block")
        done.append("behind")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["block"]
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_left_alone():
    done = []

    def work():
        with uninterrupted():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_amid_a_simulation(number, group):
    """Whether the program alone has the signal, or all that a terminal has started."""
    command = [sys.executable, "-c", ENDLESS]
    for delay in (0.0, 0.313, 0.5):
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        ) as process:
            try:
                assert process.stdout.readline() == "ready\n"
                time.sleep(delay)
                (os.killpg if group else os.kill)(process.pid, number)
                _, errors = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 128 + number
        assert errors == ""
