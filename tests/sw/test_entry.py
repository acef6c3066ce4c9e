"""Ctrl-C while the command is being imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# What some modules make of an interrupt that comes amid their imports.
SLOW = """
import time
print("ready", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    raise ImportError("it failed to import") from None
"""
_VERB = "from sw import cli; cli._VERBS['wait'] = ('slow:wait', 'Wait.'); cli.main(['wait'])"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("click", ["-c", "from sw.entry import main; main()"]),
        ("click", ["-m", "hw.build", "--list-boards"]),
        ("slow", ["-c", _VERB]),
    ],
)
def test_an_interrupt_gives_130_and_no_word(tmp_path, module, arguments):
    (tmp_path / f"{module}.py").write_text(SLOW)
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "")
