"""The options by which verbs are given inputs for a network, and where its outputs go."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sim import golden
from sw import architectures, datasets, networks
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.read import read_inputs
from sw.vectors import clamped

from .output import check_output, console

__all__ = [
    "arch_option",
    "check_outputs",
    "choose_inputs",
    "input_options",
    "parse_shape",
    "read_shipped",
    "write_outputs",
]

arch_option = click.option(
    "--arch",
    metavar="NAME",
    help="Architecture that the arrays of an array file belong to: "
    f"{', '.join(architectures.NAMES)} (Caffe's has no ReLU after convolutions).",
)


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --inputs, --dataset, --count, --data and --outputs."""
    path = click.Path(path_type=Path)
    options = (
        click.option(
            "--inputs", metavar="X.npy", type=path, help="Float inputs (n, inputs), one array."
        ),
        click.option("--dataset", type=click.Choice(datasets.NAMES), help="Real images instead."),
        click.option("--count", metavar="N", type=int, help="Number of images of the data set."),
        click.option(
            "--data",
            metavar="DIR",
            type=path,
            help="Folder of the data set's IDX files; without it, the 1,000 embedded MNIST images.",
        ),
        click.option(
            "--outputs", metavar="Y.npy", type=path, help="Write the float outputs (n, outputs)."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_shipped(model: str) -> tuple[str, CompressedNetwork]:
    """A shipped network by its name, or that of a .thr file; and what to call it.

    Raises
    ------
    BadInput
        If it is neither.
    """
    if model in networks.NAMES:
        return model, thr.read(networks.path(model))
    path = Path(model)
    if path.suffix != ".thr" and not path.exists():
        raise BadInput(
            f"network {model!r} is neither a .thr file nor one of {', '.join(networks.NAMES)}"
        )
    return model, thr.read(path)


def parse_shape(text: str) -> tuple[int, ...]:
    """Shape of one input from text such as 1x28x28.

    Raises
    ------
    BadInput
        If it is no such text.
    """
    lengths = text.split("x")
    if not all(length.isascii() and length.isdigit() and int(length) for length in lengths):
        raise BadInput(f"--input-shape is {text!r}; it must be lengths, such as 1x28x28 or 784")
    return tuple(map(int, lengths))


def choose_inputs(
    network: CompressedNetwork,
    inputs: Path | None,
    dataset: str | None,
    count: int | None,
    data: Path | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Integer inputs that the options name, and labels where there are any."""
    width = network.inputs
    if inputs is None and dataset is None:
        raise BadInput("name the inputs: either --inputs X.npy or --dataset NAME")
    if inputs is not None:
        others = {"--dataset": dataset, "--count": count, "--data": data}
        for option, value in others.items():
            if value is not None:
                raise BadInput(
                    f"--inputs {inputs} and {option} {value} contradict each other: leave one out"
                )
    if inputs is not None:
        return _quantise(network, read_inputs(inputs, width)), None
    x, labels = datasets.load(str(dataset), count, data)
    if x.shape[1] != width:
        raise BadInput(
            f"layer {network.layers[0].name} takes {width} inputs, an image of {dataset} has "
            f"{x.shape[1]} pixels"
        )
    return _quantise(network, x), labels


def _quantise(network: CompressedNetwork, x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Integer inputs; a note says how many had to be clamped."""
    said = clamped(network, x)
    if said is not None:
        console().print(f"note: {said}")
    return golden.quantise(network, x)


def check_outputs(path: Path | None, *sources: Path | None) -> None:
    """Refuse, before any work is done, what the outputs cannot be written to.

    Parameters
    ----------
    sources : files that are read

    Raises
    ------
    BadInput
        Naming the file.
    """
    if path is None:
        return
    check_output(path, *sources)
    if path.suffix.lower() != ".npy":
        raise BadInput(f"{path} is not a name for outputs: they are an array, so end it in .npy")


def write_outputs(path: Path, network: CompressedNetwork, outputs: NDArray[np.int64]) -> None:
    """Write integer outputs (n, outputs) as the floats that they stand for."""
    file = io.BytesIO()
    np.save(file, golden.dequantise(network, outputs))
    thr.write_file(path, file.getvalue())
