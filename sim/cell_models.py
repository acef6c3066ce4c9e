"""Models of FPGAs' cells for Verilog that has them as instances."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["with_models"]

_OWN_MODELS = Path(__file__).with_name("cells")

_MODULE = re.compile(r"^module\s+(\w+)\b.*?^endmodule\b", re.DOTALL | re.MULTILINE)
_TIMING = re.compile(r"^\s*specify\b.*?\bendspecify\b", re.DOTALL | re.MULTILINE)
_MACRO = re.compile(r"^`(?!timescale).*$", re.MULTILINE)  # before a file's first module
_CELL = re.compile(r"^\s*(\w+)\s+(?:#\s*\(|\\?\S+\s*\()", re.MULTILINE)


def with_models(cells: str, family: str, others: Iterable[str] = ()) -> str:
    """Verilog, and the models of the cells in it: those of sim/cells/, or else of `others`.

    Timing is left out.

    Parameters
    ----------
    family : a key of `hw.toolchains.families.FAMILIES`
    others : texts of Verilog
    """
    own = (_OWN_MODELS / f"{name}.v" for name in (family, "block_ram"))
    models: dict[str, str] = {}
    macros = []
    for text in (*(path.read_text() for path in own if path.exists()), *others):
        macros += _MACRO.findall(text.partition("\nmodule ")[0])
        for module in _MODULE.finditer(_TIMING.sub("", text)):
            models.setdefault(module[1], module[0])
    return "\n".join([cells, *macros, *_needed(cells, models)])


def _needed(text: str, models: dict[str, str]) -> list[str]:
    """The models of the cells in `text`, and of those in them."""
    found: dict[str, str] = {}
    waiting = [text]
    while waiting:
        for name in set(_CELL.findall(waiting.pop())) & models.keys() - found.keys():
            found[name] = models[name]
            waiting.append(models[name])
    return [found[name] for name in sorted(found)]
