"""Compiler launcher for Verilator's makefiles: compiles the run-time library of Verilator once.

The library is the same for every design and takes longer to compile than a small design does. As
``OBJCACHE`` this stands before every compiler call; only those for sources of the library are
looked up, all else is passed on. ``THRESHER_OBJECTS`` is the folder to keep objects in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]


def main(command: list[str]) -> int:
    """Run a compiler command or do as if; returns its exit status."""
    library = Path(os.environ["VERILATOR_ROOT"], "include")
    source = Path(command[-1])
    if source.parent != library or "-c" not in command or "-o" not in command:
        return subprocess.call(command)
    output = Path(command[command.index("-o") + 1])
    kept = Path(os.environ["THRESHER_OBJECTS"], f"{source.stem}-{_key(command, library)}.o")
    if not kept.exists():
        status = subprocess.call(command)
        if status:
            return status
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Several builds may do this at once: each puts a whole object in place, or none.
        scratch = kept.with_suffix(f".{os.getpid()}")
        shutil.copyfile(output, scratch)
        scratch.replace(kept)
    else:
        shutil.copyfile(kept, output)
    return 0


def _key(command: list[str], library: Path) -> str:
    """Digest of all that the object depends on: command, compiler, and version of the library."""
    compiler = Path(shutil.which(command[0]) or command[0]).resolve()
    facts = compiler.stat()
    version = (library / "verilated_config.h").read_text()
    text = "\n".join([*command, str(compiler), str(facts.st_size), str(facts.st_mtime_ns), version])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
