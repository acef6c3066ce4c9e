"""What verbs that train have in common: the run, its errors, the float network."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim import golden
from sw import datasets
from sw.compress.recipe import Recipe
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.format import write_file
from sw.network import Network

if TYPE_CHECKING:
    from sw.train.stages import Run

__all__ = ["error_percent", "integer_error", "require_torch", "training_run", "write_network"]


def training_run(
    recipe: Recipe, data: Path | None, seed: int, checkpoint: Path, resume: bool
) -> Run | None:
    """The run that a recipe needs; None if it trains nothing.

    Raises
    ------
    BadInput
        If it trains and there is no data or no PyTorch, or a stopped run would be lost.
    """
    if not recipe.trains:
        if resume:
            raise BadInput(
                "--resume: this recipe trains nothing, so there is nothing to go on with"
            )
        return None
    if data is None:
        raise BadInput("this recipe trains: name the folder of the training images (--data DIR)")
    if checkpoint.exists() and not resume:
        raise BadInput(
            f"{checkpoint} holds a run that was stopped: go on with it (--resume), or delete it"
        )
    require_torch()
    from sw.train.stages import Run

    return Run(datasets.load_training(datasets.folder_of(data, "mnist")), seed, checkpoint, resume)


def require_torch() -> None:
    """Refuse to train without PyTorch, which nothing else needs.

    Raises
    ------
    BadInput
        If it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput("training needs PyTorch: pip install 'thresher[train]'")


def write_network(path: Path, network: Network) -> None:
    """Write a float network as an .npz file of float32 arrays NAME_w and NAME_b."""
    arrays = {}
    for layer in network.layers:
        kernel = layer.convolution
        shape = (
            layer.weights.shape
            if kernel is None
            else (-1, kernel.channels // kernel.groups, kernel.kernel_height, kernel.kernel_width)
        )
        arrays[f"{layer.name}_w"] = layer.weights.astype(np.float32).reshape(shape)
        arrays[f"{layer.name}_b"] = layer.bias.astype(np.float32)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    write_file(path, file.getvalue())


def error_percent(outputs: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Percentage of outputs (n, outputs) whose largest is not the label's."""
    return 100 * float(np.mean(outputs.argmax(axis=1) != labels))


def integer_error(network: CompressedNetwork, x: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """`error_percent` of a compressed network as executed in integers, for inputs (n, inputs)."""
    return error_percent(golden.run(network, golden.quantise(network, x))[-1], labels)
