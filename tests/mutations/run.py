"""Proof that the tests can fail: breaks the hardware in one place at a time, and expects a failure.

``python -m tests.mutations.run`` works on copies of the project; the checkout is not touched. With
words behind it, only faults are tried whose file or description has one of them.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .faults import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("docs", "hw", "sim", "sw", "tests")

_BENCH = r"\d+ of \d+ tests failed\nE +([^\s:]+): "
_ASSERTION = r"\nFAILED [^\s:]+::(\S+) - (?:AssertionError: )?assert "


def copy_project(folder: Path) -> None:
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    for file in filter(Path.is_file, ROOT.iterdir()):  # tests read the README, too
        shutil.copy(file, folder)


def run_tests(folder: Path, tests: list[str], build: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest on a copy; the copies share what they build, for it is kept by content."""
    # Wide enough for the summary of a failure to say that it is an assertion's.
    env = {**os.environ, "THRESHER_BUILD": str(build), "PYTHONPATH": str(folder), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def apply(mutation: Mutation, folder: Path) -> None:
    path = folder / "hw" / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        found = text.count(mutation.old)
        raise SystemExit(f"hw/{mutation.file} has {found} times, not once: {mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))


def outcome(mutation: Mutation, folder: Path, build: Path) -> tuple[bool, str]:
    """Whether a fault was caught, and by which test of a bench, or what happened instead."""
    copy_project(folder)
    apply(mutation, folder)
    done = run_tests(folder, [mutation.tests], build)
    shutil.rmtree(folder)
    if done.returncode == 0:
        return False, "survived"
    # Only what ran and failed is a proof, a bench or an assertion beside Amaranth's simulation;
    # hardware that cannot even be built is none.
    for proof in (_BENCH, _ASSERTION):
        if failed := re.search(proof, done.stdout):
            return True, failed[1]
    return False, f"pytest ended with {done.returncode}: {done.stdout}"


def main(words: list[str]) -> int:
    """Print a table of faults and what became of them; 1 unless all were caught."""
    console = Console()
    mutations = [
        mutation
        for mutation in MUTATIONS
        if not words or any(word in f"{mutation.file} {mutation.fault}" for word in words)
    ]
    with tempfile.TemporaryDirectory(prefix="thresher-mutations-") as scratch:
        build, sound = Path(scratch, "build"), Path(scratch, "sound")
        copy_project(sound)
        for mutation in mutations:
            apply(mutation, Path(shutil.copytree(sound, Path(scratch, "trial"))))
            shutil.rmtree(Path(scratch, "trial"))
        console.print("without a fault …")
        done = run_tests(sound, sorted({mutation.tests for mutation in mutations}), build)
        if done.returncode:
            console.print(done.stdout, markup=False)
            console.print("the tests fail without any fault, which proves nothing")
            return 1
        table = Table("file", "fault")
        table.add_column("caught by", overflow="fold")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            folders = (Path(scratch, str(number)) for number in range(len(mutations)))
            outcomes = pool.map(outcome, mutations, folders, [build] * len(mutations))
            caught = 0
            for mutation, (is_caught, result) in zip(mutations, outcomes, strict=True):
                caught += is_caught
                console.print(f"{mutation.fault}: {result}", markup=False, soft_wrap=True)
                table.add_row(f"hw/{mutation.file}", mutation.fault, result)
    console.print(table)
    console.print(f"{caught} of {len(mutations)} faults caught")
    return 0 if caught == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
