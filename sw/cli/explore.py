"""`thresher explore`: the design space of an engine for a network, and its Pareto front."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from hw import boards
from hw.config import PRESETS, AcceleratorConfig
from sim.explore import BACKENDS, Backend, Knobs, Point, front, grid
from sim.explore import explore as run_points
from sw import datasets
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.format import write_file
from sw.fpga_designs import read_build
from sw.resource_model import (
    FAMILIES,
    Counted,
    ResourceModel,
    counted_engines,
    fit,
    memory_bits,
)

from .inputs import choose_inputs, read_shipped
from .output import check_output, console, emit, json_option
from .simulate import progress_bar

__all__ = ["explore"]

_IMAGES = 10
_AXES = {
    "lanes": "--lanes",
    "groups": "--groups",
    "queue_depth": "--queue",
    "entry_bits": "--entry-bits",
}
_UNITS = {"lut": "LUT", "bram36": "BRAM36", "ebr": "EBR", "dsp": "DSP"}
_BOARD = "arty"  # engines are like those of its family if no board is named


@click.command(
    epilog="""
    \b
    Examples:
      thresher explore
          the shipped LeNet-300-100, 96 engines, on all cores
      thresher explore net.thr --board arty --inputs x.npy --html space.html
          which engines fit the Arty, as a page with a plot
      thresher explore lenet5-best --lanes 4,8 --groups 1,2,4 --queue 32 --all
          every point of a smaller grid
      thresher explore --backend dask --scheduler tcp://host:8786
          on the workers of a Dask cluster
    """
)
@click.argument("model", metavar="[MODEL.thr|NAME]", default="lenet300100-best")
@click.option(
    "--lanes",
    metavar="L,L,...",
    default="2,4,8,16",
    show_default=True,
    help="Lanes: rows are spread over them.",
)
@click.option(
    "--groups",
    metavar="G,G,...",
    default="1,2,4,8",
    show_default=True,
    help="Groups: columns are spread over them.",
)
@click.option(
    "--queue",
    metavar="Q,Q,...",
    default="8,32",
    show_default=True,
    help="Places in the queue of each element.",
)
@click.option(
    "--entry-bits",
    metavar="B,B,...",
    default="9,10,12",
    show_default=True,
    help="Bits of an entry: code and gap.",
)
@click.option(
    "--board",
    metavar="B",
    help="Mark what fits this board's FPGA; without it, resources are an Artix-7's and all fits.",
)
@click.option(
    "--inputs",
    metavar="X.npy",
    type=click.Path(path_type=Path),
    help="Float inputs (n, inputs); without them, images of a data set.",
)
@click.option(
    "--dataset", type=click.Choice(datasets.NAMES), help="The data set.  [default: mnist]"
)
@click.option("--count", metavar="N", type=int, help=f"Its images.  [default: {_IMAGES}]")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the data set's IDX files; without it, the 1,000 embedded MNIST images.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="loky",
    show_default=True,
    help="Points run in processes, in threads, or on a Dask cluster.",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Of the Dask cluster, such as tcp://host:8786."
)
@click.option(
    "--jobs", metavar="N", type=int, help="Points at a time.  [default: one a core or worker]"
)
@click.option(
    "--fit",
    "builds",
    metavar="DIR",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Fit the model of resources to these builds instead; give several, of other shapes.",
)
@click.option("--all", "show_all", is_flag=True, help="List every point, not the front alone.")
@click.option(
    "--plot", metavar="F.png", type=click.Path(path_type=Path), help="Draw LUTs over cycles."
)
@click.option(
    "--html",
    metavar="F.html",
    type=click.Path(path_type=Path),
    help="Write a report: one file, which needs no other and no network.",
)
@json_option
def explore(model: str, show_all: bool, as_json: bool, **options: Any) -> None:
    """Try engines of every shape on a network: a .thr file, or the name of a shipped one.

    Every combination of lanes, groups, queue and entry is a point: an engine with memories just as
    deep as the network needs; shallow ones are made of LUTs, so that a board's own engine, which
    has deeper ones in block RAM, may take fewer. The network is packed for it, and the cycle model,
    which equals the RTL, says what each input takes alone. LUTs, block RAMs and DSPs are predicted
    by a model that is fitted to synthesised engines; the errors that it has there are shown. On the
    Pareto front are the points for which no other takes fewer cycles without more LUTs, of equal
    ones that with the least memory; with --board, of those that fit it.

    JSON: `network`, `inputs` (their number), `grid`, `family`, `board`, `capacity`, `backend`,
    `jobs`, `seconds`, `model` (`source` and number of the `engines` that it was fitted to, least
    and greatest of their `elements`; `errors`, the greatest of each resource, as shares), `plot`,
    `html`, and `points` in the order of the grid: `lanes`, `groups`, `queue_depth`, `entry_bits`,
    `elements`, `cycles` (`mean`, `max` of an input), `memory_bits`, `resources`, `fits`, `short`
    (why not, in words) and `pareto`.
    """
    network, x, points = _work(model, options)
    board = None if options["board"] is None else boards.find(options["board"])
    like = board or boards.find(_BOARD)
    family = like.family
    if family not in FAMILIES:
        raise BadInput(
            f"--board {like.name}: no engine for {like.part} was counted to predict from; "
            f"boards with {' or '.join(FAMILIES)} can be explored, such as arty and ulx3s"
        )
    capacity = (
        {} if board is None else {k: board.capacity[k] for k in _UNITS if k in board.capacity}
    )
    counted, source = _counted(family, options["builds"])
    resources = fit(family, counted)
    elements = [one.config.elements for one in counted]
    began = time.perf_counter()
    options["shared_tables"] = PRESETS[like.preset].shared_tables
    found = _run(network, x, points, options)
    record: dict[str, Any] = {
        "network": model,
        "inputs": len(x),
        "grid": {name: sorted({getattr(k, name) for k in points}) for name in _AXES},
        "family": family,
        "board": None if board is None else board.name,
        "capacity": capacity,
        **{name: options[name] for name in ("backend", "jobs")},
        "seconds": time.perf_counter() - began,
        "model": {
            "source": source,
            "engines": len(counted),
            "elements": [min(elements), max(elements)],
            "errors": resources.errors(counted),
        },
        "points": _describe_all(found, resources, capacity),
        **{name: options[name] for name in ("plot", "html")},
    }
    _write(record)
    emit(record, _show(record, show_all), as_json)


def _work(
    model: str, options: dict[str, Any]
) -> tuple[CompressedNetwork, NDArray[np.int64], list[Knobs]]:
    """The network, integer inputs and the grid; whatever is wrong is refused before any work."""
    axes = [_parse(knob, options[flag[2:].replace("-", "_")]) for knob, flag in _AXES.items()]
    jobs = options["jobs"]
    if jobs is not None and jobs < 1:
        raise BadInput(f"--jobs is {jobs}; it must be 1 or more")
    if (options["backend"] == "dask") != (options["scheduler"] is not None):
        raise BadInput("--backend dask and --scheduler ADDRESS go together: give both or neither")
    name, network = read_shipped(model)
    for output in (options["plot"], options["html"]):
        if output is not None:
            check_output(output, Path(name), options["inputs"])
    if options["plot"] is not None:
        from sw.plots import check_png  # matplotlib takes long to import

        check_png(options["plot"])
        if options["plot"] == options["html"]:
            raise BadInput(f"{options['plot']} cannot be both plot and report: name two files")
    dataset, count = options["dataset"], options["count"]
    if options["inputs"] is None:
        dataset, count = dataset or "mnist", _IMAGES if count is None else count
    x, _ = choose_inputs(network, options["inputs"], dataset, count, options["data"])
    if not len(x):
        raise BadInput(f"{options['inputs']} has no input; the cycles of one or more are needed")
    return network, x, grid(*axes)


def _counted(family: str, folders: Sequence[Path]) -> tuple[Sequence[Counted], str]:
    """Engines to fit the model of resources to, and what they are."""
    if not folders:
        return counted_engines(family), "the table of engines that Yosys has synthesised"
    found, tools = [], set()
    for folder in folders:
        build = read_build(folder)
        if boards.find(build.name).family != family:
            raise BadInput(f"{folder} is a build for {build.name}, which is not of family {family}")
        try:
            config = AcceleratorConfig(**build.config)
        except TypeError as error:
            raise BadInput(f"{folder} is a build of another release: {error}") from error
        found.append(Counted(config, build.used))
        tools.add(str(build.counted_by))
    return found, f"builds by {' and '.join(sorted(tools))}"


def _parse(knob: str, text: str) -> list[int]:
    """Values of an axis from "N,N,...", each once, in order."""
    option, (least, greatest) = _AXES[knob], AcceleratorConfig.limits(knob)
    values = set()
    for part in text.split(","):
        word = part.strip()
        if not (word.isascii() and word.isdigit()):
            raise BadInput(f"{option} has {word!r}; name whole numbers, such as 2,4,8")
        if not least <= int(word) <= greatest:
            raise BadInput(f"{option} has {word}; it must be from {least} to {greatest}")
        values.add(int(word))
    return sorted(values)


def _run(
    network: CompressedNetwork,
    x: NDArray[np.int64],
    points: Sequence[Knobs],
    options: dict[str, Any],
) -> list[Point]:
    backend: Backend = options["backend"]
    found = []
    with progress_bar() as bar:
        task = bar.add_task("points", total=len(points))
        rest = {name: options[name] for name in ("scheduler", "shared_tables")}
        for point in run_points(network, x, points, backend, options["jobs"] or -1, **rest):
            found.append(point)
            bar.advance(task)
    if all(point.config is None for point in found):
        raise BadInput(f"no point of the grid can be built; the first: {found[0].refused}")
    return found


def _describe_all(
    found: Sequence[Point], model: ResourceModel, capacity: dict[str, int]
) -> list[dict[str, Any]]:
    points = [_describe(point, model, capacity) for point in found]
    fitting = [point for point in points if point["fits"]]
    costs = [(point["cycles"]["mean"], point["resources"]["lut"]) for point in fitting]
    bits = [point["memory_bits"] for point in fitting]
    for point, is_best in zip(fitting, front(costs, bits), strict=True):
        point["pareto"] = is_best
    return points


def _describe(point: Point, model: ResourceModel, capacity: dict[str, int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        **dataclasses.asdict(point.knobs),
        "elements": point.knobs.lanes * point.knobs.groups,
    }
    if point.config is None:
        nothing = dict.fromkeys(("cycles", "memory_bits", "resources"))
        return record | nothing | {"fits": False, "short": [point.refused], "pareto": False}
    resources = model.predict(point.config)
    short = [
        f"{resources[name]:,g} {_UNITS[name]} of {there:,}"
        for name, there in capacity.items()
        if resources[name] > there
    ]
    return record | {
        "cycles": {"mean": float(np.mean(point.cycles)), "max": max(point.cycles)},
        "memory_bits": memory_bits(point.config),
        "resources": resources,
        "fits": not short,
        "short": short,
        "pareto": False,
    }


def _write(record: dict[str, Any]) -> None:
    """The plot and the page that were asked for."""
    notes = console()
    if record["plot"] is not None:
        from sw.plots import write_png
        from sw.report.space import figure

        write_png(record["plot"], figure(record))
        notes.print(f"wrote {record['plot']}")
    if record["html"] is not None:
        from sw.report.space import render

        write_file(record["html"], render(record).encode("utf-8", "replace"))
        notes.print(f"wrote {record['html']}")


def _show(record: dict[str, Any], show_all: bool) -> Group:
    points = record["points"]
    shown = points if show_all else [point for point in points if point["pareto"]]
    shown = sorted(shown, key=lambda p: p["cycles"]["mean"] if p["cycles"] else float("inf"))
    best = sum(point["pareto"] for point in points)
    where = "" if record["board"] is None else f" on {record['board']}"
    head = (
        f"{record['network']}, inputs: {record['inputs']:,}, each alone; {len(points):,} "
        f"engines{where}, {best} on the Pareto front of cycles and LUTs"
        + (" (marked)" if show_all else "; --all lists every one")
    )
    errors = ", ".join(
        f"{_UNITS[name]} {error:.1%}" for name, error in record["model"]["errors"].items()
    )
    model = record["model"]
    least, greatest = model["elements"]
    note = (
        f"Resources are predicted, for the whole design on {record['family']}, by a fit to "
        f"{model['source']}: {model['engines']} of {least} to {greatest} elements; greatest error "
        f"there: {errors}."
    )
    return Group(head, _table(record, shown), *_say_short(points), note)


def _table(record: dict[str, Any], points: Sequence[dict[str, Any]]) -> Table:
    resources = next(p["resources"] for p in record["points"] if p["resources"])
    table = Table()
    headings = ("lanes", "groups", "queue", "entry\nbits", "cycles\nmean", "cycles\nmax")
    for heading in (*headings, "memory\nkbit", *(_UNITS[name] for name in resources)):
        table.add_column(heading, justify="right")
    table.add_column("")
    for point in points:
        mark = "front" if point["pareto"] else "; ".join(point["short"])
        knobs = [str(point[name]) for name in _AXES]
        if point["resources"] is None:
            table.add_row(*knobs, *["-"] * (3 + len(resources)), mark)
            continue
        table.add_row(
            *knobs,
            f"{point['cycles']['mean']:,.1f}",
            f"{point['cycles']['max']:,}",
            f"{point['memory_bits'] / 1000:,.1f}",
            *(f"{value:,g}" for value in point["resources"].values()),
            mark,
        )
    return table


def _say_short(points: Sequence[dict[str, Any]]) -> list[str]:
    """How many points do not fit, and for want of what."""
    refused = [point for point in points if point["resources"] is None]
    short = [point for point in points if point["resources"] is not None and not point["fits"]]
    said = []
    if short:
        wants = collections.Counter(text.split()[1] for point in short for text in point["short"])
        of = ", ".join(f"{name} in {number}" for name, number in sorted(wants.items()))
        said.append(f"{len(short)} do not fit; too few are {of}.")
    for reason, number in collections.Counter(point["short"][0] for point in refused).items():
        said.append(f"{number} cannot be built: {reason}.")
    return said
