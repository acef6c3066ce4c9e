"""`thresher fit`: whether a network fits a board, and what each memory uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from hw.config import AcceleratorConfig
from hw.regmap import Window, window_items
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.pack import Usage, naming, pack, usage

from .output import emit, json_option
from .target import board_config

__all__ = ["fit"]

# Knob -> the memory that it sizes; the accumulators alone have no window.
_WINDOWS = {
    "entry_depth": Window.ENTRIES,
    "column_depth": Window.POINTERS,
    "segment_depth": Window.SEGMENTS,
    "bias_depth": Window.BIAS,
    "codebook_depth": Window.CODEBOOK,
    "activation_depth": Window.ACTIVATIONS,
    "layer_depth": Window.PROGRAM,
}


@click.command(
    epilog="""
    \b
    Example:
      thresher fit lenet.thr --board arty
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@click.option("--board", metavar="B", default="arty", show_default=True, help="Board to fit into.")
@json_option
def fit(model: Path, board: str, as_json: bool) -> None:
    """Tell whether MODEL.thr fits a board, what each memory holds, and what is short.

    Exit status 1 if it does not fit. Nothing is synthesised, so the answer comes at once.
    """
    network = thr.read(model)
    config = board_config(board)
    with naming(model):
        needs = usage(network, config)
    refusal = _refusal(network, config)
    record = {
        "model": model,
        "board": board,
        "fits": refusal is None,
        "short": refusal,
        "memories": [_describe(need, config) for need in needs],
    }
    emit(record, _show(record), as_json)
    if refusal is not None:
        raise click.exceptions.Exit(1)


def _refusal(network: CompressedNetwork, config: AcceleratorConfig) -> str | None:
    """Why the network cannot be packed; None if it can."""
    try:
        pack(network, config)
    except BadInput as error:
        return str(error)
    return None


def _describe(need: Usage, config: AcceleratorConfig) -> dict[str, Any]:
    if need.knob == "accumulator_depth":
        units, width = 2 * config.elements, config.accumulator_bits
    else:
        units, _, width = window_items(_WINDOWS[need.knob], config)
    return {
        "knob": need.knob,
        "holds": need.holds,
        "used": need.used,
        "available": need.available,
        "layer": need.layer,
        "memories": units,
        "bits_each": need.available * width,
    }


def _show(record: dict[str, Any]) -> Group:
    table = Table()
    table.add_column("memory")
    for heading in ("used", "available", "share"):
        table.add_column(heading, justify="right")
    table.add_column("most in layer")
    for memory in record["memories"]:
        share = memory["used"] / memory["available"]
        table.add_row(
            memory["holds"],
            f"{memory['used']:,}",
            f"{memory['available']:,}",
            Text(f"{share:.0%}", style="red" if share > 1 else ""),
            memory["layer"],
        )
    verdict = "fits"
    if not record["fits"]:
        config = board_config(record["board"])
        verdict = (
            f"does not fit: {record['short']}. A simulated engine with memories that hold it: "
            f"thresher sim {record['model']} --lanes {config.lanes} --groups {config.groups}"
        )
    return Group(table, f"{record['model']} on {record['board']}: {verdict}")
