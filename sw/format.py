"""The .thr file: a compressed network on disk. docs/format.md specifies it."""

from __future__ import annotations

import dataclasses
import itertools
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hw.layouts import CODE_BITS_MAX, GAP_BITS_MAX

from . import coding
from .compressed import CompressedLayer, CompressedNetwork, NumberFormat
from .errors import BadInput
from .numbers import prove, signed_bits

__all__ = ["Storage", "from_bytes", "read", "storage", "to_bytes", "write", "write_file"]

MAGIC = b"\x89THR\r\n\x1a\n"  # as PNG's: transfers that alter line ends or drop bit 7 break it
VERSION = 1
MAX_BYTES = 1 << 28
MAX_WEIGHTS = 1 << 27  # of all layers together
MAX_LAYERS = 1 << 10  # more than any program holds

_FILE = struct.Struct("<8sHHIQ")  # magic, version, bytes of this header, sections, file bytes
_SECTION = struct.Struct("<HHQ")  # type, 0, payload bytes
_CRC = struct.Struct("<I")
_NETWORK = struct.Struct("<BBBbiiI")  # widths, input fraction, low, high, layers
_LAYER = struct.Struct("<HBBIIHbBBBI")  # the fields of `_LayerHeader`
# Section types; 3 and 4 are kept for convolution and pooling layers.
_TYPE_NETWORK, _TYPE_DENSE = 1, 2
_SHARED_SPARSE = 1  # encoding of a layer; 2 is kept for entropy-coded entries
_RELU = 1  # flag of a layer
_BIAS_BITS_MAX = 48  # the widest accumulator


class _LayerHeader(NamedTuple):
    encoding: int
    name_bytes: int
    flags: int
    outputs: int
    inputs: int
    codebook_values: int
    weight_fraction: int
    shift: int
    bias_bits: int
    gap_bits: int
    entries: int

    @property
    def code_bits(self) -> int:
        return max(1, (self.codebook_values - 1).bit_length())

    @property
    def part_bytes(self) -> tuple[int, int, int, int]:
        """Bytes of name, codebook, biases and entries."""
        return (
            self.name_bytes,
            2 * self.codebook_values,
            coding.packed_bytes(self.outputs, self.bias_bits),
            coding.packed_bytes(self.entries, self.code_bits + self.gap_bits),
        )


@dataclasses.dataclass(frozen=True)
class Storage:
    """How a layer's codes are stored.

    Attributes
    ----------
    gap_bits : int
        Width of a gap; an entry takes this and the layer's code bits.
    entries : int
        Padding included.
    bytes : int
        Of the layer's section.
    """

    gap_bits: int
    entries: int
    bytes: int


def write(path: str | Path, network: CompressedNetwork) -> None:
    """Write a network to a file; the file is whole or not touched.

    Raises
    ------
    BadInput
        If the network is not sound, or the file cannot be written.
    """
    write_file(path, to_bytes(network))


def read(path: str | Path) -> CompressedNetwork:
    """Network of a file, every field of it checked.

    Raises
    ------
    BadInput
        If the file cannot be read, or is not a sound .thr file.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would block
        raise BadInput(f"{path} cannot be read: it is not a regular file")
    try:
        with open(path, "rb") as file:
            # A foreign file of any length is refused by its first bytes.
            head = file.read(_FILE.size)
            body = file.read(MAX_BYTES) if head.startswith(MAGIC) else b""
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return from_bytes(head + body, str(path))


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file that is whole or not touched: a temporary file beside it takes its place.

    Raises
    ------
    BadInput
        If it cannot be written, or is something other than a regular file.
    """
    target = Path(os.path.realpath(path))
    # Unlike Path's, these two never raise.
    if os.path.exists(target) and not os.path.isfile(target):
        raise BadInput(f"{path} cannot be written: it is not a regular file")
    temporary = target.with_name(f".thresher-{secrets.token_hex(8)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error


def storage(layer: CompressedLayer) -> Storage:
    """What a layer takes in a file."""
    header = _layer_header(layer)
    payload = _LAYER.size + sum(header.part_bytes)
    return Storage(header.gap_bits, header.entries, _SECTION.size + _CRC.size + payload)


def to_bytes(network: CompressedNetwork) -> bytes:
    """Contents of the .thr file of a network.

    Raises
    ------
    BadInput
        If the network is not sound: `sw.numbers.prove` says why.
    """
    prove(network)
    fmt = network.input
    payload = _NETWORK.pack(
        network.activation_bits,
        network.weight_bits,
        network.accumulator_bits,
        fmt.fraction,
        fmt.low,
        fmt.high,
        len(network.layers),
    )
    sections = [_section(_TYPE_NETWORK, payload)]
    sections += [_section(_TYPE_DENSE, _layer_payload(layer)) for layer in network.layers]
    size = _FILE.size + _CRC.size + sum(map(len, sections))
    weights = sum(layer.codes.size for layer in network.layers)
    if size > MAX_BYTES or weights > MAX_WEIGHTS or len(network.layers) > MAX_LAYERS:
        raise BadInput(
            f"the network has {weights} weights in {len(network.layers)} layers and {size} bytes; "
            f"a .thr file holds at most {MAX_WEIGHTS} in {MAX_LAYERS} and {MAX_BYTES}"
        )
    head = _FILE.pack(MAGIC, VERSION, _FILE.size + _CRC.size, len(sections), size)
    return b"".join([head, _CRC.pack(zlib.crc32(head)), *sections])


def _section(kind: int, payload: bytes) -> bytes:
    data = _SECTION.pack(kind, 0, len(payload)) + payload
    return data + _CRC.pack(zlib.crc32(data))


def _layer_header(layer: CompressedLayer) -> _LayerHeader:
    gap_bits = coding.best_gap_bits(layer.codes, layer.code_bits)
    return _LayerHeader(
        encoding=_SHARED_SPARSE,
        name_bytes=len(layer.name.encode()),
        flags=_RELU if layer.relu else 0,
        outputs=layer.outputs,
        inputs=layer.inputs,
        codebook_values=len(layer.codebook),
        weight_fraction=layer.weight_fraction,
        shift=layer.shift,
        bias_bits=max(signed_bits(int(layer.bias.min())), signed_bits(int(layer.bias.max()))),
        gap_bits=gap_bits,
        entries=coding.entry_count(layer.codes, gap_bits),
    )


def _layer_payload(layer: CompressedLayer) -> bytes:
    header = _layer_header(layer)
    entries = coding.encode(layer.codes, header.code_bits, header.gap_bits)
    return b"".join(
        [
            _LAYER.pack(*header),
            layer.name.encode(),
            layer.codebook.astype("<i2").tobytes(),
            coding.pack(layer.bias, header.bias_bits),
            coding.pack(entries, header.code_bits + header.gap_bits),
        ]
    )


def from_bytes(data: bytes, name: str = "the file") -> CompressedNetwork:
    """Network of the contents of a .thr file, every field checked.

    Parameters
    ----------
    data : bytes
    name : str
        Begins every message.

    Raises
    ------
    BadInput
        If anything is not as docs/format.md says.
    """
    try:
        return _parse(data)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error


def _parse(data: bytes) -> CompressedNetwork:
    sections = _split(data)
    if not sections or sections[0][0] != _TYPE_NETWORK:
        raise BadInput("the first section does not describe the network")
    head = sections[0][1]
    if len(head) != _NETWORK.size:
        raise BadInput(f"section 0 has {len(head)} bytes; it must have {_NETWORK.size}")
    activation_bits, weight_bits, accumulator_bits, fraction, low, high, count = _NETWORK.unpack(
        head
    )
    if count != len(sections) - 1:
        raise BadInput(f"{count} layers are announced but {len(sections) - 1} sections follow")
    layers = []
    weights = 0
    for index, (kind, payload) in enumerate(sections[1:], 1):
        if kind != _TYPE_DENSE:
            raise BadInput(f"section {index} is of type {kind}, which is not known")
        header = _read_layer_header(payload, index)
        weights += header.outputs * header.inputs
        if weights > MAX_WEIGHTS:
            raise BadInput(f"section {index} brings it to {weights} weights, over {MAX_WEIGHTS}")
        layers.append(_read_layer(header, payload, index))
    network = CompressedNetwork(
        input=NumberFormat(fraction, low, high),
        activation_bits=activation_bits,
        weight_bits=weight_bits,
        accumulator_bits=accumulator_bits,
        layers=tuple(layers),
    )
    prove(network)
    return network


def _split(data: bytes) -> list[tuple[int, bytes]]:
    """(type, payload) of every section of a file, lengths and checksums checked."""
    if not data.startswith(MAGIC):
        raise BadInput("this is not a .thr file: it does not begin as one")
    size = _FILE.size + _CRC.size
    if len(data) < size:
        raise BadInput(f"the file is cut off in its header, after {len(data)} bytes")
    _, version, header_bytes, count, file_bytes = _FILE.unpack_from(data)
    if version != VERSION:
        raise BadInput(f"the file has version {version}; this program reads version {VERSION}")
    if (
        header_bytes != size
        or zlib.crc32(data[: _FILE.size]) != _CRC.unpack_from(data, _FILE.size)[0]
    ):
        raise BadInput("the header is damaged: its checksum does not match")
    if len(data) != file_bytes or file_bytes > MAX_BYTES:
        raise BadInput(
            f"the file has {len(data)} bytes; its header says {file_bytes}, of at most {MAX_BYTES}"
        )
    if count > MAX_LAYERS + 1:
        raise BadInput(f"the file has {count} sections; it may have at most {MAX_LAYERS + 1}")
    sections = []
    for index in range(count):
        kind, payload, size = _read_section(data, size, index)
        sections.append((kind, payload))
    if size != len(data):
        raise BadInput(f"{len(data) - size} bytes follow the last section")
    return sections


def _read_section(data: bytes, start: int, index: int) -> tuple[int, bytes, int]:
    """Type and payload of the section that begins at `start`, and where the next begins."""
    body = start + _SECTION.size
    if body > len(data):
        raise BadInput(f"section {index} is cut off in its header")
    kind, zero, length = _SECTION.unpack_from(data, start)
    end = body + length
    if end + _CRC.size > len(data):
        raise BadInput(f"section {index} has {length} bytes, more than the file")
    if zlib.crc32(data[start:end]) != _CRC.unpack_from(data, end)[0]:
        raise BadInput(f"section {index} is damaged: its checksum does not match")
    if zero:
        raise BadInput(f"section {index} has {zero} where 0 must be")
    return kind, data[body:end], end + _CRC.size


def _read_layer_header(payload: bytes, index: int) -> _LayerHeader:
    where = f"section {index}"
    if len(payload) < _LAYER.size:
        raise BadInput(f"{where} has {len(payload)} bytes, less than a layer's header")
    header = _LayerHeader(*_LAYER.unpack_from(payload))
    if header.encoding != _SHARED_SPARSE:
        raise BadInput(f"{where} has encoding {header.encoding}, which is not known")
    limits = {
        "flags": (0, _RELU),
        "outputs": (1, MAX_WEIGHTS),
        "inputs": (1, MAX_WEIGHTS),
        "codebook_values": (1, 1 << CODE_BITS_MAX),
        "bias_bits": (1, _BIAS_BITS_MAX),
        "gap_bits": (0, GAP_BITS_MAX),
    }
    for field, (least, greatest) in limits.items():
        if not least <= getattr(header, field) <= greatest:
            raise BadInput(
                f"{where}: {field} is {getattr(header, field)}, not from {least} to {greatest}"
            )
    expected = _LAYER.size + sum(header.part_bytes)
    if len(payload) != expected:
        raise BadInput(f"{where} has {len(payload)} bytes; its fields make {expected}")
    return header


def _read_layer(header: _LayerHeader, payload: bytes, index: int) -> CompressedLayer:
    ends = np.cumsum([_LAYER.size, *header.part_bytes]).tolist()
    name, codebook, bias, entries = (payload[start:end] for start, end in itertools.pairwise(ends))
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"section {index}: the name is not UTF-8 text") from error
    try:
        biases = coding.unpack(bias, header.outputs, header.bias_bits)
        codes = coding.decode(
            entries,
            header.entries,
            header.code_bits,
            header.gap_bits,
            (header.outputs, header.inputs),
        )
    except ValueError as error:
        raise BadInput(f"layer {text!r}: {error}") from error
    sign = 1 << (header.bias_bits - 1)
    return CompressedLayer(
        name=text,
        codes=codes,
        codebook=np.frombuffer(codebook, "<i2").astype(np.int64),
        weight_fraction=header.weight_fraction,
        bias=(biases ^ sign) - sign,
        shift=header.shift,
        relu=bool(header.flags & _RELU),
    )
