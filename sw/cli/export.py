"""What `thresher build --export` exports, and what it says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from hw import layouts
from hw.config import AcceleratorConfig
from hw.export import Activations, Export, Resident
from hw.export.stream_map import StreamSettings, StreamShape
from sw.compressed import CompressedNetwork
from sw.format import read
from sw.image import Image, Port
from sw.pack import pack_file
from sw.words import activation_stride, port_places, port_units

__all__ = ["network", "packed", "resident", "shown", "stream_settings"]


def packed(empty: Export, model: Path | None) -> Export:
    """An export with the network of a file in its memories, or, if None, as it is.

    Raises
    ------
    BadInput
        If the network does not fit.
    """
    if model is None:
        return empty
    network = read(model)
    image = pack_file(model, network, empty.config)
    return dataclasses.replace(empty, resident=resident(empty.kind, model.name, network, image))


def resident(kind: str, name: str, network: CompressedNetwork, image: Image) -> Resident:
    """A network as an export of a kind has it in its memories.

    Parameters
    ----------
    name : of its file
    image : of the network
    """
    config, fractions = image.config, network.fractions
    high = (1 << (config.activation_bits - 1)) - 1
    taken = image.input_low, image.input_high
    given = 0 if network.layers[-1].relu else -high - 1, high
    return Resident(
        name,
        image.contents,
        image.id,
        image.vectors,
        _activations(image.input, config, fractions[0], taken),
        _activations(image.output, config, fractions[-1], given),
        stream_settings(image) if kind == "axi" else StreamSettings(),
    )


def _activations(
    port: Port, config: AcceleratorConfig, fraction: int, limits: tuple[int, int]
) -> Activations:
    stride, units = activation_stride(config), port_units(port, config)
    unit, word, bit = port_places(port, config)
    first = port.base * stride
    places = [
        (units[u], first + w, b)
        for u, w, b in zip(unit.tolist(), word.tolist(), bit.tolist(), strict=True)
    ]
    return Activations(config.activation_bits, fraction, *limits, port.words * stride, places)


def stream_settings(image: Image) -> StreamSettings:
    """What the streams of an export have to know of an image, to run a vector at a time."""
    config, source = image.config, image.input
    stride = activation_stride(config)
    words = source.words * stride
    units = port_units(source, config)
    shape = StreamShape(config, len(source.slots), words * len(units))
    inputs = [
        layouts.encode(shape.input_place, {"lane": lane, "word": unit * words + word})
        for unit, word, lane in _stream_places(source, config)
    ]
    outputs = [
        layouts.encode(
            shape.output_place,
            {"lane": lane, "offset": image.output.base * stride + word, "group": unit},
        )
        for unit, word, lane in _stream_places(image.output, config)
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


def _stream_places(port: Port, config: AcceleratorConfig) -> list[tuple[int, int, int]]:
    """Of each activation of a port: unit, word of the bus within it, place within that word."""
    unit, word, bit = port_places(port, config)
    lane = bit // config.activation_bits
    return list(zip(unit.tolist(), word.tolist(), lane.tolist(), strict=True))


def network(name: str | None) -> str:
    """What the memories of a build or an export hold, by the name of the network's file."""
    return "none: the memories are empty" if name is None else name


def shown(summary: Mapping[str, Any], folder: Path) -> Group:
    """The summary of an export for people."""
    contents = [name for name in summary["files"] if name.endswith(".mem")]
    others = [name for name in summary["files"] if name not in contents]
    table = Table(show_header=False)
    table.add_row("top module", f"{summary['top']}, {summary['address_bits']} address bits")
    model = summary["model"]
    table.add_row("network", network(model and model["file"]))
    if contents:
        table.add_row("contents", f"{len(contents)} files: {contents[0]} …")
    if summary["streams"]:
        sizes = (summary["streams"][f"stream_{name}"] for name in ("inputs", "outputs"))
        table.add_row("vectors", "{:,} activations in, {:,} out".format(*sizes))
    table.add_row("other files" if contents else "files", ", ".join(others))
    return Group(table, f"Files: {folder}")
