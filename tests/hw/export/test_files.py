"""What an export's folder holds beside the Verilog, each read by the tools it is made for."""

import csv
import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cmsis_svd.parser import SVDParser

from hw.config import PRESETS
from hw.export import KINDS, Export, stream_map, write
from hw.regmap import COUNTERS, REGISTERS, Window, window_items
from sim import toolchain

CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=1)
TOOLS = Path(sys.executable).parent
NAMES = {register.name for register in (*REGISTERS, *stream_map.REGISTERS)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    for kind in KINDS:
        write(Export(kind, CONFIG), folder / kind)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def folder(request, folders):
    return folders / request.param


@pytest.fixture
def regmap(folder):
    return json.loads((folder / "regmap.json").read_text())


def addresses(regmap):
    """Name -> byte address of every register and window."""
    return {each["name"]: each["address"] for each in (*regmap["registers"], *regmap["windows"])}


def fields(regmap):
    """(register, field) -> (lowest bit, bits)."""
    found = {
        (register["name"], field["name"]): (field["first"], field["bits"])
        for register in regmap["registers"]
        for field in register["fields"]
    }
    assert found["status", "layer"] == (8, 8)
    return found


def test_streams_are_in_the_map_of_axi_alone(folder, regmap):
    names = {register["name"] for register in regmap["registers"]}
    assert names == {
        name for name in NAMES if folder.name == "axi" or not name.startswith("stream_")
    }


def test_blocks_do_not_overlap(folder, regmap):
    """And all of them lie within the address bits of the ports."""
    spans = [(register["address"], 4) for register in regmap["registers"]]
    for window in regmap["windows"]:
        size = window["items"] * window["item_bytes"]
        spans += [
            (window["address"] + unit * window["unit_bytes"], size)
            for unit in range(window["units"])
        ]
    spans.sort()
    for (first, size), (following, _) in itertools.pairwise(spans):
        assert first + size <= following
    assert sum(spans[-1]) <= 1 << regmap["address_bits"]
    port = {"verilog": r"input \[(\d+):0\] address;", "wishbone": r"input \[(\d+):0\] wb_adr;"}
    pattern = port.get(folder.name, r"input \[(\d+):0\] s_axil_araddr;")
    (last,) = re.findall(pattern, (folder / "thresher.v").read_text())
    assert regmap["address_bits"] == int(last) + 1 + (0 if folder.name == "axi" else 2)


def test_svd(folder, regmap):
    path = folder / "thresher.svd"
    # The library has the schemas of every release of version 1.3, this is its last.
    valid, complaint = SVDParser.validate_xml_file(path, "1.3.10", schema_version_detection=False)
    assert valid, complaint
    device = SVDParser.for_xml_file(path).get_device()
    registers, *windows = device.get_peripherals()
    found = {each.name.lower(): each.address_offset for each in registers.get_registers()}
    found |= {window.name.lower(): window.base_address for window in windows}
    assert found == addresses(regmap)
    access = {
        register.name.lower(): register.access.value for register in registers.get_registers()
    }
    assert access["magic"] == "read-only"
    assert access["scratch"] == "read-write"
    for register in registers.get_registers():
        (guarded,) = (
            r["guarded"] for r in regmap["registers"] if r["name"].upper() == register.name
        )
        assert ("from write_first to write_last" in register.description) == guarded
    described = {
        (register.name.lower(), field.name.lower()): (field.bit_offset, field.bit_width)
        for register in registers.get_registers()
        for field in register.fields
    }
    assert described == fields(regmap)
    blocks = [(block.offset, block.offset + block.size) for block in registers.address_blocks]
    for register in registers.get_registers():
        assert any(first <= register.address_offset < end for first, end in blocks)


def test_access_of_fields(folder, regmap):
    """In regmap.json and SVD."""
    expected = {("status", name): "ro" for name in ("busy", "layer", "commands")}
    expected |= {("control", name): "wo" for name in ("start", "abort")}
    if folder.name == "axi":
        expected[("stream_control", "enable")] = "rw"
        expected |= {("stream_status", name): "w1c" for name in ("early", "missing")}
        expected |= {("stream_status", name): "ro" for name in ("unfit", "busy")}
    found = {
        (register["name"], field["name"]): field["access"]
        for register in regmap["registers"]
        for field in register["fields"]
    }
    assert found == expected
    # As svd2rust and its kin read it: access, and what a write of 1 does if that is not to set it.
    words = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write"}
    told = {}
    for register in ElementTree.parse(folder / "thresher.svd").iter("register"):
        for field in register.iter("field"):
            name = (register.findtext("name").lower(), field.findtext("name").lower())
            told[name] = (field.findtext("access"), field.findtext("modifiedWriteValues"))
    assert told == {
        name: (words[access], "oneToClear" if access == "w1c" else None)
        for name, access in expected.items()
    }


def test_guarded_registers(folder, regmap):
    guarded = {register["name"] for register in regmap["registers"] if register["guarded"]}
    assert guarded == {"image_id", "vectors"}
    header = (folder / "thresher.h").read_text()
    found = re.findall(r"/\* r[ow], guarded: .*\n#define THRESHER_(\w+) ", header)
    assert {name.lower() for name in found} == guarded


def test_csr_files_say_the_same(folder, regmap):
    """That LiteX reads such a csr.csv, a test of the virtual board shows."""
    rows = list(csv.reader((folder / "csr.csv").read_text().splitlines()))
    found = json.loads((folder / "csr.json").read_text())
    registers = {row[1]: (int(row[2], 16), row[4]) for row in rows if row[0] == "csr_register"}
    memories = {row[1]: (int(row[2], 16), int(row[3])) for row in rows if row[0] == "memory_region"}
    assert registers == {n: (r["addr"], r["type"]) for n, r in found["csr_registers"].items()}
    assert memories == {n: (m["base"], m["size"]) for n, m in found["memories"].items()}
    plain = {name.removeprefix("thresher_"): address for name, (address, _) in registers.items()}
    assert plain | {n: base for n, (base, _) in memories.items()} == addresses(regmap)
    assert found["constants"]["thresher_config_digest_value"] == CONFIG.digest


def test_header_in_a_c_program(folder, regmap, tmp_path):
    names = [name.upper() for name in addresses(regmap) if name in NAMES]
    windows = [window["name"].upper() for window in regmap["windows"]]
    prints = [f'printf("{name} %lu\\n", (unsigned long)THRESHER_{name});' for name in names]
    prints += [
        f'printf("{name} %lu\\n", (unsigned long)THRESHER_{name}(1, 2));' for name in windows
    ]
    prints += [
        f'printf("{c} %lu\\n", (unsigned long)THRESHER_COUNTER_{c.upper()});' for c in COUNTERS
    ]
    for register, field in fields(regmap):
        name = f"{register}_{field}".upper()
        prints += [
            f'printf("{name}.{end} %lu\\n", (unsigned long)THRESHER_{name}_{end});'
            for end in ("BIT", "MASK")
        ]
    prints += ['printf("digest %lu\\n", (unsigned long)THRESHER_CONFIG_DIGEST_VALUE);']
    program = "\n".join(
        ["#include <stdio.h>", *2 * ['#include "thresher.h"'], "int main(void) {", *prints]
    )
    (tmp_path / "main.c").write_text(f"{program}\nreturn 0; }}\n")
    command = ["g++", "-x", "c", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99"]
    command += [f"-I{folder}", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    output = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    found = {name: int(value) for name, value in (line.split() for line in output.splitlines())}
    expected = {register["name"].upper(): register["address"] for register in regmap["registers"]}
    for window in regmap["windows"]:
        expected[window["name"].upper()] = (
            window["address"] + window["unit_bytes"] + 2 * window["item_bytes"]
        )
    for (register, field), (first, bits) in fields(regmap).items():
        name = f"{register}_{field}".upper()
        expected |= {f"{name}.BIT": first, f"{name}.MASK": 2 ** (first + bits) - 2**first}
    expected |= {counter: place for place, counter in enumerate(COUNTERS)}
    assert found == expected | {"digest": CONFIG.digest}


def test_fusesoc_lints_it_as_a_core(folder, tmp_path):
    environment = {**toolchain.require(), "HOME": str(tmp_path)}
    environment["PATH"] = os.pathsep.join([str(TOOLS), environment["PATH"]])
    name = f"thresher:export:thresher_{folder.name}"

    def fusesoc(*arguments):
        command = ["fusesoc", "--cores-root", folder, *arguments]
        return subprocess.run(
            command, check=True, env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    assert name in fusesoc("core", "show", name).stdout
    fusesoc("run", "--target", "lint", name)
    assert list(tmp_path.glob("build/*/lint/*.vc"))


def test_tcl(folder):
    done = subprocess.run(
        [TOOLS / "tclint", folder / "thresher_bd.tcl"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_windows_have_the_size_of_their_memories(regmap):
    for window in regmap["windows"]:
        if not window["name"].startswith("stream_"):
            expected = window_items(Window[window["name"].upper()], CONFIG)
            assert (window["units"], window["items"], window["item_bits"]) == expected


def test_the_document_is_up_to_date():
    document = Path(__file__).resolve().parents[3] / "docs" / "integration.md"
    assert stream_map.streams_markdown() in document.read_text()
