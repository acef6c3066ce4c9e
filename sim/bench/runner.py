"""Runs a cocotb bench on a Verilated component."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import find_libpython
from amaranth.lib.wiring import Component
from cocotb_tools.runner import get_runner

from sim import toolchain
from sim.verilog import build_folder, to_verilog
from sw.errors import BadInput

__all__ = ["run_bench", "run_verilog"]

_LOG_TAIL = 60
_BUILD_ARGS = ("-Wno-fatal", "-Wno-lint", "--x-assign", "fast", "--x-initial", "fast")
# A bench spends its time in Python: a quick compiler run is worth more than quick code.
_MAKE_OPTIONS = "OPT_FAST=-O1 OPT_GLOBAL=-O0 OPT_SLOW=-O0"


def run_bench(
    component: Component,
    *,
    module: str,
    name: str,
    env: Mapping[str, Any] | None = None,
    testcases: Sequence[str] | None = None,
    waves: bool = False,
) -> None:
    """Verilate `component`, unless that was done before, and run cocotb tests on it.

    Parameters, errors : see `run_verilog`, which gets the Verilog of `component`.
    """
    run_verilog(
        lambda: to_verilog(component, name),
        module=module,
        name=name,
        env=env,
        testcases=testcases,
        waves=waves,
    )


def run_verilog(
    verilog: Callable[[], str],
    *,
    module: str,
    name: str,
    env: Mapping[str, Any] | None = None,
    testcases: Sequence[str] | None = None,
    waves: bool = False,
    files: Sequence[Path] = (),
) -> None:
    """Verilate a text, unless that was done before, and run cocotb tests on it.

    Parameters
    ----------
    verilog : () -> str
        Called when the tools are known to be there.
    module : str
        Dotted name of the module with the cocotb tests.
    name : str
        Name of the top module.
    env : mapping
        Parameters of the bench, as JSON can hold them; `sim.bench.streams.parameters` returns them.
    testcases : sequence of str
        Which tests to run (a parametrized one with all its values); all of them without it.
    waves : bool
        Write a .vcd file of all signals, named in the log; also done if THRESHER_WAVES is 1.
    files : sequence of Path
        Copied into the folder in which the simulation runs.

    Raises
    ------
    AssertionError
        If a test fails, or none ran: names, messages, and the end of the log.
    BadInput
        If a tool is missing.
    """
    waves = waves or os.environ.get("THRESHER_WAVES") == "1"
    with toolchain.environment(_environment(env, waves)):
        folder = _build(verilog(), name, waves)
        run = Path(tempfile.mkdtemp(prefix=f"{module}-", dir=folder))
        for file in files:
            shutil.copy(file, run)
        _run(run, module, name, testcases, waves)


def _environment(parameters: Mapping[str, Any] | None, waves: bool) -> dict[str, str]:
    """The process environment in which a bench is built and run."""
    variables = {
        **toolchain.require(),
        "THRESHER_BENCH": json.dumps(dict(parameters or {})),
        "COCOTB_RANDOM_SEED": os.environ.get("COCOTB_RANDOM_SEED", "1"),
        "WAVES": str(int(waves)),
    }
    variables["MAKEFLAGS"] += f" {_MAKE_OPTIONS}"
    if find_libpython.find_libpython() is None:
        raise BadInput(
            "benches need the shared library of Python, which was not found: "
            "apt install libpython3-dev"
        )
    return variables


def _build(verilog: str, name: str, waves: bool) -> Path:
    """Folder of the Verilated design."""
    key = "\n".join([toolchain.version(), *_BUILD_ARGS, _MAKE_OPTIONS, verilog])
    folder = build_folder(key, f"{name}-bench{'-waves' if waves else ''}")

    def build(scratch: Path) -> None:
        source = scratch / f"{name}.v"
        source.write_text(verilog)
        objects = scratch / "objects"
        try:
            get_runner("verilator").build(
                sources=[source],
                hdl_toplevel=name,
                build_args=list(_BUILD_ARGS),
                build_dir=objects,
                waves=waves,
                log_file=scratch / "build.log",
            )
        except RuntimeError as error:
            tail = _tail(scratch / "build.log")
            raise RuntimeError(f"building the bench of {name}: {error}\n{tail}") from error
        (objects / name).rename(scratch / name)
        shutil.rmtree(objects)

    return toolchain.build_once(folder, build)


def _run(run: Path, module: str, name: str, testcases: Sequence[str] | None, waves: bool) -> None:
    results, log = run / "results.xml", run / "run.log"
    runner = get_runner("verilator")
    # The results tell more than what the runner raises, and if there are none, the log does.
    with contextlib.suppress(RuntimeError, SystemExit):
        runner.test(
            module,
            name,
            hdl_toplevel_lang="verilog",
            build_dir=run.parent,
            test_dir=run,
            results_xml=str(results),
            log_file=log,
            test_filter=rf"\.({'|'.join(testcases)})(/.*)?$" if testcases else None,
            waves=waves,
        )
    if complaint := _complaint(results):
        raise AssertionError(f"{module} on {name}: {complaint}\n{_tail(log)}\nall of it: {log}")
    if not waves:
        shutil.rmtree(run)


def _complaint(results: Path) -> str:
    """What is wrong with the results of a run; empty if nothing is."""
    if not results.exists():
        return "the simulation ended before its tests did"
    cases = ElementTree.parse(results).getroot().findall(".//testcase")
    if all(case.find("skipped") is not None for case in cases):
        return "no test ran"
    failures = [
        f"{case.get('name')}: {fault.get('message', fault.tag)}"
        for case in cases
        for fault in (*case.findall("failure"), *case.findall("error"))
    ]
    if not failures:
        return ""
    return f"{len(failures)} of {len(cases)} tests failed\n" + "\n".join(failures)


def _tail(log: Path) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL:])
