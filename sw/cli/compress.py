"""`thresher compress`: a trained network into a .thr file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from sim import golden
from sw import format as thr
from sw.compress import compress as compress_network
from sw.compress.formats import blocks
from sw.compress.pipeline import CALIBRATION
from sw.compress.recipe import load as load_recipe
from sw.compressed import CompressedNetwork
from sw.datasets import TrainingSet, folder_of, load_training
from sw.errors import BadInput
from sw.network import Network
from sw.read import read_inputs, read_network
from sw.report import kinds

from .inputs import arch_option, parse_shape
from .options import seed_option
from .output import check_output, console, emit, json_option
from .per_layer import overrides
from .training import error_percent, training_run

__all__ = ["compress"]

_FLOAT32_BYTES = 4


@click.command(
    epilog="""
    \b
    Examples:
      thresher compress lenet.onnx -o lenet.thr --recipe best --data mnist/
          prunes, shares and fine-tunes on the training images in mnist/
      thresher compress lenet.npz -o lenet.thr
          trains nothing: keeps the zeros that are there, 4-bit codes
      thresher compress lenet.npz -o lenet.thr --density 0.08 --code-bits 5 \\
          --calibrate train.npy
          keeps the largest 8 % of each layer's weights, and chooses the number
          formats for inputs like those in train.npy
      thresher compress lenet5.npz --arch lenet5-caffe -o lenet5.thr \\
          --code-bits 4 --code-bits @convolution=8 --density ip1=0.05
          4-bit codes but for convolutions, and fewer weights in layer ip1
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
    "--recipe",
    "recipe_name",
    metavar="R",
    default="no-training",
    show_default=True,
    help="Name of a shipped recipe (thresher recipes lists them), or a .toml file.",
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the training images, as four IDX files; for recipes that train.",
)
@seed_option("training")
@click.option("--resume", is_flag=True, help="Go on with the training that was stopped.")
@arch_option
@click.option(
    "--input-shape",
    metavar="CxHxW",
    help="Shape of one input, such as 1x28x28, where an ONNX file leaves it open.",
)
@click.option(
    "--density",
    "densities",
    metavar="[LAYER=]D",
    multiple=True,
    help="Share of the weights to keep, above 0 and at most 1, in place of the recipe's. May be "
    "repeated: LAYER is a name, with * and ?, or a place such as @convolution, @dense, @first, "
    "@last; without it, all layers.",
)
@click.option(
    "--code-bits",
    "code_bits",
    metavar="[LAYER=]B",
    multiple=True,
    help="Bits of a weight's code, 1 to 8: a layer has 2^B - 1 distinct weights, and 0. In place "
    "of the recipe's; may be repeated for layers as --density.",
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
    recipe_name: str,
    data: Path | None,
    seed: int,
    resume: bool,
    arch: str | None,
    input_shape: str | None,
    densities: tuple[str, ...],
    code_bits: tuple[str, ...],
    calibrate: Path | None,
    as_json: bool,
) -> None:
    """Compress the trained network NET as a recipe says.

    NET is an .onnx or .pt2 (torch.export) file, or an .npz, .safetensors or .pt file of arrays
    NAME_w and NAME_b or NAME.weight and NAME.bias in layer order; arrays alone are taken as fully
    connected layers with ReLU between them, or as the architecture that --arch names.

    Small weights are pruned, the others share the few values of a codebook, every number becomes an
    integer, chosen such that no sum can overflow, and the codes are entropy coded. Weights that are
    0 stay 0. Recipes that train need --data; Ctrl-C stops them with nothing lost (--resume).
    """
    check_output(output, source, calibrate)
    shape = None if input_shape is None else parse_shape(input_shape)
    network = read_network(source, arch, shape)
    recipe = load_recipe(recipe_name).override(*overrides(densities, code_bits))
    calibration = None if calibrate is None else read_inputs(calibrate, network.inputs)
    if data is not None and not recipe.trains and calibration is None:
        calibration = _calibration(data)
    checkpoint = Path(f"{output}.checkpoint")
    run = training_run(recipe, data, seed, checkpoint, resume)
    try:
        compressed = compress_network(network, recipe, run=run, calibration=calibration)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from error
    except KeyboardInterrupt:
        if checkpoint.exists():
            console().print(f"stopped; --resume goes on with what {checkpoint} holds")
        raise
    contents, stored = thr.encode(compressed, recipe.coders(network))
    thr.write_file(output, contents)
    if run is not None:
        checkpoint.unlink(missing_ok=True)  # the training has come to something
    if calibration is None and run is None:
        console().print(
            "note: no --calibrate: inputs are taken to lie in [0, 1], in steps of 1/256"
        )
    record: dict[str, Any] = {
        "network": source,
        "output": output,
        "recipe": recipe_name,
        "calibrated": calibration is not None or run is not None,
    }
    if run is not None:
        record["held_out"] = _held_out(network, compressed, run.images)
    record |= _describe(compressed, stored, len(contents))
    emit(record, _show(record), as_json)


def _calibration(data: Path) -> np.ndarray:
    """Some of the training images, for a recipe that trains on none."""
    console().print("note: this recipe trains nothing; --data only chooses number formats")
    return load_training(folder_of(data, "mnist")).x[:CALIBRATION].astype(np.float64)


def _held_out(
    network: Network, compressed: CompressedNetwork, images: TrainingSet
) -> dict[str, float]:
    """Errors on the images held out, in floats before and in integers after."""
    x, labels = images.held_x, images.held_labels
    parts = blocks(network.layers, len(x))
    before = [network.predict(x[part].astype(np.float64)) for part in parts]
    after = [golden.run(compressed, golden.quantise(compressed, x[part]))[-1] for part in parts]
    return {
        "images": len(x),
        "error_before": error_percent(np.concatenate(before), labels),
        "error_after": error_percent(np.concatenate(after), labels),
    }


def _describe(
    compressed: CompressedNetwork, accounts: Sequence[thr.Storage], size: int
) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    for layer, fraction, stored in zip(
        compressed.layers, compressed.fractions[1:], accounts, strict=True
    ):
        layers.append(
            {
                "name": layer.name,
                "kind": kinds.kind(layer),
                "rows": layer.rows,
                "columns": layer.columns,
                "coder": stored.coder,
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
    learned = kinds.learned(compressed)
    left = sum(np.count_nonzero(layer.codes) for layer in learned)
    float32_bytes = _FLOAT32_BYTES * kinds.parameters(compressed)
    fmt = compressed.input
    return {
        "parameters": kinds.parameters(compressed),
        "density": left / sum(layer.codes.size for layer in learned),
        "input": {"fraction": fmt.fraction, "low": fmt.low, "high": fmt.high},
        "layers": layers,
        "bytes": size,
        "float32_bytes": float32_bytes,
        "ratio": float32_bytes / size,
    }


def _show(record: dict[str, Any]) -> Group:
    table = Table()
    table.add_column("layer")
    for heading in (
        "shape",
        "density",
        "code\nbits",
        "coder",
        "bytes",
        "fraction bits\nw / out",
    ):
        table.add_column(heading, justify="right")
    for layer in record["layers"]:
        structure = layer["kind"] in kinds.STRUCTURE
        table.add_row(
            layer["name"],
            layer["kind"] if structure else f"{layer['rows']} × {layer['columns']}",
            "" if structure else f"{layer['density']:.2%}",
            str(layer["code_bits"]),
            layer["coder"],
            f"{layer['bytes']:,}",
            f"{layer['weight_fraction']} / {layer['activation_fraction']}",
        )
    total = (
        f"{record['output']}: {record['bytes']:,} bytes, "
        f"{record['ratio']:.1f} times less than {record['float32_bytes']:,} as 32-bit floats"
    )
    shown: list[RenderableType] = [table, total]
    if held_out := record.get("held_out"):
        shown.append(
            f"error on {held_out['images']:,} images held out: {held_out['error_before']:.2f} % "
            f"before, {held_out['error_after']:.2f} % after, in integers; held out from this "
            "run, that is, whatever NET was trained on before"
        )
    return Group(*shown)
