"""The register map as a C header, and what software has to know of the network."""

from collections.abc import Mapping
from typing import Any

__all__ = ["c_header"]

_PORTS = ("input", "output")


def c_header(regmap: Mapping[str, Any], network: Mapping[str, Any] | None) -> str:
    """Macros with the byte offsets of `hw.csr.regmap`: THRESHER_REGISTER, THRESHER_WINDOW(u, i).

    Of a field of a register: its lowest bit, THRESHER_REGISTER_FIELD_BIT, and ..._MASK. Of
    `network`, which is `hw.export.resident.Resident.as_data`: THRESHER_INPUT_COUNT and its like,
    and, for those who define THRESHER_WITH_PLACES, where activations lie, by address.
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
    if network is not None:
        lines += _network(network)
    return "\n".join([*lines, "", "#endif", ""])


def _constant(name: str, value: int) -> list[str]:
    return [f"#define THRESHER_{name.upper()} {value:#x}u"]


def _network(network: Mapping[str, Any]) -> list[str]:
    most = max(network[name]["count"] for name in _PORTS)
    number = "uint16_t" if most <= 1 << 16 else "uint32_t"
    lines = [
        "",
        "/* The network that the memories hold at power-up; the integer q of an activation means",
        "   q * 2^-FRACTION. */",
        *_constant("IMAGE_ID_VALUE", network["image_id"]),
        *_constant("VECTORS_MAX", network["vectors_max"]),
    ]
    for name in _PORTS:
        for key in ("count", "bits", "vector_bytes"):
            lines += _constant(f"{name}_{key}", network[name][key])
        for key in ("fraction", "low", "high"):
            lines += [f"#define THRESHER_{name.upper()}_{key.upper()} ({network[name][key]})"]
    lines += [
        "",
        "#ifdef THRESHER_WITH_PLACES",
        "#include <stdint.h>",
        "/* Activations of vector 0: byte offset of the word that each begins in, and bit. */",
        "struct thresher_place {",
        "    uint32_t address;",
        f"    {number} activation;",
        "    uint8_t bit;",
        "};",
    ]
    for name in _PORTS:
        places = [(address, n, bit) for n, (address, bit) in enumerate(network[name]["places"])]
        lines += [f"static const struct thresher_place thresher_{name}_places[] = {{"]
        lines += [f"    {{{address:#x}u, {n}, {bit}}}," for address, n, bit in sorted(places)]
        lines += ["};"]
    return [*lines, "#endif"]
