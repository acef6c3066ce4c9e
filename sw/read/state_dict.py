"""Arrays of PyTorch state dicts: what ``torch.save(module.state_dict(), path)`` writes."""

from __future__ import annotations

import types
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sw.errors import BadInput

from .arrays import MAX_VALUES, Array, check_header, check_name

__all__ = ["read_arrays"]

_MAX_BYTES = 8 * MAX_VALUES


def read_arrays(path: Path) -> list[tuple[str, Array]]:
    """Arrays of a .pt or .pth file with their names, in the order of the dictionary.

    The file is a pickle, but only ``torch.load(weights_only=True)`` opens it, which makes tensors
    and plain containers and nothing else. Files of before PyTorch 1.6, which are no zip files, go
    through older code and are refused.

    Raises
    ------
    BadInput
        If PyTorch is not installed, or the file cannot be read, is damaged, or holds anything but
        a dictionary of names and tensors of floats.
    """
    torch = _torch(path)
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for people who program, about a file
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the unpickler, the zip reader and the tensors
        raise BadInput(
            f"{path} is damaged or holds more than tensors, which would have to run code: save "
            "the module's state_dict() alone, or use .safetensors"
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise BadInput(f"{path} holds a {type(content).__name__}, not a state dict")
    arrays: list[tuple[str, Array]] = []
    total = 0
    for name, tensor in content.items():
        if not isinstance(name, str):
            raise BadInput(f"{path} holds {name!r} for a name; names must be text")
        if not isinstance(tensor, torch.Tensor):
            raise BadInput(f"{path}: {name!r} is of type {type(tensor).__name__}, not a tensor")
        check_name(path, name)
        where = f"{path}: array {name!r}"
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise BadInput(f"{where} is no plain tensor of values")
        dtype = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
        if tensor.dtype not in dtype:
            raise BadInput(f"{where} holds {tensor.dtype} values; they must be floats")
        total = check_header(where, np.dtype(dtype[tensor.dtype]), tuple(tensor.shape), total)
        arrays.append((name, tensor.detach().resolve_neg().numpy()))
    return arrays


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise BadInput(
            f"{path} can only be read with PyTorch, which is not installed: pip install "
            "'thresher[train]', or save the arrays as .safetensors"
        ) from error
    module: types.ModuleType = torch
    return module


def _check_archive(path: Path) -> None:
    """Refuse what is no zip file, or grows when it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zipfile has no common exception
        raise BadInput(
            f"{path} is not a file of torch.save, is damaged, or is older than PyTorch 1.6"
        ) from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BadInput(f"{path} is not a file of torch.save: it is compressed")
    if sum(member.file_size for member in members) > _MAX_BYTES:
        raise BadInput(f"{path} unpacks to more than {_MAX_BYTES} bytes")
