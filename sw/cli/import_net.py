"""`thresher import-net`: a network that Deep Compression's authors compressed, into a .thr file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from sw import format as thr
from sw.architectures import NAMES, template
from sw.compress.formats import Shared, Widths, input_format
from sw.compress.pipeline import in_integers
from sw.compress.share import share
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.network import Layer
from sw.read import read_inputs
from sw.read.net import StoredLayer, read_net

from .output import check_output, console, emit, json_option

__all__ = ["import_net"]

_CODE_BITS = 8
_FLOAT32_BYTES = 4
_MARGIN = 2.0  # by which outputs may exceed those of the calibration inputs
# Without these: as many random vectors, which say little of real ones, so that the margin is more.
_STAND_INS = 4
_STAND_IN_MARGIN = 16.0
_STEPS = 256  # of the range that they are taken from


@click.command(
    epilog="""
    \b
    Examples:
      thresher import-net compressed_SqueezeNet.net --arch squeezenet-v1.0 \\
          -o squeezenet.thr --calibrate images.npy
          chooses number formats for images like those in images.npy: (n, 154587),
          that is 3 × 227 × 227, blue plane first, each pixel less the mean of its plane
      thresher import-net compressed_SqueezeNet.net --arch squeezenet-v1.0 \\
          -o squeezenet.thr --range -124 152
          the same for any images: their pixels less the mean lie in that range
    """
)
@click.argument("source", metavar="FILE.net", type=click.Path(path_type=Path))
@click.option(
    "--arch",
    metavar="NAME",
    required=True,
    help=f"Architecture of the network, which the file does not say: {', '.join(NAMES)}.",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT.thr",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; not touched unless all goes well.",
)
@click.option(
    "--calibrate",
    metavar="X.npy",
    type=click.Path(path_type=Path),
    help="Inputs (n, inputs) as the network will see; a few are enough.",
)
@click.option(
    "--range",
    "limits",
    metavar="LOW HIGH",
    type=float,
    nargs=2,
    default=(0.0, 1.0),
    show_default=True,
    help="Without --calibrate, between what inputs lie: a few random ones stand in.",
)
@json_option
def import_net(
    source: Path,
    arch: str,
    output: Path,
    calibrate: Path | None,
    limits: tuple[float, float],
    as_json: bool,
) -> None:
    """Turn FILE.net, a network compressed by Deep Compression's authors, into a .thr file.

    SqueezeNet was published so (Iandola, Han et al. 2016): for every layer a codebook of 256
    floats, and for every weight that was not pruned a code of 8 bits and a gap of 4. Pruned weights
    stay pruned, and those of one code stay equal: nothing is clustered anew. Only the numbers of
    the codebooks and the biases are rounded, to integers with which no sum can overflow.
    """
    check_output(output, source, calibrate)
    stored = read_net(source, arch)
    layers = _shared(template(arch).layers, stored)
    network_inputs = template(arch).inputs
    if calibrate is None:
        seen, margin = _stand_ins(network_inputs, *limits), _STAND_IN_MARGIN
        console().print(
            f"note: no --calibrate: {_STAND_INS} random inputs between {limits[0]:g} and "
            f"{limits[1]:g} stand in for real ones"
        )
    else:
        seen, margin = read_inputs(calibrate, network_inputs), _MARGIN
    try:
        compressed = _compressed(layers, seen, margin)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from error
    contents, accounts = thr.encode(compressed, "smallest")
    record = _describe(compressed, layers, stored, accounts) | {
        "network": source,
        "architecture": arch,
        "output": output,
        "calibrated": calibrate is not None,
        "net_bytes": os.path.getsize(source),
        "bytes": len(contents),
    }
    thr.write_file(output, contents)
    emit(record, _show(record), as_json)


def _stand_ins(inputs: int, low: float, high: float) -> NDArray[np.float64]:
    """Random inputs on a grid over a range, its ends among them."""
    if not (np.isfinite([low, high]).all() and low < high):
        raise BadInput(f"--range is {low:g} {high:g}; it must be two numbers, the lesser first")
    steps = np.random.default_rng(0).integers(0, _STEPS + 1, (_STAND_INS, inputs))
    steps[0, :2] = 0, _STEPS
    return np.asarray(low + steps * ((high - low) / _STEPS), np.float64)


def _shared(layers: Sequence[Layer], stored: Sequence[StoredLayer]) -> list[Shared]:
    """The layers with the codes of the file, and those that are fixed as they are."""
    left = iter(stored)
    made = []
    for layer in layers:
        if layer.fixed:
            codes, centroids = share(layer.weights, _CODE_BITS)
            bias = layer.bias
        else:
            codes, centroids, bias, _ = next(left)
        shared = Shared(
            layer.name,
            codes,
            centroids,
            bias,
            layer.relu,
            layer.convolution,
            layer.sources,
            layer.added,
            layer.fixed,
        )
        # A number that no weight has is not to cost others their precision.
        made.append(dataclasses.replace(shared, centroids=centroids * shared.used))
    return made


def _compressed(
    layers: Sequence[Shared], seen: NDArray[np.float64], margin: float
) -> CompressedNetwork:
    widths = Widths()
    return in_integers(layers, seen, margin, input_format(seen, widths.activation), widths)


def _describe(
    compressed: CompressedNetwork,
    layers: Sequence[Shared],
    stored: Sequence[StoredLayer],
    accounts: Sequence[thr.Storage],
) -> dict[str, Any]:
    left = iter(stored)
    rows = []
    for layer, shared, account in zip(compressed.layers, layers, accounts, strict=True):
        found = None if shared.fixed else next(left)
        nonzeros = int(np.count_nonzero(layer.codes))
        rows.append(
            {
                "name": layer.name,
                "rows": layer.rows,
                "columns": layer.columns,
                "fixed": shared.fixed,
                "net_entries": None if found is None else found.entries,
                "nonzeros": nonzeros,
                "density": nonzeros / layer.codes.size,
                "values": len(layer.codebook) - 1,
                "code_bits": layer.code_bits,
                "coder": account.coder,
                "bytes": account.bytes,
                "weight_fraction": layer.weight_fraction,
            }
        )
    trained = [shared for shared in layers if not shared.fixed]
    fmt = compressed.input
    return {
        "input": {"fraction": fmt.fraction, "low": fmt.low, "high": fmt.high},
        "layers": rows,
        "net_entries": sum(found.entries for found in stored),
        "float32_bytes": _FLOAT32_BYTES * sum(s.codes.size + len(s.bias) for s in trained),
    }


def _show(record: dict[str, Any]) -> Group:
    table = Table()
    table.add_column("layer")
    for heading in ("shape", "density", "entries\nin .net", "distinct\nweights", "coder", "bytes"):
        table.add_column(heading, justify="right")
    for layer in record["layers"]:
        table.add_row(
            layer["name"],
            f"{layer['rows']} × {layer['columns']}",
            f"{layer['density']:.2%}",
            "fixed" if layer["fixed"] else f"{layer['net_entries']:,}",
            str(layer["values"]),
            layer["coder"],
            f"{layer['bytes']:,}",
        )
    sizes = (
        f"{record['output']}: {record['bytes']:,} bytes, "
        f"{record['float32_bytes'] / record['bytes']:.1f} times less than "
        f"{record['float32_bytes']:,} as 32-bit floats; {record['network']} has "
        f"{record['net_bytes']:,}"
    )
    return Group(table, sizes)
