"""The blocks of an engine, each cut out of its RTLIL, and what each takes of an FPGA by itself."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import tempfile
from pathlib import Path

from hw.boards import BOARDS, Board
from hw.config import PRESETS, AcceleratorConfig
from hw.link.uartbone import UartBone
from hw.toolchains import yosys
from sim.engine import engine_rtlil
from sim.netlist import netlist
from sim.verilog import to_rtlil

__all__ = ["Block", "blocks", "count_block", "logic_digest"]

_TOP = "block"
_LINK = "uart bridge"
# Whose parts are blocks, too, and what is left of it without them; an asterisk stands for a number.
_WITH_PARTS = ("engine", "engine.grid", "engine.grid.element_*", "engine.writeback")
_SKIPPED = ("engine", "engine.grid")  # of which only the parts are blocks, and what is left

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
    rest : whether only that of it is meant which is in none of its parts
    """

    copies: int
    rtlil: str
    rest: bool = False


def blocks(config: AcceleratorConfig, board: Board) -> dict[str, Block]:
    """Every block of an engine by name, and the bridge to the board's UART.

    Parts of a block follow it, their names behind its name and a dot. What is in none of them is a
    part called `rest`; of the whole engine, for instance, the counts of busy elements.
    """
    modules = {found[1]: found[0] for found in _MODULE.finditer(engine_rtlil(config))}
    copies: dict[str, int] = {}
    first: dict[str, str] = {}
    for path in modules:
        parent, _, _ = path.rpartition(".")
        kind = _kind(path)
        if parent and _kind(parent) not in _WITH_PARTS:
            continue
        copies[kind] = copies.get(kind, 0) + 1
        first.setdefault(kind, path)
    found = {}
    for kind, path in sorted(first.items()):
        rtlil, name = _cut(modules, path), _name(kind)
        if kind not in _SKIPPED:
            found[name] = Block(copies[kind], rtlil)
        if kind in _WITH_PARTS:
            found[f"{name}.rest"] = Block(copies[kind], rtlil, rest=True)
    return {**found, _LINK: Block(1, _bridge(board))}


def _name(kind: str) -> str:
    return kind.removeprefix("engine.").removeprefix("grid.").replace("_*", "")


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


@functools.cache
def _without_parts(rtlil: str) -> str:
    """A module with ports in place of the modules in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "whole.il").write_text(rtlil)
        (folder / "rest.ys").write_text(
            f"read_rtlil whole.il\nblackbox {_TOP}.*\nexpose -evert {_TOP}/c:*\n"
            f"delete ={_TOP}.*\nwrite_rtlil rest.il\n"
        )
        yosys.run_script(folder, "rest.ys", "rest.log")
        return (folder / "rest.il").read_text()


def count_block(block: Block, family: str) -> dict[str, float]:
    """Resources that one of a block takes by itself."""
    return dict(_count(_without_parts(block.rtlil) if block.rest else block.rtlil, family))
