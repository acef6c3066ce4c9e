"""The whole of a .thr file: header, sections and their checksums, the network."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Sequence
from pathlib import Path

from sw.coding.bits import Reader, pack_fields, varint
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.numbers import FRACTION_MAX, check, check_widths, prove

from . import layer as layers
from .layer import Storage

__all__ = [
    "MAGIC",
    "VERSION",
    "coders",
    "encode",
    "from_bytes",
    "read",
    "to_bytes",
    "write",
    "write_file",
]

Coders = str | Sequence[str]

MAGIC = b"\x89THR\r\n\x1a\n"  # as PNG's: transfers that alter line ends or drop bit 7 break it
VERSION = 3
MAX_BYTES = 1 << 29
MAX_WEIGHTS = 1 << 28  # of all layers together
MAX_ACTIVATIONS = 1 << 24  # of all layers together: what a small file can cost in memory
MAX_LAYERS = 1 << 10  # more than any program holds
_LIMITS = {
    "layers": MAX_LAYERS,
    "weights": MAX_WEIGHTS,
    "activations": MAX_ACTIVATIONS,
    "activations taken": MAX_ACTIVATIONS,
}

_NETWORK, _LAYER = 1, 2  # types of sections
_WIDTHS = {"activation_bits": 5, "weight_bits": 5, "accumulator_bits": 6, "fraction": 8}


def write(path: str | Path, network: CompressedNetwork, coder: Coders = "packed") -> None:
    """Write a network to a file; the file is whole or not touched.

    Raises
    ------
    BadInput
        If the network is not sound, or the file cannot be written.
    """
    write_file(path, to_bytes(network, coder))


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
            head = file.read(len(MAGIC))
            body = file.read(MAX_BYTES) if head == MAGIC else b""
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


def to_bytes(network: CompressedNetwork, coder: Coders = "packed") -> bytes:
    """Contents of the .thr file of a network.

    Parameters
    ----------
    network : CompressedNetwork
    coder : str or sequence of str
        One of `CODERS` for all layers, or one for each.

    Raises
    ------
    BadInput
        If the network is not sound: `sw.numbers.prove` says why; or if there is no such coder, or
        not one for each layer.
    """
    return encode(network, coder)[0]


def encode(
    network: CompressedNetwork, coder: Coders = "packed"
) -> tuple[bytes, tuple[Storage, ...]]:
    """Contents of a .thr file, and what each layer takes of it.

    Raises
    ------
    BadInput
        As `to_bytes`.
    """
    check(network)
    _check_sizes(_sizes(network))
    prove(network)
    fmt = network.input
    numbers = {
        "activation_bits": network.activation_bits,
        "weight_bits": network.weight_bits,
        "accumulator_bits": network.accumulator_bits,
        "fraction": fmt.fraction,
    }
    varints = (-fmt.low, fmt.high, network.inputs, len(network.layers))
    head = pack_fields(_WIDTHS, numbers) + b"".join(map(varint, varints))
    parts = [MAGIC, varint(VERSION), _section(_NETWORK, head)]
    account = []
    for layer, chosen in zip(network.layers, _one_each(coder, len(network.layers)), strict=True):
        payload, stored = layers.encode(layer, chosen)
        parts.append(_section(_LAYER, payload))
        account.append(stored)
    data = b"".join(parts)
    if len(data) > MAX_BYTES:
        raise BadInput(f"the network takes {len(data)} bytes; a .thr file has at most {MAX_BYTES}")
    return data, tuple(account)


def _one_each(coder: Coders, count: int) -> Sequence[str]:
    if isinstance(coder, str):
        return [coder] * count
    if len(coder) != count:
        raise BadInput(f"{len(coder)} coders are given for {count} layers: there must be one each")
    return coder


def _section(kind: int, payload: bytes) -> bytes:
    data = varint(kind) + varint(len(payload)) + payload
    return data + zlib.crc32(data).to_bytes(layers.CRC_BYTES, "little")


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


def coders(data: bytes) -> tuple[str, ...]:
    """Coder of each layer in the contents of a .thr file that `from_bytes` accepts."""
    return tuple(layers.coder(payload) for _, payload in _split(data)[1:])


def _parse(data: bytes) -> CompressedNetwork:
    sections = _split(data)
    if not sections or sections[0][0] != _NETWORK:
        raise BadInput("the first section does not describe the network")
    try:
        numbers, fmt, inputs, count = _read_network(sections[0][1])
    except ValueError as error:
        raise BadInput(f"section 0: {error}") from error
    check_widths(*numbers)
    if count != len(sections) - 1:
        raise BadInput(f"{count} layers are announced but {len(sections) - 1} sections follow")
    found: list[CompressedLayer] = []
    tensors, weights, taken = [inputs], 0, 0
    for index, (kind, payload) in enumerate(sections[1:], 1):
        if kind != _LAYER:
            raise BadInput(f"section {index} is of type {kind}, which is not known")
        try:
            header, rest = layers.read_header(payload, MAX_ACTIVATIONS)
            shape = header.sizes.shape(tensors)
        except ValueError as error:
            raise BadInput(f"section {index}: {error}") from error
        tensors.append(shape.outputs)
        weights += shape.rows * shape.columns
        taken += shape.taken
        _check_sizes((count, weights, sum(tensors), taken))
        try:
            found.append(layers.read_layer(header, shape, rest))
        except ValueError as error:
            raise BadInput(f"layer {header.name!r}: {error}") from error
    network = CompressedNetwork(fmt, *numbers, tuple(found))
    prove(network)
    return network


def _read_network(payload: bytes) -> tuple[tuple[int, int, int], NumberFormat, int, int]:
    """(widths of activations, weights, accumulators), input's format, inputs, layers."""
    reader = Reader(payload)
    numbers = reader.fields(_WIDTHS)
    fraction = (numbers.pop("fraction") ^ 128) - 128
    if abs(fraction) > FRACTION_MAX:
        raise ValueError(f"{fraction} fraction bits are not within ±{FRACTION_MAX}")
    low = -reader.varint("the least input, negated,", 0, 1 << 16)
    high = reader.varint("the greatest input", 0, 1 << 16)
    inputs = reader.varint("the number of inputs", 1, MAX_ACTIVATIONS)
    count = reader.varint("the number of layers", 1, MAX_LAYERS)
    if reader.left:
        raise ValueError(f"{reader.left} bytes follow its last field")
    widths = (numbers["activation_bits"], numbers["weight_bits"], numbers["accumulator_bits"])
    return widths, NumberFormat(fraction, low, high), inputs, count


def _sizes(network: CompressedNetwork) -> tuple[int, int, int, int]:
    """Layers, weights, activations and activations taken of a network."""
    tensors = [network.inputs, *(layer.outputs for layer in network.layers)]
    weights = sum(layer.codes.size for layer in network.layers)
    taken = sum(tensors[source] for sources in network.sources for source in sources)
    return len(network.layers), weights, sum(tensors), taken


def _check_sizes(sizes: tuple[int, int, int, int]) -> None:
    for number, (what, most) in zip(sizes, _LIMITS.items(), strict=True):
        if number > most:
            raise BadInput(
                f"there are {number} {what} in all layers; a .thr file holds at most {most}"
            )


def _split(data: bytes) -> list[tuple[int, bytes]]:
    """(type, payload) of every section of a file, lengths and checksums checked."""
    if not data.startswith(MAGIC):
        raise BadInput("this is not a .thr file: it does not begin as one")
    reader = Reader(data)
    reader.take(len(MAGIC))
    try:
        version = reader.varint("its version", 0, 1 << 28)
    except ValueError as error:
        raise BadInput(f"the file's header is unsound: {error}") from error
    if version != VERSION:
        raise BadInput(f"the file has version {version}; this program reads version {VERSION}")
    if len(data) > MAX_BYTES:
        raise BadInput(f"the file has more than {MAX_BYTES} bytes")
    sections: list[tuple[int, bytes]] = []
    while reader.left:
        if len(sections) > MAX_LAYERS:
            raise BadInput(f"the file has more than {MAX_LAYERS + 1} sections")
        start = reader.place
        try:
            kind = reader.varint("its type", 0, 127)
            payload = reader.take(reader.varint("its length", 0, MAX_BYTES))
            stop = reader.place
            checksum = reader.take(layers.CRC_BYTES)
        except ValueError as error:
            raise BadInput(f"section {len(sections)} is cut off or unsound: {error}") from error
        if zlib.crc32(data[start:stop]) != int.from_bytes(checksum, "little"):
            raise BadInput(f"section {len(sections)} is damaged: its checksum does not match")
        sections.append((kind, payload))
    return sections
