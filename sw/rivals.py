"""What other coders need for exactly the same weights, codebooks and biases as a .thr file holds.

All of it is made as favourable to the others as can be. A general coder gets the weights in several
plain forms and the best of them counts; nncodec gets them in the order, orientation and with the
settings that suit it best. No container, file header, name, shape or checksum is counted, though a
.thr file pays for all of these.
"""

from __future__ import annotations

import importlib
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from .coding import bits, entries
from .compressed import CompressedLayer, CompressedNetwork
from .errors import BadInput
from .numbers import signed_bits

__all__ = ["RIVALS", "lzw_bytes", "nncodec_bytes", "xz_bytes", "zlib_bytes", "zstd_bytes"]

_Coder = Callable[[bytes], int]
_ByteArray = NDArray[np.uint8]

# It names NumPy below 2 and all of PyTorch, of which its coder needs nothing.
_NNCODEC = "--no-deps nncodec==2.1.3"
_GAP_BITS = 8  # of a gap that is a byte
_LZMA_DICTIONARY_MIN = 1 << 12
_TIFF_STRIP_BYTES = 279  # tag: lengths of the coded strips
_INT32 = np.iinfo(np.int32)
# Greater-than flags before the Exponential-Golomb code takes over; NNC's default is 10 or 11.
_UNARY_DEFAULT = 11
_UNARY_LENGTHS = (1, 2, 4, 6, 8, 16, 32, 64)


def zstd_bytes(network: CompressedNetwork) -> int:
    """Bytes of the weights in zstd at its highest level, without its magic number."""

    def size(data: bytes) -> int:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            zstandard.MAX_COMPRESSION_LEVEL,
            source_size=len(data),
            format=zstandard.FORMAT_ZSTD1_MAGICLESS,
            write_content_size=False,
            write_checksum=False,
        )
        return len(zstandard.ZstdCompressor(compression_params=parameters).compress(data))

    return _smallest(network, size)


def xz_bytes(network: CompressedNetwork) -> int:
    """Bytes of the weights in LZMA, the coder of xz, at its highest level, without a container."""

    def size(data: bytes) -> int:
        # No context from the byte before or from its place: the forms are too short to learn any.
        chain = {
            "id": lzma.FILTER_LZMA1,
            "preset": 9 | lzma.PRESET_EXTREME,
            "dict_size": max(len(data), _LZMA_DICTIONARY_MIN),
            "lc": 0,
            "pb": 0,
        }
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=[chain]))

    return _smallest(network, size)


def zlib_bytes(network: CompressedNetwork) -> int:
    """Bytes of the weights in DEFLATE at its highest level, without a container."""

    def size(data: bytes) -> int:
        sizes = []
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY):
            coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
            sizes.append(len(coder.compress(data)) + len(coder.flush()))
        return min(sizes)

    return _smallest(network, size)


def lzw_bytes(network: CompressedNetwork) -> int:
    """Bytes of the weights in LZW, as libtiff codes an image of one row, without TIFF's header."""

    def size(data: bytes) -> int:
        if not data:
            return 0
        file = io.BytesIO()
        row = Image.frombytes("L", (len(data), 1), data)
        row.save(file, "TIFF", compression="tiff_lzw")
        file.seek(0)
        return int(sum(TiffImageFile(file).tag_v2[_TIFF_STRIP_BYTES]))

    return _smallest(network, size)


def nncodec_bytes(network: CompressedNetwork) -> int:
    """Bytes of the weights in DeepCABAC, the coder of ISO/IEC 15938-17 (NNC), by nncodec.

    Codes become signed integers around the pruned weight, ranked by value or by frequency, with
    NNC's codebook limits known to the coder; each layer takes the better of its two orientations,
    the best length of the unary part, and row skipping or not, with optimised initial contexts.
    Dependent quantisation is off, since it would change the weights. Scanning is by rows: blocks
    need a list of entry points, which costs more than they gain. What is counted for a layer is
    decoded again and compared.

    Raises
    ------
    BadInput
        If the Python package nncodec is not installed.
    RuntimeError
        If what it decodes is not what it coded.
    """
    cabac = _nncodec_coder()
    return sum(_nncodec_layer(cabac, layer) for layer in network.layers)


RIVALS: Mapping[str, Callable[[CompressedNetwork], int]] = MappingProxyType(
    {
        "nncodec": nncodec_bytes,
        "xz": xz_bytes,
        "zstd": zstd_bytes,
        "zlib": zlib_bytes,
        "lzw": lzw_bytes,
    }
)
"""Name of each other coder, and the function that counts its bytes for a network."""


def _nncodec_coder() -> Any:
    try:
        # Only its coder in C++, which needs nothing but NumPy; the package asks for much else.
        return importlib.import_module("nncodec.extensions.deepCABAC")
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the comparison with nncodec needs it installed: pip install {_NNCODEC}"
        ) from error


def _smallest(network: CompressedNetwork, size: _Coder) -> int:
    """Least size of the whole network.

    Its layers are coded each by itself or as one, in the same form or each in its best, and its
    codebooks and biases with them or, since packed numbers rarely compress, not at all.
    """
    forms = [_forms(layer) for layer in network.layers]
    sizes = np.array([[size(data) for data in of] for of in forms])
    same = b"".join(of[sizes.sum(axis=0).argmin()] for of in forms)
    best = b"".join(of[least] for of, least in zip(forms, sizes.argmin(axis=1), strict=True))
    numbers = b"".join(_numbers(layer) for layer in network.layers)
    least = min(int(sizes.min(axis=1).sum()), size(same), size(best))
    return min(least + len(numbers), size(same + numbers), size(best + numbers))


def _forms(layer: CompressedLayer) -> list[bytes]:
    """The codes of a layer in several plain forms, none of which loses anything."""
    forms = []
    for matrix in (layer.codes, np.ascontiguousarray(layer.codes.T)):
        runs = entries.runs(matrix)
        codes, gaps = entries.encode(runs, _GAP_BITS)
        gap_bits = entries.best_gap_bits(runs, layer.code_bits)
        few_codes, few_gaps = entries.encode(runs, gap_bits)
        packed = few_gaps.astype(np.int64) << layer.code_bits | few_codes
        forms += [
            matrix.tobytes(),
            bits.pack(matrix.ravel(), layer.code_bits),
            bits.pack(packed, layer.code_bits + gap_bits),
            gaps.tobytes() + codes.tobytes(),
            gaps.tobytes() + bits.pack(codes, layer.code_bits),
            np.stack([gaps, codes], axis=1).tobytes(),
            np.packbits(matrix != 0).tobytes() + matrix[matrix != 0].tobytes(),
        ]
    return forms


def _numbers(layer: CompressedLayer) -> bytes:
    """Codebook, without its leading 0, and bias, each packed at the least width."""
    values = (layer.codebook[1:], _bias(layer))
    return b"".join(bits.pack(of, _width(of)) for of in values if len(of))


def _bias(layer: CompressedLayer) -> NDArray[np.int64]:
    """Biases without the low bits that are 0 in all of them."""
    common = int(np.bitwise_or.reduce(layer.bias))
    return layer.bias >> max(0, (common & -common).bit_length() - 1)


def _width(values: NDArray[np.int64]) -> int:
    return max(signed_bits(int(values.min())), signed_bits(int(values.max())))


class _Settings(NamedTuple):
    """What nncodec is told of a tensor.

    Attributes
    ----------
    unary : greater-than flags of a weight
    skip : whether rows of zeros are marked
    size, zero : values in the codebook, and how many of them stand for negative integers; 0: any
    """

    unary: int = _UNARY_DEFAULT
    skip: bool = False
    size: int = 0
    zero: int = 0


def _nncodec_layer(cabac: Any, layer: CompressedLayer) -> int:
    tensors = []
    for integers in _signed(layer):
        settings = _Settings(size=len(integers), zero=-int(integers.min()))
        tensors += [(integers[codes], settings) for codes in (layer.codes, layer.codes.T)]
    tensor, settings = min(tensors, key=lambda pair: len(_nncodec(cabac, *pair)))
    tried = [settings, settings._replace(skip=True)]
    tried += [
        settings._replace(unary=unary, skip=skip)
        for unary, skip in itertools.product(_UNARY_LENGTHS, (False, True))
    ]
    settings = min(tried, key=lambda one: len(_nncodec(cabac, tensor, one)))
    numbers = len(_numbers(layer))
    bias = _bias(layer)
    if _INT32.min < bias.min() and bias.max() <= _INT32.max:
        own = [_checked(cabac, of[None], _Settings()) for of in (layer.codebook, bias)]
        numbers = min(numbers, sum(own))
    return _checked(cabac, tensor, settings) + numbers


def _signed(layer: CompressedLayer) -> list[NDArray[np.int32]]:
    """Integers (values,) that may stand for the codes of a layer; the first code's is 0.

    Ranks by value, then by frequency: all above 0, and above and below in turn.
    """
    places = np.arange(len(layer.codebook), dtype=np.int32)
    by_value = np.empty_like(places)
    by_value[np.argsort(layer.codebook, kind="stable")] = places
    counts = np.bincount(layer.codes.ravel(), minlength=len(places))
    # A pruned weight is 0 in every one: rows of zeros can be skipped.
    counts[0] = layer.codes.size + 1
    by_count = np.empty_like(places)
    by_count[np.argsort(-counts, kind="stable")] = places
    in_turn = np.where(by_count % 2 == 1, (by_count + 1) // 2, -(by_count // 2))
    return [by_value - by_value[0], by_count, in_turn.astype(np.int32)]


def _nncodec(cabac: Any, tensor: NDArray[np.integer], settings: _Settings) -> _ByteArray:
    """Coded bytes of a matrix of integers."""
    tensor = np.ascontiguousarray(tensor, np.int32)
    empty = (~tensor.any(axis=1)).astype(np.int32)
    encoder = cabac.Encoder()
    encoder.initCtxModels(settings.unary, 1)
    # Arguments 2 to 5: no dependent quantisation, scan by rows, second edition, no parent tensor.
    encoder.encodeLayer(
        tensor, 0, 0, 1, 0, int(settings.skip), empty, *_off(cabac), settings.size, settings.zero
    )
    data: _ByteArray = encoder.finish()
    return data


def _checked(cabac: Any, tensor: NDArray[np.integer], settings: _Settings) -> int:
    """Coded bytes of a matrix of integers, which come out again as they went in."""
    data = _nncodec(cabac, tensor, settings)
    decoder = cabac.Decoder()
    decoder.setStream(data)
    decoder.initCtxModels(settings.unary)
    decoded = np.zeros(tensor.shape, np.int32)
    decoder.decodeLayer(decoded, 0, 0, 1, 0, *_off(cabac), settings.size, settings.zero)
    if not np.array_equal(decoded, tensor):
        raise RuntimeError(f"nncodec does not decode what it coded with {settings}")
    return len(data)


def _off(cabac: Any) -> tuple[Any, NDArray[np.int8]]:
    """That no history of the tensor helps its coding, since there is none."""
    return cabac.HdspMode.AlwaysOff, np.zeros(2, np.int8)
