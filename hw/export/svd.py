"""The register map as CMSIS-SVD: for debuggers, and for svd2rust and its kin."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import Any

from ..csr import window_bytes

__all__ = ["svd"]

# Of the schema that is followed, and of the XML Schema language.
_VERSION = "1.3"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_ACCESS = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write"}
_GUARDED = "; written only if its address is from write_first to write_last"
_WORD_BYTES = 4


def svd(regmap: Mapping[str, Any]) -> str:
    """CMSIS-SVD text of `hw.csr.regmap`: the registers, and every window as a block of its own.

    Addresses count from the accelerator's first byte.
    """
    device = ElementTree.Element(
        "device",
        {
            "schemaVersion": _VERSION,
            "xmlns:xs": _INSTANCE,
            "xs:noNamespaceSchemaLocation": "CMSIS-SVD.xsd",
        },
    )
    _leaves(
        device,
        vendor="Thresher",
        name="THRESHER",
        version=regmap["version"],
        description="Engine for compressed neural networks",
        addressUnitBits=8,
        width=32,
        size=32,
    )
    peripherals = ElementTree.SubElement(device, "peripherals")
    registers = _peripheral(peripherals, "THRESHER", "Registers", 0)
    for first, size in _runs([register["address"] for register in regmap["registers"]]):
        _block(registers, first, size, "registers")
    _registers(registers, regmap)
    for window in regmap["windows"]:
        block = _peripheral(
            peripherals, window["name"].upper(), f"Unit: {window['doc']}", window["address"]
        )
        _block(block, 0, window_bytes(window), "buffer")
    ElementTree.indent(device)
    return ElementTree.tostring(device, encoding="unicode", xml_declaration=False) + "\n"


def _registers(parent, regmap: Mapping[str, Any]) -> None:
    registers = ElementTree.SubElement(parent, "registers")
    for register in regmap["registers"]:
        element = ElementTree.SubElement(registers, "register")
        _leaves(
            element,
            name=register["name"].upper(),
            description=register["doc"] + (_GUARDED if register["guarded"] else ""),
            addressOffset=hex(register["address"]),
            access=_ACCESS[register["access"]],
        )
        if register["fields"]:
            _fields(ElementTree.SubElement(element, "fields"), register["fields"])


def _fields(parent, fields: Sequence[Mapping[str, Any]]) -> None:
    for field in fields:
        element = ElementTree.SubElement(parent, "field")
        _leaves(
            element,
            name=field["name"].upper(),
            description=field["doc"],
            bitOffset=field["first"],
            bitWidth=field["bits"],
            access=_ACCESS[field["access"]],
        )
        if field["access"] == "w1c":
            _leaves(element, modifiedWriteValues="oneToClear")


def _peripheral(parent, name: str, description: str, address: int):
    peripheral = ElementTree.SubElement(parent, "peripheral")
    _leaves(peripheral, name=name, description=description, baseAddress=hex(address))
    return peripheral


def _runs(addresses: list[int]) -> list[tuple[int, int]]:
    """(first byte, bytes) of each row of words that follow each other."""
    runs: list[tuple[int, int]] = []
    for address in addresses:
        if runs and sum(runs[-1]) == address:
            runs[-1] = (runs[-1][0], runs[-1][1] + _WORD_BYTES)
        else:
            runs.append((address, _WORD_BYTES))
    return runs


def _block(parent, first: int, size: int, usage: str) -> None:
    block = ElementTree.SubElement(parent, "addressBlock")
    _leaves(block, offset=hex(first), size=hex(size), usage=usage)


def _leaves(parent, **texts) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)
