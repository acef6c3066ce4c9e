"""Netlists after synthesis: what a component takes of an FPGA, and Verilog to simulate its cells.

Each is synthesised once and kept, by the digest of its RTLIL.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from hw.toolchains import yosys

from . import toolchain
from .cell_models import with_models
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
        """Verilog with models of the cells: Yosys' own, and ours instead where we have some.

        Ours (sim/cells/) are block RAMs, SPRAM and the ECP5's multiplier. Timing is left out.

        Raises
        ------
        hw.toolchains.ToolchainError
            If no package with Yosys' models is installed.
        """
        others = [(yosys.share() / name).read_text() for name in _MODELS[self.family]]
        return with_models(self.file.read_text(), self.family, others)


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
