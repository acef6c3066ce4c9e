"""The `thresher` command: one verb for every job, each imported only when it is used."""

from __future__ import annotations

import click

from .verbs import Verbs

__all__ = ["main"]

_VERBS = {
    "compress": ("sw.cli.compress:compress", "Compress a trained network into a .thr file."),
    "import-net": ("sw.cli.import_net:import_net", "Turn Deep Compression's SqueezeNet into .thr."),
    "recipes": ("sw.cli.recipes:recipes", "List and explain the recipes of compress."),
    "sensitivity": ("sw.cli.sensitivity:sensitivity", "Show how much pruning each layer bears."),
    "inspect": ("sw.cli.inspect:inspect", "Tell where the bits of a .thr file go."),
    "fit": ("sw.cli.fit:fit", "Tell whether a network fits a board, and what is short."),
    "explore": ("sw.cli.explore:explore", "Show what engines of every shape would make of it."),
    "sim": ("sw.cli.simulate:simulate", "Run a compressed network in simulation, checked."),
    "build": ("hw.build:build", "Build the accelerator for a board, or as Verilog."),
    "program": ("sw.cli.program:program", "Write a board's newest bitstream into it."),
    "load": ("sw.cli.load:load", "Load a network into a board, verified."),
    "run": ("sw.cli.run:run", "Run a network on a board, checked against the golden model."),
    "info": ("sw.cli.device:info", "Tell which accelerator is at a port, and what it holds."),
    "selftest": ("sw.cli.device:selftest", "Try a board: memories, and random networks."),
    "board": ("sw.cli.board:board", "Run a virtual board behind a serial port."),
    "bench": ("sw.cli.bench:bench", "Measure speed and size."),
    "demo": ("sw.cli.demo:demo", "Build for a board, run the shipped network, show figures."),
}


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    import importlib.metadata  # takes long

    try:
        version = importlib.metadata.version("thresher")
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"thresher {version}")
    ctx.exit()


@click.group(
    name="thresher",
    cls=Verbs,
    table=_VERBS,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""
    \b
    Example: from a trained network to a simulated accelerator
      thresher compress lenet.npz -o lenet.thr --density 0.08 --calibrate train.npy
      thresher sim lenet.thr --board arty --inputs test.npy

    Exit status: 0 done, 1 a check failed, 2 bad input.
    """,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Compress neural networks and run them, compressed, on a small FPGA.

    Each verb explains itself: thresher VERB --help.
    """
