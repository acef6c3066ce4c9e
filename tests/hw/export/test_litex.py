"""LiteX SoCs with an export by its own wrapper, simulated."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import Case, software

from hw.config import PRESETS
from sim import toolchain
from sim.bench.runner import run_verilog
from sim.random_network import Recipe

CASE = Case(dataclasses.replace(PRESETS["tiny"], lanes=1), Recipe([20, 12, 5], density=0.3), 1)
SOC = Path(__file__).with_name("litex_soc.py")


@pytest.fixture
def soc(tmp_path):
    """(export, folder of the SoC with it, facts of that) of a kind."""

    def make(kind):
        export, folder = CASE.written(kind, tmp_path / "export"), tmp_path / "soc"
        folder.mkdir()
        command = [sys.executable, SOC, export, folder]
        subprocess.run(command, check=True, capture_output=True)
        facts = json.loads((folder / "soc.json").read_text())
        assert facts["sources"] == [str(export / "thresher.v")]
        return export, folder, facts

    return make


@pytest.mark.parametrize(("kind", "bench"), [("wishbone", "wishbone"), ("axi", "litex_axi")])
def test_simulated(soc, kind, bench):
    export, folder, facts = soc(kind)
    env, check = software(CASE, kind, export)
    verilog = (folder / "soc.v").read_text() + (export / "thresher.v").read_text()
    run_verilog(
        lambda: verilog,
        module=f"sim.bench.export.{bench}",
        name="soc",
        env=env | facts,
        files=[*export.glob("*.mem"), *folder.glob("*.init")],
    )
    check()


def test_axi_fits(soc):
    """Every port of the accelerator is connected, in its width, and no other is named."""
    export, folder, _ = soc("axi")
    command = ["verilator", "--lint-only", "-Wall", "-Wno-fatal", "--top-module", "soc"]
    command += [folder / "soc.v", export / "thresher.v"]
    done = subprocess.run(
        command, env=toolchain.require(), capture_output=True, text=True, check=True
    )
    instance = re.search(r"^thresher thresher\(.*?\);", (folder / "soc.v").read_text(), re.M | re.S)
    first = instance.string.count("\n", 0, instance.start()) + 1
    lines = range(first, first + instance[0].count("\n") + 1)
    found = re.findall(r"%Warning-((?:PIN|WIDTH)\w*): \S*soc\.v:(\d+)", done.stderr)
    assert [code for code, line in found if int(line) in lines] == []
