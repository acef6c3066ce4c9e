"""A layer as the payload of a section: header, codebook, and what its coder makes of the rest."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from sw.coding import entries
from sw.coding.bits import Reader, pack_fields, varint
from sw.coding.entries import Runs
from sw.compressed import CompressedLayer
from sw.errors import BadInput

from . import bodies
from .bodies import Body
from .shape import SOURCES_MAX, Shape, Sizes, pack_sizes, read_sizes
from .values import Codebook, pack_codebook, read_codebook

__all__ = ["CODERS", "CRC_BYTES", "Storage", "coder", "encode", "read_header", "read_layer"]

CODERS = (*bodies.CODERS, "smallest")
CRC_BYTES = 4
SECTION_BYTES = 1 + CRC_BYTES  # beside the length and the payload
NAME_BYTES_MAX = 255
_FIELDS = {
    "relu": 1,
    "convolution": 1,
    "coder": 2,
    "gap_bits": 4,
    "shift": 5,
    "weight_fraction": 8,
    "values": 8,  # of the codebook, less the 0 that begins it
    "codebook_bits": 4,  # less 1
    "ascending": 1,
    "bias_step": 6,
    "bias_bits": 6,
    "extended": 1,
}


@dataclasses.dataclass(frozen=True)
class Storage:
    """Where the bits of a layer go in a file.

    The parts `header`, `codebook`, `tables`, `bias`, `codes`, `gaps` and `filling`, in bits, make
    8 times `bytes`.

    Attributes
    ----------
    coder : str
        One of `CODERS`, never "smallest".
    bytes : int
        Of the layer's section.
    header : int
        Type, length and checksum of the section, fields, name, sizes.
    codebook, tables, bias : int
        Tables are those of codewords.
    codes, gaps : int
        As stored. The arithmetic coder's `codes` hold the places too: its `gaps` are 0.
    filling : int
        Bits that end the last byte of a part.
    gap_bits : int
        Width of a gap; the one that takes fewest bits at fixed width, where none is stored.
    entries, padding : int
        Of entries with gaps of that width: all, and those that are padding.
    fixed_codes, fixed_gaps : int
        Bits of these entries at fixed width.
    """

    coder: str
    bytes: int
    header: int
    codebook: int
    tables: int
    bias: int
    codes: int
    gaps: int
    filling: int
    gap_bits: int
    entries: int
    padding: int
    fixed_codes: int
    fixed_gaps: int


class Header(NamedTuple):
    """What stands before the codebook.

    Attributes
    ----------
    fields : dict
        By the names of the format's bit fields.
    """

    name: str
    fields: dict[str, int]
    sizes: Sizes


def storage(layer: CompressedLayer, coder: str = "packed") -> Storage:
    """What a layer takes in a file.

    Raises
    ------
    BadInput
        As `encode`.
    """
    return encode(layer, coder)[1]


def encode(layer: CompressedLayer, coder: str) -> tuple[bytes, Storage]:
    """Payload of a layer's section, and where its bits go.

    Raises
    ------
    BadInput
        If there is no such coder, or the layer has more sources than a file can hold.
    """
    if coder not in CODERS:
        raise BadInput(f"coder {coder!r} is unknown; there are {', '.join(CODERS)}")
    if len(layer.sources) > SOURCES_MAX:
        raise BadInput(
            f"layer {layer.name[:40]!r} has {len(layer.sources)} sources; in a .thr file a layer "
            f"has at most {SOURCES_MAX}"
        )
    sizes, extended = pack_sizes(layer)
    of = entries.runs(layer.codes)
    body = bodies.encode(layer, coder, of)
    codebook = pack_codebook(layer.codebook)
    fields = {
        "relu": int(layer.relu),
        "convolution": int(layer.convolution is not None),
        "coder": bodies.CODERS.index(body.coder),
        "gap_bits": body.gap_bits,
        "shift": layer.shift,
        "weight_fraction": layer.weight_fraction,
        "values": len(layer.codebook) - 1,
        "codebook_bits": codebook.width - 1,
        "ascending": int(codebook.ascending),
        "bias_step": body.bias_step,
        "bias_bits": body.bias_bits,
        "extended": int(extended),
    }
    name = layer.name.encode()
    header = pack_fields(_FIELDS, fields) + varint(len(name)) + name + sizes
    payload = header + codebook.data + body.data
    return payload, _account(len(payload), 8 * len(header), codebook, body, of)


def _account(payload: int, header: int, codebook: Codebook, body: Body, of: Runs) -> Storage:
    size = SECTION_BYTES + len(varint(payload)) + payload
    header += 8 * (size - payload) + body.sizes
    gap_bits = body.shown_gap_bits
    count = entries.entry_count(of, gap_bits)
    parts = (header, codebook.bits, body.tables, body.bias, body.codes, body.gaps)
    return Storage(
        body.coder,
        size,
        *parts,
        filling=8 * size - sum(parts),
        gap_bits=gap_bits,
        entries=count,
        padding=count - len(of.codes),
        fixed_codes=count * body.code_bits,
        fixed_gaps=count * gap_bits,
    )


def coder(payload: bytes) -> str:
    """Coder of a layer's section."""
    return bodies.CODERS[Reader(payload).fields(_FIELDS)["coder"]]


def read_header(payload: bytes, most: int) -> tuple[Header, Reader]:
    """What stands before the codebook, and a reader of the rest.

    Parameters
    ----------
    most : int
        No size is over this.

    Raises
    ------
    ValueError
        If it is not sound.
    """
    reader = Reader(payload)
    fields = reader.fields(_FIELDS)
    try:
        name = reader.take(reader.varint("the length of its name", 0, NAME_BYTES_MAX)).decode()
    except UnicodeDecodeError as error:
        raise ValueError("its name is not UTF-8 text") from error
    sizes = read_sizes(reader, bool(fields["convolution"]), bool(fields["extended"]), most)
    return Header(name, fields, sizes), reader


def read_layer(header: Header, shape: Shape, reader: Reader) -> CompressedLayer:
    """Layer of a header, of the shape that it has, and of the bytes that follow it.

    Raises
    ------
    ValueError
        If they are not sound. The memory taken is bounded by how many they are.
    """
    fields = header.fields
    codebook = read_codebook(
        reader, fields["values"], fields["codebook_bits"] + 1, bool(fields["ascending"])
    )
    codes, bias = bodies.read(reader, (shape.rows, shape.columns), fields)
    return CompressedLayer(
        name=header.name,
        codes=codes,
        codebook=codebook,
        weight_fraction=(fields["weight_fraction"] ^ 128) - 128,
        bias=bias,
        shift=fields["shift"],
        relu=bool(fields["relu"]),
        convolution=shape.convolution,
        sources=header.sizes.extension.sources,
        added=header.sizes.extension.added,
    )
