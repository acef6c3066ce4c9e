"""`thresher explore`: the design space of an engine for a network, and its Pareto front."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hw import boards
from hw.config import PRESETS, AcceleratorConfig
from sim.explore import BACKENDS, Backend, Knobs, Point, check, grid
from sim.explore import explore as run_points
from sw import datasets
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.format import write_file

from . import space_record
from .inputs import choose_inputs, read_shipped
from .output import check_output, console, emit, json_option
from .simulate import progress_bar
from .space_table import show

__all__ = ["explore"]

_IMAGES = 10
_AXES = {
    "lanes": "--lanes",
    "groups": "--groups",
    "queue_depth": "--queue",
    "entry_bits": "--entry-bits",
}
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
    deep as the network needs. Shallow ones are made of LUTs; where --board has too few of these,
    memories are made deeper, so that they are of block RAM, one after the other until LUTs suffice
    or block RAM is used up. Cycles do not depend on that. The network is packed, and the cycle
    model, which tests hold equal to the RTL on up to 8 × 4 elements, says what each input takes
    alone. LUTs, block RAMs and DSPs are predicted by a model that is fitted to a few synthesised
    engines. How far off it may be is told by trial: each of these engines is predicted by a fit to
    the others, as if it had not been synthesised, and the greatest error is shown. Where a point
    has more or fewer elements than any of them, a star in tables and a dot in plots say so: it may
    be further off. On the Pareto front are the points for which no other takes fewer cycles without
    more LUTs, of equal ones that with the least memory; with --board, of those that fit it.

    JSON: `network`, `inputs` (their number), `grid`, `family`, `board`, `capacity`, `backend`,
    `jobs`, `seconds`, `model` (`source` and number of the `engines` that it was fitted to, least
    and greatest of their `elements`; `held_out_errors`, for each resource the greatest error of
    that trial as a share, null if there is one engine only; `stale`, whether the hardware has
    changed since they were counted, null with --fit), `plot`, `html`, and `points` in the order of
    the grid: `lanes`, `groups`, `queue_depth`, `entry_bits`, `elements`, `cycles` (`mean`, `max` of
    an input), `depths` (of its memories), `deepened` (which of them are deeper than the network
    needs), `memory_bits`, `resources`, `extrapolated` (whether its elements are more or fewer than
    any of those engines has), `fits`, `short` (why not, in words) and `pareto`. Resources are `lut`
    and `dsp`, and `bram36` on the 7 series, `ebr` on the ECP5.
    """
    network, x, points = _work(model, options)
    board = None if options["board"] is None else boards.find(options["board"])
    like = board or boards.find(_BOARD)
    sample = space_record.sample(like, options["builds"])
    options["shared_tables"] = PRESETS[like.preset].shared_tables
    began = time.perf_counter()
    found = _run(network, x, points, options)
    record: dict[str, Any] = {
        "network": model,
        "inputs": len(x),
        "grid": {name: sorted({getattr(k, name) for k in points}) for name in _AXES},
        "seconds": time.perf_counter() - began,
        **space_record.describe(found, sample, board),
        **{name: options[name] for name in ("backend", "jobs", "plot", "html")},
    }
    _write(record)
    emit(record, show(record, show_all), as_json)


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
    points = grid(*axes)
    check(network, points)
    return network, x, points


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

        write_file(record["html"], render(record, boards.RESOURCES).encode("utf-8", "replace"))
        notes.print(f"wrote {record['html']}")
