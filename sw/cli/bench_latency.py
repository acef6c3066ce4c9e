"""`thresher bench latency`: cycles of one image at a time and of many, beside published designs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table

from hw.boards import Board, find
from hw.config import ConfigError
from hw.export.stream_map import vector_cycles
from sim import golden
from sim.engine import open_engine
from sim.simulate import accuracy, first_difference
from sw import datasets
from sw.compressed import CompressedNetwork
from sw.driver import Accelerator
from sw.errors import BadInput
from sw.fpga_designs import Build, source_note
from sw.image import Image
from sw.pack import pack_file

from .export import stream_settings
from .fpga_comparison import (
    choose_builds,
    compare,
    designs_table,
    differences,
    published,
    say_build,
    say_sources,
)
from .inputs import read_shipped
from .output import console, counted, emit, json_option
from .resource_table import ROUTED
from .simulate import progress_bar
from .target import DEFAULT_BOARD, accelerator_options, board_config, choose_board, choose_config

__all__ = ["latency"]

_Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class _Runs:
    """What runs of at most so many images gave.

    Attributes
    ----------
    sizes : (runs,) int64
        Images of each run.
    cycles : (runs,) int64
    outputs : (images, outputs) int64
    layers : (runs, layers) int64
        Cycles of each layer.
    """

    sizes: _Ints
    cycles: _Ints
    outputs: _Ints
    layers: _Ints

    def per_image(self) -> dict[str, float]:
        """Mean over the images, and the run with the most cycles an image."""
        return {
            "mean": float(self.cycles.sum() / self.sizes.sum()),
            "max": float((self.cycles / self.sizes).max()),
        }


@click.command(
    name="latency",
    short_help="Cycles of one image at a time and of many; published FPGA designs.",
    epilog="""
    \b
    Examples:
      thresher bench latency
          the shipped LeNet-300-100 on the Arty's engine and the ULX3S's, 1,000 embedded images
      thresher bench latency --build build/ulx3s_85f-1a2b3c4d --board ulx3s
          compared at that build's routed clock
      thresher bench latency --net lenet5-best --lanes 8 --groups 2 --clock-mhz 100
    """,
)
@click.option(
    "--net",
    "model",
    metavar="NAME|M.thr",
    default="lenet300100-best",
    show_default=True,
    help="A shipped network, or a file.",
)
@accelerator_options
@click.option(
    "--count", metavar="N", type=int, default=1000, show_default=True, help="Test images of MNIST."
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of MNIST's IDX files; without it, the 1,000 embedded images.",
)
@click.option(
    "--build",
    "folders",
    metavar="DIR",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Folder of a build of this engine: its clock and resources. Several may be given.",
)
@click.option("--clock-mhz", metavar="F", type=float, help="Compare at this clock instead.")
@json_option
def latency(
    model: str,
    board: str | None,
    lanes: int | None,
    groups: int | None,
    count: int,
    data: Path | None,
    folders: tuple[Path, ...],
    clock_mhz: float | None,
    as_json: bool,
) -> None:
    """Count the cycles of single images, and of images that follow each other.

    Latency is the cycles of a run of one image, from its start to the last output written, with the
    input already on the chip. Throughput is the cycles of a run of as many images as the activation
    memories hold, for each image. All are run on the Verilated engine both ways, and every output
    is compared with the golden model, to the bit; exit status 1 if one differs.

    Where no engine, build or clock is chosen, the ULX3S-85F's engine is run, too: it is the one
    that open tools route, so that it has a clock that is more than an aim.

    Then the same in images per second, for each 1,000 LUT and for each BRAM36, beside published
    FPGA designs for MNIST.

    JSON: `network`, `lanes`, `groups`, `elements`, `images`, `images_per_run` (at most),
    `latency_cycles` and `throughput_cycles` (each `mean` and `max`: cycles of a run for each of its
    images), `axi_stream_cycles` (mean of an image through AXI4-Stream, computed from single images
    by docs/integration.md; null if this engine has none), `products` and `limit_cycles` (means; the
    limit is a product on every element in every cycle), `layers` (each `name`, `products`,
    `limit_cycles`, `cycles`: means of single images),
    `accuracy_percent`, `agrees_with_golden`, `difference`, `seconds`,
    `simulated_cycles_per_second`; `routed`, the same from `lanes` on of the ULX3S-85F's engine, or
    null if it was not run; `designs` (each `design`, `part`, `ours`, `clock_mhz`, `clock_of`,
    `counted_by`, `lut`, `bram36`, `dsp`, `accuracy_percent`, `fps`, `latency_ns`, `parameters`,
    `source`, `axi_stream_fps`, `fps_per_kilolut`, `fps_per_bram36`), `differences`, and `source` of
    the published designs.
    """
    name, network = read_shipped(model)
    config = choose_config(name, network, board, lanes, groups)
    chosen = board or lanes or folders or clock_mhz is not None
    engines = [(pack_file(name, network, config), choose_board(board, lanes))]
    engines += [] if chosen else _routed(name, network)
    x, labels = datasets.load("mnist", count, data)
    if x.shape[1] != network.inputs:
        raise BadInput(f"{name} takes {network.inputs} inputs, an image has {x.shape[1]} pixels")
    builds = [choose_builds(config, None if lanes else board or DEFAULT_BOARD, folders, clock_mhz)]
    builds += [choose_builds(image.config, ROUTED, (), None) for image, _ in engines[1:]]
    inputs = golden.quantise(network, x), labels
    runs = [_bench(network, *engine, inputs) for engine in engines]
    record = {
        "network": name,
        **_compared(runs, builds),
        "differences": differences(config, len(x)),
    }
    emit(record, _show(record), as_json)
    for run in runs:
        if not run["agrees_with_golden"]:
            console().print(f"{name} differs from the golden model: {run['difference']}")
            raise click.exceptions.Exit(1)


def _compared(runs: list[dict[str, Any]], builds: list[list[Build]]) -> dict[str, Any]:
    """The record of the engine, of the one that is routed if it was run, and of all designs.

    Parameters
    ----------
    runs : of each engine, see `_bench`
    builds : of each engine
    """
    own = [row for run, of in zip(runs, builds, strict=True) for row in compare(run, of)]
    return {
        **runs[0],
        "routed": runs[1] if runs[1:] else None,
        "designs": own + published(),
        "source": source_note(),
    }


def _routed(name: str, network: CompressedNetwork) -> list[tuple[Image, Board]]:
    """The network in the engine that is routed, if that holds it, and its board."""
    try:
        return [(pack_file(name, network, board_config(ROUTED)), find(ROUTED))]
    except BadInput as error:
        console().print(f"note: no row at a routed clock: {error}")
        return []


def _bench(
    network: CompressedNetwork, image: Image, board: Board | None, inputs: tuple[_Ints, _Ints]
) -> dict[str, Any]:
    """What is measured, for integer images and their labels, with the memories of a board."""
    x, labels = inputs
    tensors = golden.run(network, x)
    single, row, simulated, seconds = _simulate(image, board, x)
    both = np.concatenate([single.outputs, row.outputs])
    difference = first_difference(both, np.concatenate([tensors[-1]] * 2))
    products = golden.layer_products(network, x, tensors)
    layers = [
        {
            "name": layer.name,
            "products": float(of.mean()),
            "limit_cycles": float(of.mean()) / image.config.elements,
            "cycles": float(single.layers[:, place].mean()),
        }
        for place, (layer, of) in enumerate(zip(network.layers, products, strict=True))
    ]
    return {
        "lanes": image.config.lanes,
        "groups": image.config.groups,
        "elements": image.config.elements,
        "images": len(x),
        "images_per_run": int(row.sizes.max()),
        "latency_cycles": single.per_image(),
        "throughput_cycles": row.per_image(),
        "axi_stream_cycles": _axi_stream_cycles(image, single.cycles),
        "products": sum(layer["products"] for layer in layers),
        "limit_cycles": sum(layer["limit_cycles"] for layer in layers),
        "layers": layers,
        "accuracy_percent": 100 * accuracy(single.outputs, labels),
        "agrees_with_golden": difference is None,
        "difference": difference,
        "seconds": seconds,
        "simulated_cycles_per_second": simulated / seconds,
    }


def _simulate(image: Image, board: Board | None, x: _Ints) -> tuple[_Runs, _Runs, int, float]:
    """Single images, and images in a row; cycles and seconds of both together."""
    with progress_bar() as bar:
        task = bar.add_task("compiling the engine, if it is new", total=2 * len(x))
        with open_engine(image.config, board=board) as transport:
            accelerator = Accelerator(transport)
            accelerator.load(image)

            def runs(size: int) -> _Runs:
                return _run(accelerator, x, size, lambda n: bar.advance(task, n))

            began, before = time.perf_counter(), transport.cycles
            bar.update(task, description="single images")
            single = runs(1)
            bar.update(task, description="images in a row")
            row = runs(image.vectors)
            return single, row, transport.cycles - before, time.perf_counter() - began


def _axi_stream_cycles(image: Image, runs: _Ints) -> float | None:
    """Mean of an image through the streams of an export, given the cycles of each image's run."""
    try:
        registers = stream_settings(image).registers
    except ConfigError:  # its activations do not suit streams
        return None
    return float(np.mean([vector_cycles(registers, run) for run in runs.tolist()]))


def _run(accelerator: Accelerator, x: _Ints, size: int, progress: Callable[[int], None]) -> _Runs:
    """Runs of at most `size` images, all as large as can be or one image less."""
    # A short last run would have the latency of few images shared among them.
    parts = np.array_split(x, -(-len(x) // size))
    outputs, cycles, layers = [], [], []
    for part in parts:
        outputs.append(accelerator.run(part))
        cycles.append(accelerator.cycles)
        layers.append([counts.cycles for counts in accelerator.counters()])
        progress(len(part))
    return _Runs(
        np.array([len(part) for part in parts]),
        np.array(cycles),
        np.concatenate(outputs),
        np.array(layers),
    )


def _show(record: Mapping[str, Any]) -> Group:
    shown: list[RenderableType] = []
    for run in (record, record["routed"]):
        if run is not None:
            agrees = "every output equal, to the bit" if run["agrees_with_golden"] else "DIFFERS"
            shown += [
                f"{record['network']} on {counted(run['lanes'], 'lane')} × "
                f"{counted(run['groups'], 'group')}, {counted(run['images'], 'test image')} "
                f"of MNIST: {run['accuracy_percent']:.2f}% right",
                f"golden model: {agrees}; {run['simulated_cycles_per_second']:,.0f} cycles/s, "
                f"{run['seconds']:,.1f} s",
                _cycles_table(run),
            ]
    builds = [say_build(row) for row in record["designs"] if row["ours"]]
    notes = (*builds, *record["differences"], *say_sources(record))
    return Group(*shown, designs_table(record["designs"]), *(f"· {note}" for note in notes))


def _cycles_table(record: Mapping[str, Any]) -> Table:
    limit, streamed = record["limit_cycles"], record["axi_stream_cycles"]
    table = Table()
    table.add_column("cycles per image")
    for heading in ("mean", "max", "limit", "mean / limit"):
        table.add_column(heading, justify="right")
    in_a_row = f"{counted(record['images_per_run'], 'image')} in a row"
    for name, key in (("one image alone", "latency_cycles"), (in_a_row, "throughput_cycles")):
        cycles = record[key]
        table.add_row(
            name,
            f"{cycles['mean']:,.1f}",
            f"{cycles['max']:,.1f}",
            f"{limit:,.1f}",
            _ratio(cycles["mean"], limit),
        )
    if streamed is not None:
        table.add_row(
            "through AXI4-Stream", f"{streamed:,.1f}", "", f"{limit:,.1f}", _ratio(streamed, limit)
        )
    table.add_section()
    for layer in record["layers"]:
        table.add_row(
            f"  {layer['name']}, alone",
            f"{layer['cycles']:,.1f}",
            "",
            f"{layer['limit_cycles']:,.1f}",
            _ratio(layer["cycles"], layer["limit_cycles"]),
        )
    return table


def _ratio(cycles: float, limit: float) -> str:
    return f"{cycles / limit:.2f}" if limit else "-"
