"""Codes and biases of a layer, as each of the coders writes and reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.layouts import GAP_BITS_MAX
from sw.coding import entries
from sw.coding.bits import Reader, pack, packed_bytes, unpack_chunks, varint
from sw.coding.entries import Runs
from sw.compressed import CompressedLayer

from .values import from_step, read_biases, to_step

__all__ = ["CODERS", "Body", "encode", "read"]

# The arithmetic coder can say "nothing but zeros" in no bits at all, so a rule bounds the matrix
# that a byte may stand for, and the time that it may take. Entries need none: at best, each of one
# bit stands for 256 weights.
_WEIGHTS_PER_BYTE = 1 << 9
_WEIGHTS_FREE = 1 << 14

Numbers = tuple[NDArray[np.uint8], NDArray[np.int64]]  # codes (rows, columns), biases (rows,)


class Body(NamedTuple):
    """What a coder makes of a layer.

    Attributes
    ----------
    data : bytes
    gap_bits, bias_step, bias_bits : int
        Fields of the layer's header; 0 where the coder has no use for them.
    sizes : int
        Bits of the number of entries.
    tables, bias, codes, gaps : int
        Bits of these parts of the data.
    code_bits, shown_gap_bits : int
        Width of codes and of gaps for the account of entries.
    """

    coder: str
    data: bytes
    gap_bits: int
    bias_step: int
    bias_bits: int
    sizes: int
    tables: int
    bias: int
    codes: int
    gaps: int
    code_bits: int
    shown_gap_bits: int


def encode(layer: CompressedLayer, coder: str, of: Runs) -> Body:
    """Body of a layer, by one of the coders or by the one that makes it smallest.

    Where a matrix has too few codes for the arithmetic coder's bound, that is not one of them.
    """
    if coder != "smallest":
        body = _ENCODERS[coder](layer, of)
        if body is not None:
            return body
    bodies = [encoder(layer, of) for encoder in _ENCODERS.values()]
    return min((body for body in bodies if body is not None), key=lambda body: len(body.data))


def _packed(layer: CompressedLayer, of: Runs) -> Body:
    code_bits = layer.code_bits
    gap_bits = entries.best_gap_bits(of, code_bits)
    codes, gaps = entries.encode(of, gap_bits)
    bias, step, bias_bits = to_step(layer.bias)
    count = varint(len(codes))
    words = gaps.astype(np.uint16) << code_bits | codes
    return Body(
        coder="packed",
        data=count + pack(bias, bias_bits) + pack(words, code_bits + gap_bits),
        gap_bits=gap_bits,
        bias_step=step,
        bias_bits=bias_bits,
        sizes=8 * len(count),
        tables=0,
        bias=bias_bits * len(bias),
        codes=code_bits * len(codes),
        gaps=gap_bits * len(codes),
        code_bits=layer.code_bits,
        shown_gap_bits=gap_bits,
    )


def _huffman(layer: CompressedLayer, of: Runs) -> Body:
    from sw.coding import huffman  # its library is not needed for other layers

    sizes = huffman.best(of, len(layer.codebook))
    bias, step, bias_bits = to_step(layer.bias)
    count = varint(entries.entry_count(of, sizes.gap_bits))
    words = huffman.encode(of, len(layer.codebook), sizes.gap_bits)
    return Body(
        coder="huffman",
        data=count + pack(bias, bias_bits) + words,
        gap_bits=sizes.gap_bits,
        bias_step=step,
        bias_bits=bias_bits,
        sizes=8 * len(count),
        tables=sizes.tables,
        bias=bias_bits * len(bias),
        codes=sizes.codes,
        gaps=sizes.gaps,
        code_bits=layer.code_bits,
        shown_gap_bits=sizes.gap_bits,
    )


def _arithmetic(layer: CompressedLayer, of: Runs) -> Body | None:
    from sw.coding import arithmetic  # its library is not needed for other layers

    bias, step, _ = to_step(layer.bias)
    data = arithmetic.encode(layer.codes, len(layer.codebook), bias)
    if layer.codes.size > _weights_max(data):
        return None
    # What the biases take is seen from what they take beside a single weight.
    alone = min(len(data), len(arithmetic.encode(np.zeros((1, 1), np.uint8), 1, bias)))
    return Body(
        coder="arithmetic",
        data=data,
        gap_bits=0,
        bias_step=step,
        bias_bits=0,
        sizes=0,
        tables=0,
        bias=8 * alone,
        codes=8 * (len(data) - alone),
        gaps=0,
        code_bits=layer.code_bits,
        shown_gap_bits=entries.best_gap_bits(of, layer.code_bits),
    )


def _weights_max(data: bytes) -> int:
    return _WEIGHTS_FREE + _WEIGHTS_PER_BYTE * len(data)


_ENCODERS: dict[str, Callable[[CompressedLayer, Runs], Body | None]] = {
    "packed": _packed,
    "huffman": _huffman,
    "arithmetic": _arithmetic,
}
CODERS = tuple(_ENCODERS)  # by their number in the file


def read(reader: Reader, shape: tuple[int, int], fields: dict[str, int]) -> Numbers:
    """Codes and biases of the rest of a layer's section.

    Parameters
    ----------
    fields : those of the layer's header

    Raises
    ------
    ValueError
        If the bytes are not sound. The memory taken is bounded by how many they are.
    """
    if fields["coder"] >= len(CODERS):
        raise ValueError(f"coder {fields['coder']} is not known")
    if CODERS[fields["coder"]] == "arithmetic":
        codes, left = _read_arithmetic(reader, shape, fields)
    else:
        codes, left = _read_entries(reader, shape, fields)
    return codes, from_step(left, fields["bias_step"])


def _read_entries(reader: Reader, shape: tuple[int, int], fields: dict[str, int]) -> Numbers:
    values, gap_bits = fields["values"] + 1, fields["gap_bits"]
    if gap_bits > GAP_BITS_MAX:
        raise ValueError(f"gaps have {gap_bits} bits, over {GAP_BITS_MAX}")
    count = reader.varint("the number of entries", 0, shape[0] * shape[1])
    left = read_biases(reader, shape[0], fields["bias_bits"])
    data = reader.take(reader.left)
    if CODERS[fields["coder"]] == "huffman":
        from sw.coding import huffman

        return huffman.decode(data, count, values, gap_bits, shape), left
    code_bits = max(1, (values - 1).bit_length())
    if len(data) != packed_bytes(count, code_bits + gap_bits):
        raise ValueError(f"{len(data)} bytes do not hold {count} entries")
    chunks = (
        ((words & ((1 << code_bits) - 1)).astype(np.uint8), (words >> code_bits).astype(np.uint8))
        for words in unpack_chunks(data, count, code_bits + gap_bits)
    )
    return entries.decode(chunks, count, gap_bits, shape), left


def _read_arithmetic(reader: Reader, shape: tuple[int, int], fields: dict[str, int]) -> Numbers:
    from sw.coding import arithmetic

    for field in ("gap_bits", "bias_bits"):
        if fields[field]:
            raise ValueError(f"{field} is {fields[field]}, which the coder has no use for")
    data = reader.take(reader.left)
    if shape[0] * shape[1] > _weights_max(data):
        raise ValueError(
            f"{len(data)} bytes are announced to hold {shape[0] * shape[1]} weights; "
            f"at most {_weights_max(data)} are believed"
        )
    return arithmetic.decode(data, shape, fields["values"] + 1, shape[0])
