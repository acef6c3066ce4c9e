"""What an export says of its network: against the packer, and as a C compiler reads it."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cases import Case, addresses

from hw.config import PRESETS
from hw.csr import regmap_json
from hw.export import KINDS, Export, write
from hw.export.header import c_header
from sim import golden
from sim.random_network import Recipe
from sw import format as thr
from sw import networks
from sw.cli.export import resident
from sw.format import read
from sw.pack import pack
from sw.words import activation_address, image_words, port_units, to_words

CASE = Case(
    dataclasses.replace(PRESETS["tiny"], lanes=3, groups=2), Recipe([20, 12, 5], density=0.3), 1
)

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "integration.md"


def shipped(name):
    network = read(networks.path(name))
    return network, pack(network, PRESETS["arty_a7_35t"])


@pytest.fixture(
    scope="module",
    params=[
        lambda: (CASE.network, CASE.image),
        lambda: shipped("lenet300100-best"),
        lambda: shipped("lenet5-best"),
    ],
    ids=["random", "lenet300100", "lenet5"],
)
def laid_out(request):
    """A network and its image."""
    return request.param()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["input", "output"])
def test_places(laid_out, kind, name):
    """Vectors put where network.json says are what the driver sends."""
    network, image = laid_out
    config, port = image.config, getattr(image, name)
    export = Export(kind, config, resident=resident(kind, "net.thr", network, image))
    found = export.network()[name]
    high = 1 << (config.activation_bits - 1)
    count = min(2, image.vectors)
    x = np.random.default_rng(1).integers(-high, high, (count, found["count"]))
    held = {}
    for number, vector in enumerate(x.tolist()):
        for value, (address, bit) in zip(vector, found["places"], strict=True):
            first = address + number * found["vector_bytes"]
            held[first] = held.get(first, 0) | (value % (2 * high)) << bit
    sent = {}
    for unit, words in zip(port_units(port, config), to_words(x, port, config), strict=True):
        places = addresses(export.space, activation_address(port, unit, config), len(words))
        sent |= zip(places, words.tolist(), strict=True)
    assert held.items() <= sent.items()
    assert not any(word for address, word in sent.items() if address not in held)


def test_what_the_integers_mean(laid_out):
    """A vector of floats, by nothing but network.json."""
    network, image = laid_out
    facts = resident("wishbone", "net.thr", network, image)
    given, output = facts.input, facts.output
    x = np.random.default_rng(1).uniform(-2, 2, (20, network.inputs))
    integers = np.floor(x * 2.0**given.fraction + 0.5).clip(given.low, given.high)
    np.testing.assert_array_equal(integers, golden.quantise(network, x))
    found = golden.run(network, integers.astype(int))[-1]
    np.testing.assert_array_equal(found * 2.0**-output.fraction, golden.dequantise(network, found))
    assert output.low <= found.min() <= found.max() <= output.high
    assert (output.low == 0) == network.layers[-1].relu
    assert (given.bits, output.bits) == (network.activation_bits, network.activation_bits)
    assert facts.vectors == image.vectors


def test_files(tmp_path):
    case = dataclasses.replace(CASE, config=dataclasses.replace(PRESETS["tiny"], lanes=1))
    summary = write(case.export("wishbone"), tmp_path / "export")
    assert "network.json" in summary["files"]
    found = json.loads((tmp_path / "export" / "network.json").read_text())
    assert found == json.loads(json.dumps(case.export("wishbone").network()))
    assert found["file"] == "net.thr"
    assert f"{found['image_id']:08x}" == summary["model"]["image_id"]
    empty = write(Export("wishbone", case.config), tmp_path / "export")
    assert "network.json" not in empty["files"]
    assert "INPUT" not in (tmp_path / "export" / "thresher.h").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_another_network_as_the_document_has_it(kind, tmp_path, monkeypatch):
    """The same words at the same addresses as if the export were made with it."""
    other = dataclasses.replace(CASE, seed=2)
    export = CASE.export(kind)
    summary = {"export": kind, "config": dataclasses.asdict(CASE.config)}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "regmap.json").write_text(regmap_json(export.regmap()))
    thr.write(tmp_path / "other.thr", other.network)
    monkeypatch.chdir(tmp_path)
    found = {}
    (code,) = re.findall(r"```python\n(.*?image_words.*?)```", DOCUMENT.read_text(), re.S)
    exec(code, found)
    expected = []
    for first, words in image_words(other.image):
        expected += zip(addresses(export.space, first, len(words)), words.tolist(), strict=True)
    assert found["writes"] == expected
    assert found["facts"] == other.export(kind).network() | {"file": "other.thr"}


PROGRAM = """
#define THRESHER_WITH_PLACES
#include <stdio.h>
#include "thresher.h"
#define PORT(NAME, name) \\
    printf("%u %u %d %d %d %u %u\\n", THRESHER_##NAME##_COUNT, THRESHER_##NAME##_BITS, \\
        THRESHER_##NAME##_FRACTION, THRESHER_##NAME##_LOW, THRESHER_##NAME##_HIGH, \\
        THRESHER_##NAME##_VECTOR_BYTES, (unsigned)sizeof thresher_##name##_places); \\
    for (unsigned i = 0; i < THRESHER_##NAME##_COUNT; i++) \\
        printf("%u %u %u\\n", (unsigned)thresher_##name##_places[i].address, \\
            (unsigned)thresher_##name##_places[i].bit, \\
            (unsigned)thresher_##name##_places[i].activation);
int main(void) {
    printf("%u %u\\n", THRESHER_IMAGE_ID_VALUE, THRESHER_VECTORS_MAX);
    PORT(INPUT, input)
    PORT(OUTPUT, output)
    return 0;
}
"""


def test_header(laid_out, tmp_path):
    network, image = laid_out
    export = Export("axi", image.config, resident=resident("axi", "net.thr", network, image))
    facts = export.network()
    (tmp_path / "thresher.h").write_text(c_header(export.regmap(), facts))
    (tmp_path / "main.c").write_text(PROGRAM)
    command = ["g++", "-x", "c", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99", "main.c"]
    subprocess.run([*command, "-o", "main"], check=True, cwd=tmp_path)
    output = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    expected = [[facts["image_id"], facts["vectors_max"]]]
    for port in (facts["input"], facts["output"]):
        numbers = [port[key] for key in ("count", "bits", "fraction", "low", "high")]
        expected += [[*numbers, port["vector_bytes"], 8 * port["count"]]]
        places = [[address, bit, n] for n, (address, bit) in enumerate(port["places"])]
        expected += sorted(places, key=lambda place: (place[0], place[2]))
    assert [[int(word) for word in line.split()] for line in output.splitlines()] == expected
