"""What `thresher build --export` exports, and what it says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table

from hw import layouts
from hw.config import AcceleratorConfig
from hw.export import Export
from hw.export.stream_map import StreamSettings, StreamShape
from sw.format import read
from sw.image import Image, Port
from sw.pack import pack_file
from sw.words import activation_stride, port_units

__all__ = ["network", "packed", "shown", "stream_settings"]


def packed(empty: Export, model: Path | None) -> Export:
    """An export with the network of a file in its memories, or, if None, as it is.

    Raises
    ------
    BadInput
        If the network does not fit.
    """
    if model is None:
        return empty
    image = pack_file(model, read(model), empty.config)
    streams = stream_settings(image) if empty.kind == "axi" else StreamSettings()
    return dataclasses.replace(
        empty, contents=image.contents, image_id=image.id, model=str(model), streams=streams
    )


def stream_settings(image: Image) -> StreamSettings:
    """What the streams of an export have to know of an image, to run a vector at a time."""
    config, source = image.config, image.input
    stride = activation_stride(config)
    words = source.words * stride
    units = port_units(source, config)
    shape = StreamShape(config, len(source.slots), words * len(units))
    inputs = [
        layouts.encode(shape.input_place, {"lane": lane, "word": unit * words + word})
        for unit, word, lane in _places(source, config)
    ]
    outputs = [
        layouts.encode(
            shape.output_place,
            {"lane": lane, "offset": image.output.base * stride + word, "group": unit},
        )
        for unit, word, lane in _places(image.output, config)
    ]
    registers = {
        "stream_control": 1,
        "stream_inputs": len(inputs),
        "stream_outputs": len(outputs),
        "stream_first": source.base * stride,
        "stream_words": words,
        "stream_groups": 0 if source.copies else len(units),
    }
    return StreamSettings(registers, inputs, outputs)


def _places(port: Port, config: AcceleratorConfig) -> list[tuple[int, int, int]]:
    """Of each activation of a port: unit, word of the bus within it, place within that word."""
    word, lane = np.divmod(port.slots, config.lanes)
    index, unit = np.divmod(word, len(port_units(port, config)))
    part, bit = np.divmod(lane * config.activation_bits, layouts.BUS_BITS)
    offset = index * activation_stride(config) + part
    return list(
        zip(unit.tolist(), offset.tolist(), (bit // config.activation_bits).tolist(), strict=True)
    )


def network(summary: Mapping[str, Any]) -> str:
    """The network that the memories of a build or an export hold, by its summary."""
    model = summary["model"]
    return "none: the memories are empty" if model is None else str(model["path"])


def shown(summary: Mapping[str, Any], folder: Path) -> Group:
    """The summary of an export for people."""
    contents = [name for name in summary["files"] if name.endswith(".mem")]
    others = [name for name in summary["files"] if name not in contents]
    table = Table(show_header=False)
    table.add_row("top module", f"{summary['top']}, {summary['address_bits']} address bits")
    table.add_row("network", network(summary))
    if contents:
        table.add_row("contents", f"{len(contents)} files: {contents[0]} …")
    if summary["streams"]:
        sizes = (summary["streams"][f"stream_{name}"] for name in ("inputs", "outputs"))
        table.add_row("vectors", "{:,} activations in, {:,} out".format(*sizes))
    table.add_row("other files" if contents else "files", ", ".join(others))
    return Group(table, f"Files: {folder}")
