"""The engine as a design under test: the one place where simulation meets the hardware's code."""

from __future__ import annotations

from hw.boards import Board
from hw.config import PRESETS, AcceleratorConfig
from hw.engine import Engine

from . import verilated, verilog
from .cell_models import with_models
from .late_reset import LateReset
from .netlist import Netlist, netlist

__all__ = ["engine_netlist", "engine_rtlil", "engine_verilog", "open_engine"]

_TOP = "engine"


def engine_verilog(config: AcceleratorConfig, board: Board | None = None) -> str:
    """Verilog of an engine with empty memories, for Verilator.

    Parameters
    ----------
    board : Board, optional
        Its memories have the form that they have there, be that another than on most FPGAs.
    """
    key = f"{config!r}"
    if board is None or not board.other_memories:
        return verilog.cached_verilog(_TOP, key, lambda: LateReset(Engine(config)))
    key, memories = f"{board.name} {key}", board.memories()
    text = verilog.cached_verilog(_TOP, key, lambda: LateReset(Engine(config)), memories)
    return with_models(text, board.family)


def engine_rtlil(config: AcceleratorConfig, platform: object = None) -> str:
    """RTLIL of an engine with empty memories, its top module called `engine`.

    That of a preset is kept, for it takes seconds and is often asked for.
    """
    if platform is None and config in PRESETS.values():
        return verilog.cached_rtlil(_TOP, f"{config!r}", lambda: Engine(config))
    return verilog.to_rtlil(Engine(config), _TOP, platform)


def engine_netlist(config: AcceleratorConfig, family: str, platform: object = None) -> Netlist:
    """An engine with empty memories, synthesised for a family that `sim.netlist` has models of.

    Parameters
    ----------
    platform : see `sim.verilog.to_rtlil`
    """
    return netlist(engine_rtlil(config, platform), _TOP, family)


def open_engine(
    config: AcceleratorConfig,
    observed: verilated.Observed = verilated.NOTHING,
    board: Board | None = None,
) -> verilated.VerilatedTransport:
    """A Verilated engine, compiled if it is new, out of reset.

    Parameters
    ----------
    board : see `engine_verilog`
    """
    return verilated.simulate(engine_verilog(config, board), _TOP, observed)
