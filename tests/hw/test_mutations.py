"""The faults of `tests.mutations` are still faults of the hardware; what is copied is whole."""

import os
import subprocess
import sys
from pathlib import Path

import hw
from tests.mutations.faults import MUTATIONS
from tests.mutations.run import copy_project


def test_every_text_stands_once():
    folder = Path(hw.__file__).parent
    wrong = [
        f"hw/{fault.file}: {fault.old}"
        for fault in MUTATIONS
        if (folder / fault.file).read_text().count(fault.old) != 1
    ]
    assert len(MUTATIONS) > 100
    assert not wrong


def test_every_test_is_found_in_a_copy(tmp_path):
    """A test that reads a file which the copy lacks could not even be collected there.

    Nor could one that a fault names, but that is not there any more.
    """
    copy_project(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        # With options of the surrounding run, such as -vv, tests are listed otherwise.
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    named = {fault.tests for fault in MUTATIONS}
    found = done.stdout.splitlines()
    assert not {test for test in named if not any(line.startswith(test) for line in found)}
