"""The exported register map says what the register map says."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from hw.config import PRESETS
from hw.csr import csr_csv, regmap, regmap_json, regmap_markdown
from hw.regmap import COUNTERS, MAGIC, REGISTERS, Window, window_items
from sw.image import word_address

CONFIG = dataclasses.replace(PRESETS["tiny"], groups=3)


@pytest.fixture(scope="module")
def rows():
    return list(csv.reader(csr_csv(regmap(CONFIG), 50_000_000).splitlines()))


def test_csr_rows_have_the_five_columns_of_litex(rows):
    assert {len(row) for row in rows} == {5}
    assert {row[0] for row in rows} == {"csr_base", "csr_register", "constant", "memory_region"}


def test_csr_registers_are_one_word_apart(rows):
    registers = [row[1:] for row in rows if row[0] == "csr_register"]
    assert registers == [
        [f"thresher_{register.name}", f"0x{4 * place:08x}", "1", register.access]
        for place, register in enumerate(REGISTERS)
    ]


def test_csr_constants_that_litex_requires(rows):
    constants = {row[1]: int(row[2]) for row in rows if row[0] == "constant"}
    assert constants["config_csr_data_width"] == 32
    assert constants["config_bus_address_width"] == 32
    assert constants["config_clock_frequency"] == 50_000_000
    assert constants["thresher_config_digest_value"] == CONFIG.digest


@pytest.mark.parametrize("window", [w for w in Window if w != Window.REGISTERS])
def test_csr_memory_region_ends_with_the_last_word(rows, window):
    (region,) = [row for row in rows if row[0] == "memory_region" and row[1].upper() == window.name]
    units, items, bits = window_items(window, CONFIG)
    words_per_item = next(words for words in (1, 2, 4, 8, 16) if 32 * words >= bits)
    last = word_address(window, units - 1, items * words_per_item - 1)
    assert int(region[2], 16) == 4 * word_address(window)
    assert int(region[2], 16) + int(region[3]) == 4 * (last + 1)


def test_json_addresses_agree_with_the_bus():
    found = json.loads(regmap_json(regmap(CONFIG)))
    assert (found["magic"], found["config_digest"]) == (MAGIC, CONFIG.digest)
    assert [register["name"] for register in found["registers"]] == [r.name for r in REGISTERS]
    assert found["registers"][3]["address"] == 4 * word_address(Window.REGISTERS, 0, 3)
    assert found["counters"] == list(COUNTERS)
    windows = {window["name"]: window for window in found["windows"]}
    assert len(windows) == len(Window) - 1
    activations = windows["activations"]
    # 4 lanes of 16 bits: two bus words an item.
    assert (activations["item_bits"], activations["item_bytes"]) == (64, 8)
    place = activations["address"] + 2 * activations["unit_bytes"] + 5 * activations["item_bytes"]
    assert place == 4 * word_address(Window.ACTIVATIONS, 2, 10)


def test_the_document_is_up_to_date():
    document = Path(__file__).resolve().parents[2] / "docs" / "regmap.md"
    assert document.read_text() == regmap_markdown(), "python -m hw.csr > docs/regmap.md"
