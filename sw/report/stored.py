"""What each layer takes of the contents of a .thr file, told from these very contents."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from sw import format as thr
from sw.coding import entries
from sw.coding.bits import Reader
from sw.compressed import CompressedLayer, CompressedNetwork
from sw.format.file import MAX_ACTIVATIONS, MAX_BYTES
from sw.format.layer import CRC_BYTES, read_header
from sw.format.values import pack_codebook, to_step

__all__ = ["Stored", "stored"]


class Stored(NamedTuple):
    """Where the bytes of a file are.

    Attributes
    ----------
    container : int
        Bytes that belong to no layer: magic number, version, and what describes the network.
    layers : tuple of Storage
        Their `bytes` and `container` make the length of the file.
    exact : bool
        Whether the file has the lengths that this program would have given it. If not, another
        encoder wrote it: what a part takes is then an estimate, and `filling` what is left over.
    """

    container: int
    layers: tuple[thr.Storage, ...]
    exact: bool


class _Section(NamedTuple):
    size: int  # bytes, with type, length and checksum
    payload: bytes


def stored(data: bytes, network: CompressedNetwork) -> Stored:
    """Where the bytes of a file are.

    Layers at fixed width or in Huffman's code are coded again. Those of the arithmetic coder, whose
    encoder takes long, are measured in the file.

    Parameters
    ----------
    data : bytes
        Contents of a .thr file that `sw.format.from_bytes` accepts.
    network : CompressedNetwork
        What it made of them.
    """
    sections = _sections(data)[1:]
    accounts, exact = [], True
    for layer, coder, section in zip(network.layers, thr.coders(data), sections, strict=True):
        if coder == "arithmetic":
            account = _arithmetic(layer, section)
        else:
            account = thr.storage(layer, coder)
        left_over = 8 * (section.size - account.bytes)
        exact &= left_over == 0
        account = dataclasses.replace(
            account, bytes=section.size, filling=account.filling + left_over
        )
        accounts.append(account)
    return Stored(len(data) - sum(account.bytes for account in accounts), tuple(accounts), exact)


def _sections(data: bytes) -> list[_Section]:
    reader = Reader(data)
    reader.take(len(thr.MAGIC))
    reader.varint("its version", 0, thr.VERSION)
    sections = []
    while reader.left:
        start = reader.place
        reader.varint("its type", 0, 127)
        payload = reader.take(reader.varint("its length", 0, MAX_BYTES))
        reader.take(CRC_BYTES)
        sections.append(_Section(reader.place - start, payload))
    return sections


def _arithmetic(layer: CompressedLayer, section: _Section) -> thr.Storage:
    from sw.coding import arithmetic  # its library is not needed for other layers

    _, rest = read_header(section.payload, MAX_ACTIVATIONS)
    codebook = pack_codebook(layer.codebook)
    body = rest.left - len(codebook.data)
    left, _, _ = to_step(layer.bias)
    # The coder makes one stream of codes and biases: what these take is seen from what they take
    # beside a single weight, as in `sw.format.bodies`.
    bias = min(body, len(arithmetic.encode(np.zeros((1, 1), np.uint8), 1, left)))
    of = entries.runs(layer.codes)
    gap_bits = entries.best_gap_bits(of, layer.code_bits)
    count = entries.entry_count(of, gap_bits)
    return thr.Storage(
        coder="arithmetic",
        bytes=section.size,
        header=8 * (section.size - rest.left),
        codebook=codebook.bits,
        tables=0,
        bias=8 * bias,
        codes=8 * (body - bias),
        gaps=0,
        filling=8 * len(codebook.data) - codebook.bits,
        gap_bits=gap_bits,
        entries=count,
        padding=count - len(of.codes),
        fixed_codes=count * layer.code_bits,
        fixed_gaps=count * gap_bits,
    )
