"""`thresher bench`: figures measured in this very run."""

from __future__ import annotations

import click

from .verbs import Verbs

__all__ = ["bench"]

_BENCHES = {
    "sim": (
        "sw.cli.bench_sim:simulation_speed",
        "Clock cycles per second of the Verilated engine.",
    ),
    "lenet5": (
        "sw.cli.bench_lenet5:lenet5",
        "Cycles of LeNet-5, layer by layer, and what bounds them.",
    ),
    "latency": (
        "sw.cli.bench_latency:latency",
        "Cycles of one image at a time and of many; published FPGA designs.",
    ),
    "eie": (
        "sw.cli.bench_eie:eie_layers",
        "EIE's nine layers: cycles against a product per multiplier and cycle.",
    ),
    "scaling": (
        "sw.cli.bench_scaling:scaling",
        "EIE's layers on 1 to 256 elements, and over the depth of the queues.",
    ),
    "resources": (
        "sw.cli.bench_resources:engine_resources",
        "LUT, FF, block RAM and DSP of every block and engine; the routed clock.",
    ),
    "boards": (
        "sw.cli.bench_boards:boards",
        "What the builds of all boards came to: resources, clock, bitstream.",
    ),
    "compression": (
        "sw.cli.bench_compression:compression",
        "Error and size of compressed networks, trained from nothing.",
    ),
    "packing": (
        "sw.cli.bench_packing:packing",
        "Bytes, seconds and memory of networks as large as AlexNet and VGG-16.",
    ),
    "kmeans": ("sw.cli.bench_kmeans:kmeans", "Optimal k-means against scikit-learn's."),
}


@click.group(cls=Verbs, table=_BENCHES)
def bench() -> None:
    """Measure speed and size, and print what was measured."""
