"""The register map as a C header."""

from collections.abc import Mapping
from typing import Any

__all__ = ["c_header"]


def c_header(regmap: Mapping[str, Any]) -> str:
    """Macros with the byte offsets of `hw.csr.regmap`: THRESHER_REGISTER, THRESHER_WINDOW(u, i).

    Of a field of a register: its lowest bit, THRESHER_REGISTER_FIELD_BIT, and ..._MASK.
    """
    lines = [
        "/* Register map of a Thresher accelerator: byte offsets from its first byte. */",
        "#ifndef THRESHER_H",
        "#define THRESHER_H",
        "",
        *_constant("MAGIC_VALUE", regmap["magic"]),
        *_constant("VERSION_VALUE", regmap["version"]),
        *_constant("CONFIG_DIGEST_VALUE", regmap["config_digest"]),
        "",
    ]
    for register in regmap["registers"]:
        guarded = ", guarded" if register["guarded"] else ""
        lines += [f"/* {register['access']}{guarded}: {register['doc']} */"]
        lines += _constant(register["name"], register["address"])
        for field in register["fields"]:
            name = f"{register['name']}_{field['name']}"
            lines += _constant(f"{name}_bit", field["first"])
            lines += _constant(f"{name}_mask", ((1 << field["bits"]) - 1) << field["first"])
    for window in regmap["windows"]:
        name = window["name"].upper()
        lines += ["", f"/* {window['access']}; unit: {window['doc']} */"]
        for key in ("units", "items", "item_bits", "item_bytes", "unit_bytes"):
            lines += _constant(f"{name}_{key}", window[key])
        lines += [
            f"#define THRESHER_{name}(unit, item) ({window['address']:#x}u"
            f" + (unit) * THRESHER_{name}_UNIT_BYTES + (item) * THRESHER_{name}_ITEM_BYTES)"
        ]
    lines += ["", "/* Offset within the item of a layer in the window of counters, in words. */"]
    for place, counter in enumerate(regmap["counters"]):
        lines += _constant(f"COUNTER_{counter}", place)
    return "\n".join([*lines, "", "#endif", ""])


def _constant(name: str, value: int) -> list[str]:
    return [f"#define THRESHER_{name.upper()} {value:#x}u"]
