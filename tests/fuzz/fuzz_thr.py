"""Fuzzing of the .thr reader, on demand: `python tests/fuzz/fuzz_thr.py --seconds 60`.

Needs atheris (`pip install atheris`, wheels for Python 3.11 to 3.13 on Linux). An input is the
payloads of a file's sections; checksums and lengths are put around them, so that what lies behind
the checksums is reached. A file is refused with BadInput, or is a network that can be written
again; anything else, 60 seconds of work or 2 GiB of memory are a finding, which stops the run with
an exit status other than 0 and is kept in the folder --findings. The packer, too, refuses the
network or lays it out.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "sw")]

with atheris.instrument_imports(include=["sw"]):
    import book
    import test_format
    import test_format_damage
    from strategies import assert_same

    from hw.config import PRESETS
    from sw import format as thr
    from sw.coding import arithmetic, huffman  # noqa: F401  # or they would come uninstrumented
    from sw.errors import BadInput
    from sw.pack import usage

MAX_BYTES = 400


def to_input(data: bytes) -> bytes:
    """Input that stands for a file: lengths of the payloads but the last, 0, the payloads."""
    payloads = [payload for _, payload in book.sections(data)]
    return bytes([*map(len, payloads[:-1]), 0]) + b"".join(payloads)


def to_file(data: bytes) -> bytes:
    """File of any input."""
    sizes, _, rest = data.partition(b"\0")
    payloads = []
    for size in sizes:
        payloads.append(rest[:size])
        rest = rest[size:]
    payloads.append(rest)
    return book.assemble([(1 if i == 0 else 2, payload) for i, payload in enumerate(payloads)])


def try_one(data: bytes) -> None:
    """Read the file of an input."""
    try:
        accepted = thr.from_bytes(to_file(data))
    except BadInput:
        return
    assert_same(thr.from_bytes(thr.to_bytes(accepted)), accepted)
    with contextlib.suppress(BadInput):
        usage(accepted, PRESETS["tiny"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=ROOT / "build")
    parser.add_argument("inputs", nargs="*", help="findings to try again, instead of fuzzing")
    options = parser.parse_args()
    for path in options.inputs:
        try_one(Path(path).read_bytes())
    if options.inputs:
        return
    # libFuzzer ends the process itself: the folder is left to the system.
    corpus = Path(tempfile.mkdtemp(prefix="fuzz_thr_"))
    networks = {
        "small": test_format_damage.network(),
        "wired": test_format_damage.wired(),
        "sparse": test_format.network(test_format.sparse(9, 30, 0.3)),
    }
    for (name, network), coder in itertools.product(networks.items(), thr.CODERS[:-1]):
        data = thr.to_bytes(network, coder)
        assert to_file(to_input(data)) == data
        (corpus / f"{name}-{coder}").write_bytes(to_input(data))
    limits = [f"-max_total_time={options.seconds}", "-timeout=60", "-rss_limit_mb=2048"]
    others = [f"-seed={options.seed}", f"-max_len={MAX_BYTES}", "-print_final_stats=1"]
    prefix = f"-artifact_prefix={options.findings}/"
    atheris.Setup([sys.argv[0], *limits, *others, prefix, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
