"""An export: the accelerator as a folder that others build with, and that needs nothing else."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from amaranth.utils import ceil_log2

from ..boards import Board
from ..config import AcceleratorConfig
from ..csr import csr_csv, csr_json, regmap, regmap_json
from ..engine import Engine
from ..project import replacing
from ..regmap import ENGINE_SPACE, AddressSpace
from . import litex
from .folder import SUMMARY, ExportError, check_folder
from .fusesoc import core
from .header import c_header
from .resident import Resident, network_json
from .stream_map import StreamSettings, StreamShape, with_streams
from .streams import Streams
from .svd import svd
from .tops import AxiTop, PlainTop, WishboneTop
from .verilog import TOP, heading, to_verilog
from .vivado import block_design

__all__ = ["KINDS", "Export", "ExportError", "check", "write"]

KINDS = ("verilog", "wishbone", "axi")
# Activations that a vector on a stream may have, at least, if the engine has room for them.
_STREAM_ITEMS = 1024


@dataclasses.dataclass(frozen=True)
class Export:
    """What is to be exported.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    config : AcceleratorConfig
    board : Board or None
        For whose FPGA it is: its memories have the form that they have there. None for FPGAs with
        memories made of LUTs.
    resident : Resident or None
        The network that the memories hold at power-up; zeros if None.
    """

    kind: str
    config: AcceleratorConfig
    board: Board | None = None
    resident: Resident | None = None

    @property
    def streams(self) -> StreamSettings:
        """What the streams know at power-up."""
        return StreamSettings() if self.resident is None else self.resident.streams

    @property
    def stream_shape(self) -> StreamShape:
        """Room for the vectors of the streams: those of the network, 1,024 activations, or more.

        Raises
        ------
        ConfigError
            If this configuration's activations do not suit streams.
        """
        config, registers = self.config, self.streams.registers
        capacity = config.activation_depth * config.elements
        plain = StreamShape.of_vectors(config, min(_STREAM_ITEMS, capacity))
        needed = [registers.get(f"stream_{name}", 0) for name in ("inputs", "outputs")]
        room = registers.get("stream_words", 0) * max(1, registers.get("stream_groups", 0))
        return StreamShape(config, max(plain.items, *needed), max(plain.room, room))

    @property
    def memories(self) -> str | None:
        """The board whose memories it has, if they are in another form than on most FPGAs."""
        return self.board.name if self.board is not None and self.board.other_memories else None

    @property
    def space(self) -> AddressSpace:
        """Of the addresses on the bus that it shows."""
        if self.kind == "verilog":
            return ENGINE_SPACE
        items = self.stream_shape.items if self.kind == "axi" else 1
        return AddressSpace.smallest(self.config, ceil_log2(items))

    def regmap(self) -> dict[str, Any]:
        """See `hw.csr.regmap`."""
        registers = regmap(self.config, self.space)
        if self.kind != "axi":
            return registers
        return with_streams(registers, self.space, self.stream_shape)

    def network(self) -> dict[str, Any] | None:
        """See `Resident.as_data`."""
        return None if self.resident is None else self.resident.as_data(self.space)

    def top(self):
        """The component to be exported."""
        resident = self.resident
        if resident is None:
            engine = Engine(self.config)
        else:
            engine = Engine(self.config, resident.contents, resident.image_id)
        if self.kind == "verilog":
            return PlainTop(engine)
        if self.kind == "wishbone":
            return WishboneTop(engine, self.space)
        return AxiTop(engine, self.space, Streams(self.stream_shape, self.streams))


def check(kind: str, folder: Path) -> None:
    """Refuse a kind that is none, and a place that holds anything else than a former export.

    Raises
    ------
    ExportError
        Naming what is there.
    """
    if kind not in KINDS:
        raise ExportError(f"unknown export {kind!r}: it can be {', '.join(KINDS)}")
    check_folder(folder)


def write(export: Export, folder: Path) -> dict[str, Any]:
    """Write an export's files into a folder that becomes `folder`, whole or not at all.

    Returns
    -------
    What summary.json holds.

    Raises
    ------
    ExportError
        If there is something else in `folder`.
    BoardError
        If nothing can be in the memories of that board, but there are contents.
    """
    check(export.kind, folder)
    registers, network, top = export.regmap(), export.network(), export.top()
    verilog, contents = to_verilog(top, None if export.board is None else export.board.memories())
    files = {
        **contents,
        f"{TOP}.core": core(export.kind, list(contents)),
        f"{TOP}_bd.tcl": block_design(export.kind),
        "regmap.json": regmap_json(registers),
        "csr.csv": csr_csv(registers),
        "csr.json": csr_json(registers),
        f"{TOP}.svd": svd(registers),
        f"{TOP}.h": c_header(registers, network),
    }
    if export.kind in litex.KINDS:
        files[f"{TOP}_litex.py"] = litex.wrapper(export.kind, top, registers)
    model = None
    if network is not None:
        files["network.json"] = network_json(network)
        model = {"file": network["file"], "image_id": f"{network['image_id']:08x}"}
    summary = {
        "export": export.kind,
        "top": TOP,
        "config": dataclasses.asdict(export.config),
        "config_digest": f"{export.config.digest:08x}",
        "model": model,
        "memories": export.memories,
        "streams": dict(export.streams.registers) if export.kind == "axi" else None,
        "address_bits": registers["address_bits"],
        "files": sorted([f"{TOP}.v", *files]),
    }
    files[f"{TOP}.v"] = heading(summary) + verilog
    with replacing(folder) as new:
        for name, text in files.items():
            (new / name).write_text(text)
        (new / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary
