"""The register map for people and tools: regmap.md, regmap.json, and csr.csv as LiteX has it."""

import json
from collections.abc import Mapping
from typing import Any

from . import layouts
from .config import AcceleratorConfig
from .register import as_data
from .regmap import (
    COUNTER_DOCS,
    COUNTERS,
    ENGINE_SPACE,
    MAGIC,
    PLACE,
    REGISTERS,
    VERSION,
    WINDOW_ACCESS,
    WINDOW_UNITS,
    AddressSpace,
    Window,
    window_items,
)

__all__ = [
    "address_space",
    "csr_csv",
    "csr_json",
    "regmap",
    "regmap_json",
    "regmap_markdown",
    "window_bytes",
]

_WORD_BYTES = layouts.BUS_BITS // 8


def _item_bytes(bits: int) -> int:
    return layouts.stride(bits) * _WORD_BYTES


def _memory_windows() -> list[Window]:
    return [window for window in Window if window != Window.REGISTERS]


def regmap(config: AcceleratorConfig, space: AddressSpace = ENGINE_SPACE) -> dict[str, Any]:
    """Registers, counters and memory windows as JSON can hold them; addresses are byte addresses.

    Item `i` of unit `u` of a window is at ``address + u * unit_bytes + i * item_bytes``, its low
    32 bits first.
    """
    registers = as_data(
        REGISTERS,
        (space.word(Window.REGISTERS, 0, place) * _WORD_BYTES for place in PLACE.values()),
    )
    windows = []
    for window in _memory_windows():
        units, items, bits = window_items(window, config)
        windows.append(
            {
                "name": window.name.lower(),
                "address": space.word(window) * _WORD_BYTES,
                "units": units,
                "unit_bytes": _WORD_BYTES << space.offset_bits,
                "items": items,
                "item_bits": bits,
                "item_bytes": _item_bytes(bits),
                "access": WINDOW_ACCESS[window],
                "doc": WINDOW_UNITS[window],
            }
        )
    return {
        "magic": MAGIC,
        "version": VERSION,
        "config_digest": config.digest,
        "address_bits": space.bits + (_WORD_BYTES - 1).bit_length(),
        "registers": registers,
        "counters": list(COUNTERS),
        "windows": windows,
    }


def address_space(regmap: Mapping[str, Any]) -> AddressSpace:
    """That of the addresses in what `regmap` returned."""
    word_bits = regmap["address_bits"] - (_WORD_BYTES - 1).bit_length()
    offset_bits = (regmap["windows"][0]["unit_bytes"] // _WORD_BYTES).bit_length() - 1
    window_bits = ENGINE_SPACE.window_bits
    return AddressSpace(offset_bits, word_bits - offset_bits - window_bits, window_bits)


def regmap_json(regmap: Mapping[str, Any]) -> str:
    """What `regmap` returns, as text."""
    return json.dumps(regmap, indent=2) + "\n"


def csr_json(regmap: Mapping[str, Any], clock_hz: int | None = None) -> str:
    """The map as LiteX's `get_csr_json` writes it and its tools read it.

    A memory region covers all units of a window, from the first word to the last.
    """
    return json.dumps(_litex(regmap, clock_hz), indent=2) + "\n"


def csr_csv(regmap: Mapping[str, Any], clock_hz: int | None = None) -> str:
    """The same as `litex_cli --csr-csv` and `litex.tools.remote.csr_builder` read it."""
    maps = _litex(regmap, clock_hz)
    rows = [f"csr_base,{name},0x{address:08x},," for name, address in maps["csr_bases"].items()]
    rows += [
        f"csr_register,{name},0x{register['addr']:08x},{register['size']},{register['type']}"
        for name, register in maps["csr_registers"].items()
    ]
    rows += [f"constant,{name},{value},," for name, value in maps["constants"].items()]
    rows += [
        f"memory_region,{name},0x{region['base']:08x},{region['size']},{region['type']}"
        for name, region in maps["memories"].items()
    ]
    return "\n".join(rows) + "\n"


def _litex(regmap: Mapping[str, Any], clock_hz: int | None) -> dict[str, dict[str, Any]]:
    # litex_cli refuses a map that does not say how wide its registers and addresses are.
    constants = {
        "config_csr_data_width": layouts.BUS_BITS,
        "config_bus_address_width": layouts.BUS_ADDRESS_BITS + (_WORD_BYTES - 1).bit_length(),
    }
    if clock_hz is not None:
        constants["config_clock_frequency"] = clock_hz
    constants["thresher_magic_value"] = regmap["magic"]
    constants["thresher_config_digest_value"] = regmap["config_digest"]
    return {
        "csr_bases": {"thresher": 0},
        "csr_registers": {
            f"thresher_{register['name']}": {
                "addr": register["address"],
                "size": 1,
                "type": register["access"],
            }
            for register in regmap["registers"]
        },
        "constants": constants,
        "memories": {
            window["name"]: {
                "base": window["address"],
                "size": window_bytes(window),
                "type": "io",
            }
            for window in regmap["windows"]
        },
    }


def window_bytes(window: Mapping[str, Any]) -> int:
    """From the first byte of a window of `regmap` to its last."""
    return (window["units"] - 1) * window["unit_bytes"] + window["items"] * window["item_bytes"]


def regmap_markdown() -> str:
    """docs/regmap.md: ``python -m hw.csr > docs/regmap.md``."""
    fields = ", ".join(
        f"{name} (bits {field.offset + field.width - 1}..{field.offset})"
        for name, field in layouts.address
    )
    rows = ["| byte address | register | access | what |", "|---|---|---|---|"]
    rows += [
        f"| {place * _WORD_BYTES:#06x} | {register.name} | {register.access}"
        f"{', guarded' if register.guarded else ''} | {register.doc} |"
        for place, register in enumerate(REGISTERS)
    ]
    rows += ["", "All windows are guarded, too."]
    rows += ["", "## Memory windows", ""]
    rows += [
        f"A word address is a byte address divided by four: {fields}. An item of more than 32 bits",
        "takes several words, the low one first, rounded up to a power of two. Sizes depend on the",
        "configuration; regmap.json and csr.csv in a build folder give them.",
        "",
        "| window | byte address | access | unit |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {window.name.lower()} | {ENGINE_SPACE.word(window) * _WORD_BYTES:#010x} "
        f"| {WINDOW_ACCESS[window]} | {WINDOW_UNITS[window]} |"
        for window in Window
    ]
    rows += ["", "## Counters of a layer", "", "| offset | counter | what |", "|---|---|---|"]
    rows += [f"| {n} | {name} | {doc} |" for n, (name, doc) in enumerate(COUNTER_DOCS.items())]
    return "\n".join(["# Register map", "", "Made by `python -m hw.csr`.", "", *rows, ""])


if __name__ == "__main__":
    print(regmap_markdown(), end="")
