"""Verilog of an export, what its memories hold at power-up in files of their own."""

import bisect
import json
import re
from collections.abc import Mapping
from typing import Any

from amaranth.back import verilog
from amaranth.lib.wiring import Component

from ..boards.board import Memories
from ..project import environment

__all__ = ["TOP", "heading", "to_verilog"]

TOP = "thresher"
# As Yosys writes them: a memory is an array of a module, then come its contents item by item.
_MODULE = re.compile(r"^module \\?(?P<name>\S+?) ?\(", re.MULTILINE)
_CONTENTS = re.compile(
    r"^  initial begin\n(?P<items>(?:    (?P<name>\w+)\[\d+\] = \d+'\w+;\n)+)  end\n", re.MULTILINE
)
_ITEM = re.compile(r" = \d+'(?P<base>[hdb])(?P<value>\w+);")
_BASES = {"h": 16, "d": 10, "b": 2}


def heading(summary: Mapping[str, Any]) -> str:
    """What stands above the Verilog: whose it is, and which, by its summary.json."""
    model = summary["model"]
    # As JSON, no name of a file ends a comment.
    network = "none" if model is None else f"{json.dumps(model['file'])}, id {model['image_id']}"
    return (
        "// Thresher, an engine for compressed neural networks.\n"
        "// Copyright (c) 2026, the Thresher developers\n"
        "// SPDX-License-Identifier: BSD-2-Clause\n"
        f"// Export: {summary['export']}; digest of the configuration {summary['config_digest']}\n"
        f"// Network in the memories: {network}\n"
    )


def to_verilog(top: Component, memories: Memories | None = None) -> tuple[str, dict[str, str]]:
    """Verilog with the top module `TOP`, and the files that it reads by ``$readmemh``, by name.

    A file's name says where in the hierarchy its memory is. Memories that hold nothing have none:
    their zeros are a loop.

    Parameters
    ----------
    memories : Memories or None
        The form that they have on a board (`Board.memories`).
    """
    options = {"platform": memories, "emit_src": False, "strip_internal_attrs": True}
    with environment("AMARANTH_USE_YOSYS", "builtin"):
        text = verilog.convert(top, name=TOP, **options)
    files, parts, done = {}, [], 0
    modules = list(_MODULE.finditer(text))
    starts = [module.start() for module in modules]
    for found in _CONTENTS.finditer(text):
        module = modules[bisect.bisect(starts, found.start()) - 1]
        parts += [text[done : found.start()], _contents(module["name"], found, files)]
        done = found.end()
    return "".join([*parts, text[done:]]), files


def _contents(module: str, found: re.Match, files: dict[str, str]) -> str:
    """What stands for the contents of a memory; they go into `files`, if there are any."""
    array = found["name"]
    items = [int(item["value"], _BASES[item["base"]]) for item in _ITEM.finditer(found["items"])]
    if not any(items):
        return (
            f"  initial begin : zeros_of_{array}\n"
            "    integer zeroed;\n"
            f"    for (zeroed = 0; zeroed < {len(items)}; zeroed = zeroed + 1)\n"
            f"      {array}[zeroed] = 0;\n"
            "  end\n"
        )
    place = module if array == "memory" else f"{module}.{array}"
    name = f"{place.removesuffix('.memory').replace('.', '_')}.mem"
    digits = len(f"{max(items):x}")
    files[name] = "".join(f"{item:0{digits}x}\n" for item in items)
    return f'  initial $readmemh("{name}", {array});\n'
