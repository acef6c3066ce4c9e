"""Proof that the tests can fail: breaks the hardware in one place at a time, and expects a failure.

``python -m tests.mutations.run`` works on copies of the project; the checkout is not touched.
"""

import concurrent.futures
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("hw", "sim", "sw", "tests")


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A fault: `old`, which stands once in the file hw/`file`, becomes `new`; `tests` must fail."""

    fault: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = (
    Mutation(
        "a mere marker has the entries of the column that its token names",
        "pe/pointers.py",
        "Mux(token.null, 0, pointer.count)",
        "pointer.count",
        "tests/hw/pe/test_pointers.py",
    ),
    Mutation(
        "empty columns enter the queue",
        "pe/pointers.py",
        "valid & ((~token.null & (pointer.count != 0)) | token.last)",
        "valid",
        "tests/hw/pe/test_pointers.py",
    ),
    Mutation(
        "an element takes the pointers of every unit",
        "memory.py",
        "selected &= address.unit == self.unit",
        "pass",
        "tests/hw/pe/test_pointers.py",
    ),
    Mutation(
        "the queue keeps no place for what is on its way",
        "pe/queue.py",
        "IN_FLIGHT = 4",
        "IN_FLIGHT = 0",
        "tests/hw/pe/test_element.py",
    ),
    Mutation(
        "the queue keeps one place too few",
        "pe/queue.py",
        "IN_FLIGHT = 4",
        "IN_FLIGHT = 3",
        "tests/hw/pe/test_queue.py",
    ),
    Mutation(
        "the next vector goes into the same buffer",
        "pe/fetch.py",
        "next_buffer.eq(next_buffer ^ self.i.payload.last)",
        "next_buffer.eq(next_buffer)",
        "tests/hw/pe/test_fetch.py",
    ),
    Mutation(
        "a mere marker is never done",
        "pe/fetch.py",
        "column.pointer.count <= 1",
        "column.pointer.count == 1",
        "tests/hw/pe/test_fetch.py",
    ),
    Mutation(
        "a third vector does not wait for a buffer",
        "pe/fetch.py",
        "(~active | final) & (unreleased != 2)",
        "(~active | final)",
        "tests/hw/pe/test_element.py",
    ),
    Mutation(
        "a bubble between columns",
        "pe/fetch.py",
        "self.i.ready.eq((~active | final)",
        "self.i.ready.eq(~active",
        "tests/hw/pe/test_element.py",
    ),
    Mutation(
        "a row further on is a row too near",
        "pe/decoder.py",
        "self.row + gap + 1",
        "self.row + gap",
        "tests/hw/pe/test_decoder.py",
    ),
    Mutation(
        "no forwarding at distance 1",
        "pe/accumulate.py",
        "Mux(use_total, total, Mux(use_written, written, stored[add_buffer]))",
        "Mux(use_written, written, stored[add_buffer])",
        "tests/hw/pe/test_accumulate.py",
    ),
    Mutation(
        "no forwarding at distance 2",
        "pe/accumulate.py",
        "Mux(use_total, total, Mux(use_written, written, stored[add_buffer]))",
        "Mux(use_total, total, stored[add_buffer])",
        "tests/hw/pe/test_accumulate.py",
    ),
    Mutation(
        "forwarding from one buffer to the other",
        "pe/accumulate.py",
        "(add_row == operand.row) & (add_buffer == operand.buffer)",
        "(add_row == operand.row)",
        "tests/hw/pe/test_accumulate.py",
    ),
    Mutation(
        "draining does not clear",
        "pe/accumulate.py",
        "write.en.eq(clearing[buffer] | adding)",
        "write.en.eq(adding)",
        "tests/hw/pe/test_accumulate.py",
    ),
    Mutation(
        "full a cycle before the last sum is stored",
        "pe/accumulate.py",
        "marker[2][buffer].eq(marker[1][buffer])",
        "marker[2][buffer].eq(marker[0][buffer])",
        "tests/hw/pe/test_accumulate.py",
    ),
    Mutation(
        "a token is taken when one lane has room for it",
        "engine/grid.py",
        "Cat(element.room for element in lanes).all()",
        "Cat(element.room for element in lanes).any()",
        "tests/hw/engine/test_grid.py",
    ),
    Mutation(
        "a released buffer counts as full for another cycle",
        "engine/grid.py",
        "every & ~released",
        "every",
        "tests/hw/engine/test_grid.py",
    ),
    Mutation(
        "a vector that ends in zeros has no marker",
        "engine/feeder.py",
        "valid & (pending.any() | last)",
        "valid & pending.any()",
        "tests/hw/engine/test_feeder.py",
    ),
    Mutation(
        "the marker is a token like any other",
        "engine/feeder.py",
        "self.o.payload.null.eq(~pending.any())",
        "self.o.payload.null.eq(0)",
        "tests/hw/engine/test_feeder.py",
    ),
    Mutation(
        "saturation one below the highest activation",
        "engine/writeback.py",
        "Mux(negative, -high - 1, high)",
        "Mux(negative, -high - 1, high - 1)",
        "tests/hw/engine/test_writeback.py",
    ),
    Mutation(
        "saturation starts a bit too high",
        "engine/writeback.py",
        "shifted[self.config.activation_bits - 1 :]",
        "shifted[self.config.activation_bits :]",
        "tests/hw/engine/test_writeback.py",
    ),
    Mutation(
        "words of all groups go to the first",
        "engine/writeback.py",
        "group.rotate_left(1)",
        "group",
        "tests/hw/engine/test_writeback.py",
    ),
    Mutation(
        "only one buffer is cleared after reset",
        "engine/writeback.py",
        "with m.If(drain.buffer):",
        "with m.If(1):",
        "tests/hw/engine/test_writeback.py",
    ),
    Mutation(
        "a host write goes to all parts of a word",
        "engine/activations.py",
        "selected & (address.offset[:part_bits] == part)",
        "selected",
        "tests/hw/engine/test_activations.py",
    ),
    Mutation(
        "a program without an end does not end",
        "engine/sequencer.py",
        "instruction.last | (self.layer == self.config.layer_depth - 1)",
        "instruction.last",
        "tests/hw/engine/test_sequencer.py",
    ),
    Mutation(
        "counters go on from the layer before",
        "engine/counters.py",
        "with m.If(self.start):",
        "with m.If(0):",
        "tests/hw/engine/test_counters.py",
    ),
    Mutation(
        "the checksum knows the words but not their addresses",
        "engine/host.py",
        "crc.data.eq(address)",
        "crc.data.eq(bus.w_data)",
        "tests/hw/engine/test_host.py",
    ),
)


def copy_project(folder: Path) -> None:
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)


def run_tests(folder: Path, tests: list[str], build: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest on a copy; the copies share what they build, for it is kept by content."""
    env = {**os.environ, "THRESHER_BUILD": str(build), "PYTHONPATH": str(folder)}
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
    # Only a bench that ran and failed is a proof; hardware that cannot even be built is none.
    if failed := re.search(r"\d+ of \d+ tests failed\nE +([^\s:]+): ", done.stdout):
        return True, failed[1]
    return False, f"pytest ended with {done.returncode}: {done.stdout}"


def main() -> int:
    """Print a table of faults and what became of them; 1 unless all were caught."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="thresher-mutations-") as scratch:
        build, sound = Path(scratch, "build"), Path(scratch, "sound")
        copy_project(sound)
        for mutation in MUTATIONS:
            apply(mutation, Path(shutil.copytree(sound, Path(scratch, "trial"))))
            shutil.rmtree(Path(scratch, "trial"))
        console.print("without a fault …")
        done = run_tests(sound, sorted({mutation.tests for mutation in MUTATIONS}), build)
        if done.returncode:
            console.print(done.stdout, markup=False)
            console.print("the tests fail without any fault, which proves nothing")
            return 1
        table = Table("file", "fault")
        table.add_column("caught by", overflow="fold")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            folders = (Path(scratch, str(number)) for number in range(len(MUTATIONS)))
            outcomes = pool.map(outcome, MUTATIONS, folders, [build] * len(MUTATIONS))
            caught = 0
            for mutation, (is_caught, result) in zip(MUTATIONS, outcomes, strict=True):
                caught += is_caught
                console.print(f"{mutation.fault}: {result}", markup=False, soft_wrap=True)
                table.add_row(f"hw/{mutation.file}", mutation.fault, result)
    console.print(table)
    console.print(f"{caught} of {len(MUTATIONS)} faults caught")
    return 0 if caught == len(MUTATIONS) else 1


if __name__ == "__main__":
    sys.exit(main())
