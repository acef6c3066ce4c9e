"""Writes the Verilog of a LiteX SoC with an export on its bus, and a bus master as pins.

python litex_soc.py EXPORT_FOLDER FOLDER: soc.v and contents of memories, and soc.json with where
the accelerator is, and which sources the SoC's platform has been given.
"""

import importlib.util
import json
import sys
from pathlib import Path

from litex.build.generic_platform import Pins
from litex.build.sim import SimPlatform
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect import wishbone
from migen.genlib.io import CRG

ORIGIN = 0x8000_0000


class Soc(SoCCore):
    def __init__(self, platform):
        super().__init__(
            platform,
            50_000_000,
            cpu_type=None,
            integrated_rom_size=0,
            with_uart=False,
            with_timer=False,
        )
        self.crg = CRG(platform.request("sys_clk"), platform.request("sys_rst"))
        self.master = wishbone.Interface(data_width=32, adr_width=30)
        platform.add_extension(self.master.get_ios("tb"))
        self.comb += self.master.connect_to_pads(platform.request("tb"), mode="slave")
        self.bus.add_master("tb", master=self.master)


def main(export, folder):
    spec = importlib.util.spec_from_file_location("thresher_litex", export / "thresher_litex.py")
    wrapper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wrapper)
    platform = SimPlatform("SIM", [("sys_clk", 0, Pins(1)), ("sys_rst", 0, Pins(1))])
    soc = Soc(platform)
    wrapper.add_thresher(soc, ORIGIN)
    soc.finalize()
    output = platform.get_verilog(soc, name="soc")
    # Comments tell the time; what is built from the same design is to be kept.
    lines = output.main_source.splitlines(keepends=True)
    (folder / "soc.v").write_text("".join(line for line in lines if not line.startswith("//")))
    for name, text in output.data_files.items():
        (folder / name).write_text(text)
    facts = {
        "origin": ORIGIN,
        "scratch": soc.csr.regions["ctrl"].origin + 4,
        "sources": [source[0] for source in platform.sources],
    }
    (folder / "soc.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
