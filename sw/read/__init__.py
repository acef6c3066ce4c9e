"""Readers of trained networks, one file a format."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

from sw.errors import BadInput
from sw.network import Network

from .arrays import require_file, to_network
from .npz import read_inputs

__all__ = ["SUFFIXES", "read_inputs", "read_network"]

# Imported when needed: onnx and torch take long.
_GRAPHS = {".onnx": "onnx", ".pt2": "torch_export"}
_ARRAYS = {
    ".npz": "npz",
    ".safetensors": "safetensors",
    ".pt": "state_dict",
    ".pth": "state_dict",
}
SUFFIXES = (*_GRAPHS, *_ARRAYS)


def read_network(
    path: str | Path,
    architecture: str | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """Network from a file; its suffix says the format.

    Models with a graph say all that there is to a network: ``.onnx``, and ``.pt2`` as
    ``torch.export.save`` writes it. Files of arrays hold weights and biases only: ``.npz``,
    ``.safetensors``, and state dicts in ``.pt`` or ``.pth``. `sw.read.arrays.to_network` says how
    their arrays are named and ordered. No file can make code run.

    Parameters
    ----------
    path : str or Path
    architecture : str, optional
        One of `sw.architectures.NAMES`, for files of arrays; needed if they have convolutions.
    input_shape : tuple of int, optional
        Shape of one input, without the batch, such as (1, 28, 28). Needed only where an ONNX model
        leaves it open; otherwise the network must agree with it.

    Raises
    ------
    BadInput
        If the file is not a sound file of its format, or holds anything that is not supported.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(
            f"{path} is not a network that can be read; use {', '.join(SUFFIXES[:-1])} or "
            f"{SUFFIXES[-1]}"
        )
    require_file(path)
    if suffix in _ARRAYS:
        reader = importlib.import_module(f".{_ARRAYS[suffix]}", __name__)
        network = to_network(path, reader.read_arrays(path), architecture)
    elif architecture is not None:
        raise BadInput(
            f"{path} says itself how its layers are connected; an architecture, here "
            f"{architecture!r}, goes with files of arrays"
        )
    else:
        reader = importlib.import_module(f".{_GRAPHS[suffix]}", __name__)
        network = reader.read(path, input_shape)
    if input_shape is not None and math.prod(input_shape) != network.inputs:
        raise BadInput(
            f"{path} takes {network.inputs} inputs; the given shape {tuple(input_shape)} has "
            f"{math.prod(input_shape)}"
        )
    return network
