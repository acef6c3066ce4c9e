"""`thresher compress`: a trained network into a .thr file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Group
from rich.table import Table

from sw import format as thr
from sw.compress import compress as compress_network
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.network import Network
from sw.read import read_inputs, read_network

from .output import check_output, console, emit, json_option

__all__ = ["compress"]

_FLOAT32_BYTES = 4


@click.command(
    epilog="""
    \b
    Examples:
      thresher compress lenet.npz -o lenet.thr
          keeps the zeros that are there, 4-bit codes
      thresher compress lenet.npz -o lenet.thr --density 0.08 --code-bits 5 \\
          --calibrate train.npy
          keeps the largest 8 % of each layer's weights, and chooses the number
          formats for inputs like those in train.npy
    """
)
@click.argument("source", metavar="NET", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="OUT.thr",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; not touched unless all goes well.",
)
@click.option(
    "--density",
    metavar="D",
    type=float,
    help="Share of each layer's weights to keep, above 0 and at most 1; all if not given.",
)
@click.option(
    "--code-bits",
    metavar="B",
    type=int,
    default=4,
    show_default=True,
    help="Bits of a weight's code, 1 to 8: a layer has 2^B - 1 distinct weights, and 0.",
)
@click.option(
    "--calibrate",
    metavar="X.npy",
    type=click.Path(path_type=Path),
    help="Inputs (n, inputs) as the network will see; without them, taken to be in [0, 1].",
)
@json_option
def compress(
    source: Path,
    output: Path,
    density: float | None,
    code_bits: int,
    calibrate: Path | None,
    as_json: bool,
) -> None:
    """Compress the trained network NET, without training it further.

    NET is an .npz or .safetensors file of fully connected layers: arrays NAME_w (outputs, inputs)
    and NAME_b (outputs,) in layer order, with ReLU between layers and none after the last.

    Small weights are pruned (--density), the others share the few values of a codebook
    (--code-bits), and every number becomes an integer (--calibrate), chosen such that no sum can
    overflow. Weights that are 0 stay 0.
    """
    check_output(output, source, calibrate)
    network = read_network(source)
    calibration = None
    if calibrate is not None:
        calibration = read_inputs(calibrate, network.inputs)
    with console().status("compressing"):
        try:
            compressed = compress_network(
                network, density=density, code_bits=code_bits, calibration=calibration
            )
        except BadInput as error:
            raise BadInput(f"{source}: {error}") from error
    data = thr.to_bytes(compressed)
    thr.write_file(output, data)
    if calibrate is None:
        console().print(
            "note: no --calibrate: inputs are taken to lie in [0, 1], in steps of 1/256"
        )
    record: dict[str, Any] = {
        "network": source,
        "output": output,
        "calibrated": calibrate is not None,
    }
    record |= _describe(network, compressed, len(data))
    emit(record, _show(record), as_json)


def _describe(network: Network, compressed: CompressedNetwork, size: int) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    for layer, fraction in zip(compressed.layers, compressed.fractions[1:], strict=True):
        stored = thr.storage(layer)
        layers.append(
            {
                "name": layer.name,
                "outputs": layer.outputs,
                "inputs": layer.inputs,
                "nonzeros": int(np.count_nonzero(layer.codes)),
                "density": np.count_nonzero(layer.codes) / layer.codes.size,
                "code_bits": layer.code_bits,
                "gap_bits": stored.gap_bits,
                "entries": stored.entries,
                "bytes": stored.bytes,
                "weight_fraction": layer.weight_fraction,
                "activation_fraction": fraction,
            }
        )
    nonzeros = sum(layer["nonzeros"] for layer in layers)
    fmt = compressed.input
    return {
        "parameters": network.parameters,
        "density": nonzeros / sum(layer.codes.size for layer in compressed.layers),
        "input": {"fraction": fmt.fraction, "low": fmt.low, "high": fmt.high},
        "layers": layers,
        "bytes": size,
        "float32_bytes": _FLOAT32_BYTES * network.parameters,
        "ratio": _FLOAT32_BYTES * network.parameters / size,
    }


def _show(record: dict[str, Any]) -> Group:
    table = Table()
    table.add_column("layer")
    for heading in (
        "shape",
        "density",
        "code\nbits",
        "gap\nbits",
        "bytes",
        "fraction bits\nw / out",
    ):
        table.add_column(heading, justify="right")
    for layer in record["layers"]:
        table.add_row(
            layer["name"],
            f"{layer['outputs']} × {layer['inputs']}",
            f"{layer['density']:.2%}",
            str(layer["code_bits"]),
            str(layer["gap_bits"]),
            f"{layer['bytes']:,}",
            f"{layer['weight_fraction']} / {layer['activation_fraction']}",
        )
    total = (
        f"{record['output']}: {record['bytes']:,} bytes, "
        f"{record['ratio']:.1f} times less than {record['float32_bytes']:,} as 32-bit floats"
    )
    return Group(table, total)
