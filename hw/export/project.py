"""An export: the accelerator as a folder that others build with, and that needs nothing else."""

import dataclasses
import json
from collections.abc import Mapping
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
from .stream_map import StreamSettings, StreamShape, with_streams
from .streams import Streams
from .svd import svd
from .tops import AxiTop, PlainTop, WishboneTop
from .verilog import TOP, to_verilog
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
    contents : window -> per unit, items of 32-bit parts
        What the memories hold at power-up (`sw.image.Image.contents`); zeros if None.
    image_id : int
        `sw.image.Image.id` of the contents; 0 without them.
    model : str or None
        Where the contents come from.
    streams : StreamSettings
        Those of the network; heeded by "axi" alone.
    """

    kind: str
    config: AcceleratorConfig
    board: Board | None = None
    contents: Mapping | None = None
    image_id: int = 0
    model: str | None = None
    streams: StreamSettings = dataclasses.field(default_factory=StreamSettings)

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

    def top(self):
        """The component to be exported."""
        engine = Engine(self.config, self.contents, self.image_id)
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
    registers, top = export.regmap(), export.top()
    verilog, contents = to_verilog(top, None if export.board is None else export.board.memories())
    files = {
        f"{TOP}.v": verilog,
        **contents,
        f"{TOP}.core": core(export.kind, list(contents)),
        f"{TOP}_bd.tcl": block_design(export.kind),
        "regmap.json": regmap_json(registers),
        "csr.csv": csr_csv(registers),
        "csr.json": csr_json(registers),
        f"{TOP}.svd": svd(registers),
        f"{TOP}.h": c_header(registers),
    }
    if export.kind in litex.KINDS:
        files[f"{TOP}_litex.py"] = litex.wrapper(export.kind, top, registers)
    model = None
    if export.contents is not None:
        model = {"path": export.model, "image_id": f"{export.image_id:08x}"}
    summary = {
        "export": export.kind,
        "top": TOP,
        "config": dataclasses.asdict(export.config),
        "config_digest": f"{export.config.digest:08x}",
        "model": model,
        "memories": export.memories,
        "streams": dict(export.streams.registers) if export.kind == "axi" else None,
        "address_bits": registers["address_bits"],
        "files": sorted(files),
    }
    with replacing(folder) as new:
        for name, text in files.items():
            (new / name).write_text(text)
        (new / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary
