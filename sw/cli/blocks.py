"""The blocks of an engine, each cut out of its RTLIL, and what each takes of an FPGA by itself."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re

from hw.boards import BOARDS, Board
from hw.config import PRESETS, AcceleratorConfig
from hw.link.uartbone import UartBone
from sim.engine import engine_rtlil
from sim.netlist import netlist
from sim.verilog import to_rtlil

__all__ = ["Block", "blocks", "count_block", "logic_digest"]

_TOP = "block"
_LINK = "uart bridge"
# Whose parts are blocks, too; an asterisk stands for a number.
_WITH_PARTS = ("engine", "engine.grid", "engine.grid.element_*", "engine.writeback")
_SKIPPED = ("engine", "engine.grid")  # of which only the parts are blocks

_MODULE = re.compile(r"^(?:attribute [^\n]*\n)*module \\(\S+)\n.*?^end$", re.DOTALL | re.MULTILINE)
_PORT = re.compile(r"\\port\$[\d$]+")
_CELL = re.compile(r"^ +cell \\(\S+) ", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Block:
    """One block of an engine.

    Attributes
    ----------
    copies : how many of it the engine has
    rtlil : of one, with all that is in it; its top module is called `block`
    """

    copies: int
    rtlil: str


def blocks(config: AcceleratorConfig, board: Board) -> dict[str, Block]:
    """Every block of an engine by name, and the bridge to the board's UART.

    Parts of a block follow it, their names behind its name and a dot. What an engine has between
    its blocks, such as the counts of busy elements, is in none of them.
    """
    modules = {found[1]: found[0] for found in _MODULE.finditer(engine_rtlil(config))}
    copies: dict[str, int] = {}
    first: dict[str, str] = {}
    for path in modules:
        parent, _, _ = path.rpartition(".")
        kind = _kind(path)
        if kind in _SKIPPED or _kind(parent) not in _WITH_PARTS:
            continue
        copies[kind] = copies.get(kind, 0) + 1
        first.setdefault(kind, path)
    found = {
        kind.removeprefix("engine.").removeprefix("grid.").replace("_*", ""): Block(
            copies[kind], _cut(modules, path)
        )
        for kind, path in sorted(first.items())
    }
    return {**found, _LINK: Block(1, _bridge(board))}


def _bridge(board: Board) -> str:
    return to_rtlil(UartBone(board.divisor, board.clock_hz), _TOP)


def logic_digest(preset: str, grid: tuple[int, int] | None = None) -> str:
    """Digest of the logic that a preset stands for: its engine and the bridges of its boards.

    Parameters
    ----------
    grid : lanes and groups, if not the preset's
    """
    found = [board for board in BOARDS.values() if board.preset == preset]
    engine = PRESETS[preset]
    if grid is not None:
        engine = dataclasses.replace(engine, lanes=grid[0], groups=grid[1])
    parts = [engine_rtlil(engine), *map(_bridge, found)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _kind(path: str) -> str:
    """A path without the numbers of its modules, and those that Amaranth puts behind a name."""
    return re.sub(r"_\d+(?=\.|$)", "_*", re.sub(r"\$\d+", "", path))


def _cut(modules: dict[str, str], top: str) -> str:
    """RTLIL of a module and those in it, the same wherever they lie in the engine."""
    found: dict[str, str] = {}
    waiting = [top]
    while waiting:
        name = waiting.pop()
        if name in modules and name not in found:
            found[name] = modules[name]
            waiting += _CELL.findall(modules[name])
    text = "\n".join(found[name] for name in sorted(found)) + "\n"
    text = re.sub(rf"\\{re.escape(top)}(?=[.\s])", rf"\\{_TOP}", text)
    # Amaranth numbers ports that have no name of their own throughout the design.
    numbers: dict[str, int] = {}
    return _PORT.sub(lambda port: rf"\port$${numbers.setdefault(port[0], len(numbers))}", text)


@functools.cache
def _count(rtlil: str, family: str) -> dict[str, float]:
    return netlist(rtlil, _TOP, family).used


def count_block(block: Block, family: str) -> dict[str, float]:
    """Resources that one of a block takes by itself."""
    return dict(_count(block.rtlil, family))
