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

CASE = Case(dataclasses.replace(PRESETS["tiny"], lanes=2), Recipe([21, 12, 5], density=0.3), 1)
SOC = Path(__file__).with_name("litex_soc.py")
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "infer.c"

uint32_t bus_read(uint32_t address)
{
    unsigned long word;
    printf("r %lu\n", (unsigned long)address);
    fflush(stdout);
    if (scanf("%lu", &word) != 1)
        exit(1);
    return word;
}

void bus_write(uint32_t address, uint32_t word)
{
    printf("w %lu %lu\n", (unsigned long)address, (unsigned long)word);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    int32_t x[THRESHER_INPUT_COUNT], y[THRESHER_OUTPUT_COUNT];
    if (count != 1 + THRESHER_INPUT_COUNT)
        return 1;
    for (unsigned i = 0; i < THRESHER_INPUT_COUNT; i++)
        x[i] = atoi(arguments[i + 1]);
    infer(x, y);
    printf("y");
    for (unsigned i = 0; i < THRESHER_OUTPUT_COUNT; i++)
        printf(" %ld", (long)y[i]);
    printf("\n");
    return 0;
}
"""


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


def compiled(export, folder):
    """The C program of the document, with a bus of lines and a vector as arguments."""
    document = (SOC.parents[3] / "docs" / "integration.md").read_text()
    (source,) = re.findall(r"```c\n(.*?)```", document, re.S)
    (folder / "infer.c").write_text(source)
    (folder / "main.c").write_text(PROGRAM)
    command = ["g++", "-x", "c", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99"]
    command += [f"-I{export}", "main.c", "-o", "infer"]
    subprocess.run(command, check=True, cwd=folder)
    return folder / "infer"


@pytest.mark.parametrize(("kind", "bench"), [("wishbone", "wishbone"), ("axi", "litex_axi")])
def test_simulated(soc, kind, bench):
    """What software has to know, it takes from the export: in Python and in C."""
    export, folder, facts = soc(kind)
    env, found = software(CASE, export)
    env["program"] = str(compiled(export, folder))
    verilog = (folder / "soc.v").read_text() + (export / "thresher.v").read_text()
    run_verilog(
        lambda: verilog,
        module=f"sim.bench.export.{bench}",
        name="soc",
        env=env | facts,
        files=[*export.glob("*.mem"), *folder.glob("*.init")],
    )
    outputs = CASE.outputs.tolist()
    assert found("results") == outputs
    assert found("results_in_c") == outputs


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
