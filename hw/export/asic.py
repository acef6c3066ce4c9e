"""The engine for an ASIC: Verilog in which every memory is a black box, and what goes with it."""

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from amaranth.back import verilog

from ..config import AcceleratorConfig
from ..engine import Engine
from ..project import environment, replacing
from .area import TOP, check_liberty, synthesise
from .folder import SUMMARY, check_folder
from .macros import Macro, Macros

__all__ = ["FILES", "Asic", "check", "write"]

# What is written, in the order in which a simulator or Yosys reads it.
FILES = {
    "engine": "engine.v",
    "stubs": "memories.v",
    "models": "memories_model.v",
    "list": "memories.json",
    "constraints": "engine.sdc",
    "configuration": "config.json",
}

_MODULE = re.compile(r"^module \\?(\S+?)\s*\(")


@dataclasses.dataclass(frozen=True)
class Asic:
    """What is to be exported.

    Parameters
    ----------
    config : AcceleratorConfig
    clock_hz : float
        That of the constraints.
    liberty : Path or None
        Library of the cells to synthesise it with, if any.
    """

    config: AcceleratorConfig
    clock_hz: float
    liberty: Path | None = None


def check(asic: Asic, folder: Path) -> None:
    """Refuse, before any work is done, a library that is none, and a place that is taken.

    Raises
    ------
    ConfigError
        If the folder holds anything else than a former export, or the library is none.
    """
    check_folder(folder)
    if asic.liberty is not None:
        check_liberty(asic.liberty)


def write(
    asic: Asic, folder: Path, step: Callable[[str], AbstractContextManager]
) -> dict[str, Any]:
    """Write the folder, which `check` took, over a former export; nothing is left if it fails.

    Parameters
    ----------
    step : name -> context manager
        Entered for every step of the work.

    Returns
    -------
    What summary.json holds: `memories` as in memories.json, and `synthesis`, which is None without
    a library, or what `hw.export.area.synthesise` returned.

    Raises
    ------
    ConfigError
        If Yosys fails.
    """
    with replacing(folder) as new:
        with step("generation"):
            memories = _write_sources(asic, new)
        synthesis = None
        if asic.liberty is not None:
            sources = FILES["stubs"], FILES["engine"]
            bits = {memory["module"]: memory["bits"] for memory in memories}
            with step("synthesis"):
                synthesis = synthesise(new, sources, asic.liberty, bits)
        summary = {
            "folder": str(folder),
            "config": dataclasses.asdict(asic.config),
            "clock_mhz": asic.clock_hz / 1e6,
            "memories": memories,
            "synthesis": synthesis,
        }
        summary["files"] = sorted(path.name for path in new.iterdir())
        (new / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _write_sources(asic: Asic, folder: Path) -> list[dict[str, Any]]:
    """Everything but the results of synthesis; what memories.json holds."""
    platform = Macros()
    # The Verilog must not depend on which Yosys is installed on this machine.
    with environment("AMARANTH_USE_YOSYS", "builtin"):
        text = verilog.convert(
            Engine(asic.config),
            name=TOP,
            platform=platform,
            emit_src=False,
            strip_internal_attrs=True,
        )
    macros = sorted(platform.used)
    memories = _memories(macros, text)
    contents = {
        "engine": text,
        "stubs": "\n".join(macro.black_box() for macro in macros),
        "models": "\n".join(macro.model() for macro in macros),
        "list": json.dumps(memories, indent=2) + "\n",
        "constraints": _constraints(asic.clock_hz),
        "configuration": json.dumps(dataclasses.asdict(asic.config), indent=2) + "\n",
    }
    for what, content in contents.items():
        (folder / FILES[what]).write_text(content)
    return memories


def _memories(macros: list[Macro], text: str) -> list[dict[str, Any]]:
    """What each wrapper must be, how many there are and where."""
    where = defaultdict(list)
    names = {macro.name for macro in macros}
    for line in text.splitlines():
        if found := _MODULE.match(line):
            module = found[1]
        elif line.startswith("  ") and (words := line.split()) and words[0] in names:
            # Amaranth numbers modules whose name was taken; the instance has the plain one.
            path = re.sub(r"\$\d+", "", module).split(".")[1:]
            where[words[0]].append(".".join([*path, words[1]]))
    return [
        {
            "module": macro.name,
            "width": macro.width,
            "depth": macro.depth,
            "bits": macro.bits,
            "write_ports": macro.writes,
            "parts": macro.parts,
            "read_ports": list(macro.reads),
            "ports": {name: {"direction": d, "bits": n} for name, (d, n) in macro.ports.items()},
            "instances": len(where[macro.name]),
            "where": where[macro.name],
        }
        for macro in macros
    ]


def _constraints(clock_hz: float) -> str:
    return f"create_clock -name clk -period {1e9 / clock_hz:.3f} [get_ports clk]\n"
