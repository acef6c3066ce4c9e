"""A LiteX module that wraps an export."""

from collections.abc import Mapping
from typing import Any

from .verilog import TOP

__all__ = ["KINDS", "wrapper"]

KINDS = ("wishbone", "axi")

_HEAD = '''"""The accelerator of this folder in a LiteX SoC; `add_thresher` is all that a SoC needs.

Synthesis finds the memory contents (.mem) beside the Verilog; a simulation needs them in its
working folder.
"""

from pathlib import Path

from litex.gen import ClockSignal, Instance, LiteXModule, ResetSignal, Signal
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import {imports}

SIZE = {size:#x}  # bytes


class Thresher(LiteXModule):
    """The accelerator.

    Attributes
    ----------
{attributes}    busy : Signal
    """

    def __init__(self, platform):
{body}        self.busy = Signal()
        self.specials += Instance(
            "{top}",
            **{{
{ports}                "o_busy": self.busy,
            }},
        )
        platform.add_source(str(Path(__file__).with_name("{top}.v")))


def add_thresher(soc, origin, name="thresher"):
    """Put the accelerator on a SoC's bus and return it.

    Its first byte is at `origin`, a multiple of `SIZE`, where the CPU, if there is one, caches
    nothing.
    """
    thresher = Thresher(soc.platform)
    soc.add_module(name, thresher)
    soc.bus.add_slave(name, thresher.bus, SoCRegion(origin=origin, size=SIZE, cached=False))
    return thresher
'''
_WISHBONE = {
    "imports": "wishbone",
    "attributes": "    bus : wishbone.Interface\n",
    "body": """        bus = wishbone.Interface(data_width=32, adr_width={words}, addressing="word")
        self.bus = bus
""",
}
_AXI = {
    "imports": "axi, stream",
    "attributes": """    bus : axi.AXILiteInterface
    sink, source : stream.Endpoint
        Input and output vectors, an activation an item, `last` at the end of each.
""",
    "body": """        bus = axi.AXILiteInterface(data_width=32, address_width=32)
        self.bus = bus
        self.sink = sink = stream.Endpoint([("data", {item})])
        self.source = source = stream.Endpoint([("data", {item})])
""",
}


def wrapper(kind: str, top, regmap: Mapping[str, Any]) -> str:
    """Text of a Python module for LiteX, which has the buses in `KINDS`.

    Parameters
    ----------
    kind : the bus
    top : the component with its ports
    regmap : see `hw.csr.regmap`
    """
    bits = regmap["address_bits"]
    if kind == "wishbone":
        parts, ports = _WISHBONE, _wishbone(top)
    else:
        parts, ports = _AXI, _axi(top, bits)
    body = parts["body"].format(words=bits - 2, item=len(getattr(top, "s_axis_tdata", "")))
    lines = "".join(f'                "{port}": {what},\n' for port, what in ports.items())
    return _HEAD.format(**(parts | {"body": body}), size=1 << bits, ports=lines, top=TOP)


def _directed(top, port: str) -> str:
    return f"{'i' if top.signature.members[port].flow.name == 'In' else 'o'}_{port}"


def _wishbone(top) -> dict[str, str]:
    ports = {"i_clk": "ClockSignal()", "i_rst": "ResetSignal()"}
    for port in top.signature.members:
        if port.startswith("wb_"):
            ports[_directed(top, port)] = f"bus.{port.removeprefix('wb_')}"
    return ports


def _axi(top, bits: int) -> dict[str, str]:
    ports = {"i_aclk": "ClockSignal()", "i_aresetn": "~ResetSignal()"}
    for port in top.signature.members:
        prefix, _, name = port.rpartition("_")
        if prefix == "s_axil":
            channel = name[:1] if name[:1] in "wbr" else name[:2]
            member = f"bus.{channel}.{name.removeprefix(channel)}"
            ports[_directed(top, port)] = f"{member}[:{bits}]" if "addr" in name else member
        elif prefix in ("s_axis", "m_axis"):
            endpoint = "sink" if prefix == "s_axis" else "source"
            ports[_directed(top, port)] = f"{endpoint}.{name.removeprefix('t')}"
    return ports
