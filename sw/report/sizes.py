"""The same network in other forms: what its weights, codebooks and biases would take."""

from __future__ import annotations

import dataclasses
import io
import zlib
from collections.abc import Callable

import numpy as np

from sw import rivals
from sw.compressed import CompressedLayer, CompressedNetwork

from .kinds import learned

__all__ = ["BEST_WEIGHTS_MAX", "CODERS", "FORMS", "best_sizes", "plain_sizes"]

FORMS = {
    "float32": "32-bit floats, dense",
    "int8": "8-bit integers, dense",
    "csr_float32": "32-bit floats, sparse rows (CSR)",
    "csr_int8": "8-bit integers, CSR with 16-bit columns",
    "zlib": "8-bit codes, zlib at level 9",
    "zstd": "8-bit codes, zstd at level 19",
    "lzw": "8-bit codes, LZW (a TIFF file)",
}
"""What `plain_sizes` measures, in words."""

CODERS = {"zlib": rivals.zlib_bytes, "zstd": rivals.zstd_bytes, "lzw": rivals.lzw_bytes}
"""General coders whose best form of the weights `best_sizes` looks for."""

BEST_WEIGHTS_MAX = 1 << 20  # the search takes seconds for these, minutes for the largest

_ZSTD_LEVEL = 19  # the highest that needs no more memory to decode


def plain_sizes(network: CompressedNetwork) -> dict[str, int]:
    """Bytes of a network in each of `FORMS`, measured now.

    Weights in the form that is named, biases of 4 bytes; with codes, codebooks of 2-byte values.
    CSR has, as SciPy has it, an offset of 4 bytes for each row and one more, and columns of 4 bytes
    (or 2 where its name says so and they suffice). No form has names or shapes, nor layers that are
    structure.
    """
    layers = learned(network)
    biases = 4 * sum(len(layer.bias) for layer in layers)
    codes = b"".join(layer.codes.tobytes() for layer in layers)
    codebooks = 2 * sum(len(layer.codebook) for layer in layers)
    sizes = {
        "float32": 4 * len(codes),
        "int8": len(codes),
        "csr_float32": sum(_csr(layer, 4, 4) for layer in layers),
        "csr_int8": sum(_csr(layer, 1, 2) for layer in layers),
        "zlib": len(zlib.compress(codes, 9)) + codebooks,
        "zstd": _zstd(codes) + codebooks,
        "lzw": _lzw(codes) + codebooks,
    }
    return {name: size + biases for name, size in sizes.items()}


def best_sizes(
    network: CompressedNetwork, progress: Callable[[str], None] = lambda name: None
) -> dict[str, int]:
    """Bytes of a network with each of `CODERS`, in whichever plain form of it is smallest.

    `sw.rivals` says what the forms are; codebooks and biases are packed, too. Empty where there are
    more than `BEST_WEIGHTS_MAX` weights.

    Parameters
    ----------
    progress : callable
        Given the name of a coder when its turn comes.
    """
    network = dataclasses.replace(network, layers=learned(network))
    if sum(layer.codes.size for layer in network.layers) > BEST_WEIGHTS_MAX:
        return {}
    sizes = {}
    for name, count in CODERS.items():
        progress(name)
        sizes[name] = count(network)
    return sizes


def _csr(layer: CompressedLayer, value_bytes: int, column_bytes: int) -> int:
    if layer.columns > 1 << 8 * column_bytes:
        column_bytes = 4
    nonzeros = int(np.count_nonzero(layer.codes))
    return nonzeros * (value_bytes + column_bytes) + 4 * (layer.rows + 1)


def _zstd(data: bytes) -> int:
    import zstandard

    return len(zstandard.ZstdCompressor(_ZSTD_LEVEL).compress(data))


def _lzw(data: bytes) -> int:
    from PIL import Image

    file = io.BytesIO()
    Image.frombytes("L", (len(data), 1), data).save(file, "TIFF", compression="tiff_lzw")
    return len(file.getvalue())
