"""Readers of trained networks, one file a format."""

from __future__ import annotations

from pathlib import Path

from sw.errors import BadInput
from sw.network import Network

from . import npz, safetensors
from .arrays import pair, require_file
from .npz import read_inputs

__all__ = ["read_inputs", "read_network"]

_READERS = {".npz": npz.read_arrays, ".safetensors": safetensors.read_arrays}


def read_network(path: str | Path) -> Network:
    """Fully connected network from a file; its suffix says the format.

    The file holds arrays ``NAME_w`` (outputs, inputs) and ``NAME_b`` (outputs,) in layer order.
    ReLU stands between layers and not after the last.

    Parameters
    ----------
    path : str or Path
        An .npz or .safetensors file.

    Raises
    ------
    BadInput
        If the file is not a sound file of its format or the arrays are not such a network.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path} is not a network that can be read; use {' or '.join(_READERS)}")
    require_file(path)
    return pair(path, reader(path))
