"""The register map for people and tools: regmap.json, and csr.csv in the form of LiteX."""

import json

from . import layouts
from .config import AcceleratorConfig
from .regmap import COUNTERS, MAGIC, REGISTERS, VERSION, Window, window_items

__all__ = ["csr_csv", "regmap_json"]

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
