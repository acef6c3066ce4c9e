"""The register map for people and tools: regmap.md, regmap.json, and csr.csv as LiteX has it."""

import json

from . import layouts
from .config import AcceleratorConfig
from .regmap import (
    COUNTER_DOCS,
    COUNTERS,
    MAGIC,
    REGISTERS,
    VERSION,
    WINDOW_UNITS,
    Window,
    window_items,
)

__all__ = ["csr_csv", "regmap_json", "regmap_markdown"]

_WORD_BYTES = layouts.BUS_BITS // 8
_UNIT_BYTES = _WORD_BYTES << layouts.address["unit"].offset
_WINDOW_BYTES = _WORD_BYTES << layouts.address["window"].offset


def _item_bytes(bits: int) -> int:
    return layouts.stride(bits) * _WORD_BYTES


def _memory_windows() -> list[Window]:
    return [window for window in Window if window != Window.REGISTERS]


def regmap_json(config: AcceleratorConfig) -> str:
    """Registers, counters and memory windows as JSON; every address is a byte address.

    Item `i` of unit `u` of a window is at ``address + u * unit_bytes + i * item_bytes``, its low
    32 bits first.
    """
    registers = [
        {
            "name": register.name,
            "address": place * _WORD_BYTES,
            "access": register.access,
            "doc": register.doc,
        }
        for place, register in enumerate(REGISTERS)
    ]
    windows = []
    for window in _memory_windows():
        units, items, bits = window_items(window, config)
        windows.append(
            {
                "name": window.name.lower(),
                "address": window * _WINDOW_BYTES,
                "units": units,
                "unit_bytes": _UNIT_BYTES,
                "items": items,
                "item_bits": bits,
                "item_bytes": _item_bytes(bits),
            }
        )
    regmap = {
        "magic": MAGIC,
        "version": VERSION,
        "config_digest": config.digest,
        "registers": registers,
        "counters": list(COUNTERS),
        "windows": windows,
    }
    return json.dumps(regmap, indent=2) + "\n"


def csr_csv(config: AcceleratorConfig, clock_hz: int) -> str:
    """The map as `litex_cli --csr-csv` and `litex.tools.remote.csr_builder` read it.

    A memory region covers all units of a window, from the first word to the last.
    """
    base = "thresher"
    rows = [f"csr_base,{base},0x{0:08x},,"]
    rows += [
        f"csr_register,{base}_{register.name},0x{place * _WORD_BYTES:08x},1,{register.access}"
        for place, register in enumerate(REGISTERS)
    ]
    # litex_cli refuses a map that does not say how wide its registers and addresses are.
    constants = {
        "config_csr_data_width": layouts.BUS_BITS,
        "config_bus_address_width": layouts.BUS_ADDRESS_BITS + (_WORD_BYTES - 1).bit_length(),
        "config_clock_frequency": clock_hz,
        "thresher_magic_value": MAGIC,
        "thresher_config_digest_value": config.digest,
    }
    rows += [f"constant,{name},{value},," for name, value in constants.items()]
    for window in _memory_windows():
        units, items, bits = window_items(window, config)
        size = (units - 1) * _UNIT_BYTES + items * _item_bytes(bits)
        address = window * _WINDOW_BYTES
        rows.append(f"memory_region,{window.name.lower()},0x{address:08x},{size},io")
    return "\n".join(rows) + "\n"


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
        "| window | byte address | unit |",
        "|---|---|---|",
    ]
    rows += [
        f"| {window.name.lower()} | {window * _WINDOW_BYTES:#010x} | {WINDOW_UNITS[window]} |"
        for window in Window
    ]
    rows += ["", "## Counters of a layer", "", "| offset | counter | what |", "|---|---|---|"]
    rows += [f"| {n} | {name} | {doc} |" for n, (name, doc) in enumerate(COUNTER_DOCS.items())]
    return "\n".join(["# Register map", "", "Made by `python -m hw.csr`.", "", *rows, ""])


if __name__ == "__main__":
    print(regmap_markdown(), end="")
