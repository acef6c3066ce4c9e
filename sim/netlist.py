"""Netlists after synthesis: what a component takes of an FPGA, and Verilog to simulate its cells.

Each is synthesised once and kept, by the digest of its RTLIL.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from hw.toolchains import yosys

from . import toolchain
from .verilog import build_folder

__all__ = ["FAMILIES", "Netlist", "netlist"]

# Family -> Yosys' models of its cells, in its folder `share`.
_MODELS = {
    "xc7": ("xilinx/cells_sim.v",),
    "ecp5": ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"),
    "ice40up": ("ice40/cells_sim.v",),
}
# Those whose blocks are counted.
FAMILIES = ("xc7", "ecp5")
_OWN_MODELS = Path(__file__).with_name("cells")

_MODULE = re.compile(r"^module\s+(\w+)\b.*?^endmodule\b", re.DOTALL | re.MULTILINE)
_TIMING = re.compile(r"^\s*specify\b.*?\bendspecify\b", re.DOTALL | re.MULTILINE)
_MACRO = re.compile(r"^`(?!timescale).*$", re.MULTILINE)  # before a file's first module
_CELL = re.compile(r"^\s*(\w+)\s+(?:#\s*\(|\\?\S+\s*\()", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Netlist:
    """A synthesised component.

    Attributes
    ----------
    family : a key of `_MODELS`
    top : name of its module
    used : resource -> number, as `hw.toolchains.yosys.count` has them
    file : Verilog of its cells, flattened
    """

    family: str
    top: str
    used: dict[str, float]
    file: Path

    def simulated(self) -> str:
        """Verilog with models of the cells: Yosys' own, and ours where Yosys has none.

        Ours are block RAMs and the ECP5's multiplier, see sim/cells/; of the iCE40 Yosys has all.
        Timing is left out.

        Raises
        ------
        hw.toolchains.ToolchainError
            If no package with Yosys' models is installed.
        """
        own = (_OWN_MODELS / f"{name}.v" for name in (self.family, "block_ram"))
        texts = [path.read_text() for path in own if path.exists()]
        texts += [(yosys.share() / name).read_text() for name in _MODELS[self.family]]
        models: dict[str, str] = {}
        macros = []
        for text in texts:
            macros += _MACRO.findall(text.partition("\nmodule ")[0])
            for module in _MODULE.finditer(_TIMING.sub("", text)):
                models.setdefault(module[1], module[0])
        cells = self.file.read_text()
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


def netlist(rtlil: str, top: str, family: str) -> Netlist:
    """A part of a design synthesised by itself, its ports no pins.

    Parameters
    ----------
    rtlil : str
        What `sim.verilog.to_rtlil` gives.
    top : str
        Name of its top module.

    Raises
    ------
    hw.toolchains.ToolchainError
        If there is no Yosys, or it fails.
    """
    key = "\n".join([family, yosys.identity(), rtlil])
    folder = build_folder(key, f"{top}-{family}")

    def build(scratch: Path) -> None:
        (scratch / f"{top}.il").write_text(rtlil)
        used = yosys.synthesise(family, scratch, top)
        (scratch / "used.json").write_text(json.dumps(used))

    toolchain.build_once(folder, build)
    used = json.loads((folder / "used.json").read_text())
    return Netlist(family, top, used, folder / f"{top}.v")
