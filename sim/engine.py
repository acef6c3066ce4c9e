"""The engine as a design under test: the one place where simulation meets the hardware's code."""

from __future__ import annotations

from pathlib import Path

from hw.config import AcceleratorConfig
from hw.engine import Engine

from . import verilated, verilog

__all__ = ["engine_verilog", "open_engine"]

_TOP = "engine"


def engine_verilog(config: AcceleratorConfig) -> str:
    """Verilog of an engine with empty memories."""
    return verilog.cached_verilog(_TOP, f"{config!r}", lambda: Engine(config))


def open_engine(
    config: AcceleratorConfig, trace: Path | None = None
) -> verilated.VerilatedTransport:
    """A Verilated engine, compiled if it is new, out of reset."""
    return verilated.simulate(engine_verilog(config), _TOP, trace=trace)
