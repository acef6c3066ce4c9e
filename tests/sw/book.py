"""A reader and an assembler of .thr files written from docs/format.md alone, one bit at a time."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

from sw.coding import arithmetic
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution

MAGIC = b"\x89THR\r\n\x1a\n"
PACKED, HUFFMAN, ARITHMETIC = range(3)

# Bits of the fields that begin a layer, and those of the network.
LAYER = {
    "relu": 1,
    "convolution": 1,
    "coder": 2,
    "gap_bits": 4,
    "shift": 5,
    "weight_fraction": 8,
    "values": 8,
    "codebook_bits": 4,
    "ascending": 1,
    "bias_step": 6,
    "bias_bits": 6,
    "extended": 1,
    "unused": 1,
}
NETWORK = {"activation_bits": 5, "weight_bits": 5, "accumulator_bits": 6, "fraction": 8}


class Bits:
    """Bits of bytes, the lowest of each byte first."""

    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    def bit(self) -> int:
        byte, place = divmod(self.place, 8)
        self.place += 1
        return self.data[byte] >> place & 1

    def number(self, width: int, signed: bool = False) -> int:
        value = sum(self.bit() << i for i in range(width))
        return value - (value >> (width - 1) << width) if signed and width else value

    def align(self) -> None:
        while self.place % 8:
            assert not self.bit()

    def fields(self, widths: dict[str, int]) -> dict[str, int]:
        return {name: self.number(width) for name, width in widths.items()}

    def varint(self) -> int:
        value, shift, more = 0, 0, 1
        while more:
            value |= self.number(7) << shift
            shift += 7
            more = self.bit()
        return value

    def rest(self) -> bytes:
        return self.data[self.place // 8 :]


def signed(value: int) -> int:
    return -(value + 1) // 2 if value % 2 else value // 2


def varint(value: int) -> bytes:
    return (bytes([value % 128 + 128]) + varint(value // 128)) if value > 127 else bytes([value])


def sections(data: bytes) -> list[tuple[int, bytes]]:
    """(type, payload) of each section, whatever the checksums are."""
    found, bits = [], Bits(data)
    bits.place = 8 * 9
    while bits.place < 8 * len(data):
        kind, length = bits.varint(), bits.varint()
        start = bits.place // 8
        found.append((kind, data[start : start + length]))
        bits.place += 8 * (length + 4)
    return found


def assemble(parts: list[tuple[int, bytes]], version: int = 3) -> bytes:
    """File with sound checksums of any sections."""
    data = MAGIC + varint(version)
    for kind, payload in parts:
        section = varint(kind) + varint(len(payload)) + payload
        data += section + struct.pack("<I", zlib.crc32(section))
    return data


def with_field(payload: bytes, widths: dict[str, int], field: str, value: int) -> bytes:
    """Payload in which one bit field holds something else."""
    names = list(widths)
    place = sum(widths[name] for name in names[: names.index(field)])
    word = int.from_bytes(payload, "little")
    word &= ~(((1 << widths[field]) - 1) << place)
    return (word | value << place).to_bytes(len(payload), "little")


def read(data: bytes) -> CompressedNetwork:
    """Network of a sound file."""
    (kind, head), *rest = sections(data)
    assert kind == 1
    bits = Bits(head)
    fields = bits.fields(NETWORK)
    fraction = (fields.pop("fraction") + 128) % 256 - 128
    low, high, inputs, count = (bits.varint() for _ in range(4))
    assert count == len(rest)
    assert not bits.rest()
    layers, tensors = [], [inputs]
    for kind, payload in rest:
        assert kind == 2
        layers.append(read_layer(payload, tensors))
        tensors.append(layers[-1].outputs)
    return CompressedNetwork(NumberFormat(fraction, -low, high), **fields, layers=tuple(layers))


def read_layer(payload: bytes, tensors: list[int]) -> CompressedLayer:
    bits = Bits(payload)
    fields = bits.fields(LAYER)
    name = bytes(bits.number(8) for _ in range(bits.varint())).decode()
    rows, geometry = bits.varint(), None
    planes = [bits.varint() for _ in range(7)] if fields["convolution"] else None
    sources, added, groups, overlap, average = read_extension(bits, fields)
    given = [tensors[len(tensors) - distance] for distance in sources]
    columns = inputs = max(given) if added else sum(given)
    if planes:
        channels, height, kernel_height, kernel_width, *others = planes
        width = inputs // (channels * height)
        kernel = kernel_height, kernel_width
        geometry = Convolution(channels, height, width, *kernel, *others, groups, overlap, average)
        columns = channels // groups * kernel_height * kernel_width
    codebook = read_codebook(bits, fields)
    if fields["coder"] == ARITHMETIC:
        codes, bias = arithmetic.decode(bits.rest(), (rows, columns), len(codebook), rows)
    else:
        count = bits.varint()
        bias = [bits.number(fields["bias_bits"], signed=True) for _ in range(rows)]
        bits.align()
        pairs = read_packed if fields["coder"] == PACKED else read_huffman
        codes, at = np.zeros(rows * columns, np.uint8), -1
        for code, gap in pairs(bits, count, len(codebook), fields["gap_bits"]):
            at += gap + 1
            codes[at] = code
        bits.align()
        assert not bits.rest()
    return CompressedLayer(
        name=name,
        codes=codes.reshape(rows, columns),
        codebook=np.array(codebook, np.int64),
        weight_fraction=(fields["weight_fraction"] + 128) % 256 - 128,
        bias=np.array(bias, np.int64) * 2 ** fields["bias_step"],
        shift=fields["shift"],
        relu=bool(fields["relu"]),
        convolution=geometry,
        sources=sources,
        added=added,
    )


def read_extension(
    bits: Bits, fields: dict[str, int]
) -> tuple[tuple[int, ...], bool, int, int, bool]:
    """Sources, added, groups, overlap, average."""
    if not fields["extended"]:
        return (1,), False, 1, 0, False
    sources = tuple(bits.varint() for _ in range(bits.varint()))
    added = bits.varint() == 1
    if not fields["convolution"]:
        return sources, added, 1, 0, False
    return sources, added, bits.varint(), bits.varint(), bits.varint() == 1


def read_codebook(bits: Bits, fields: dict[str, int]) -> list[int]:
    values, width = fields["values"], fields["codebook_bits"] + 1
    if fields["ascending"]:
        codebook = [0, signed(bits.varint())]
        for _ in range(values - 1):
            codebook.append(codebook[-1] + bits.number(width))
    else:
        codebook = [0] + [bits.number(width, signed=True) for _ in range(values)]
    bits.align()
    return codebook


def read_packed(bits: Bits, count: int, values: int, gap_bits: int) -> list[tuple[int, int]]:
    code_bits = max(1, math.ceil(math.log2(values)))
    return [(bits.number(code_bits), bits.number(gap_bits)) for _ in range(count)]


def read_huffman(bits: Bits, count: int, values: int, gap_bits: int) -> list[tuple[int, int]]:
    if not count:
        return []
    symbols = max(2, values)
    code_words = read_table(bits, symbols, math.ceil(math.log2(symbols)))
    gap_words = read_table(bits, 1 << gap_bits, gap_bits) if gap_bits else None
    codes = [read_word(bits, code_words) for _ in range(count)]
    padding = (1 << gap_bits) - 1
    gaps = [read_word(bits, gap_words) if code and gap_bits else padding for code in codes]
    return list(zip(codes, gaps, strict=True))


def read_table(bits: Bits, symbols: int, length: int) -> dict[tuple[int, int], int]:
    """Symbol of each codeword (bits, value)."""
    lengths = []
    for _ in range(symbols):
        zeros = 0
        while not bits.bit():
            zeros += 1
        value = 1
        for _ in range(zeros):
            value = 2 * value + bits.bit()
        length += signed(value - 1)
        lengths.append(length)
    words, word = {}, 0
    for length in range(1, 16):
        word *= 2
        for symbol in range(symbols):
            if lengths[symbol] == length:
                words[length, word] = symbol
                word += 1
    return words


def read_word(bits: Bits, words: dict[tuple[int, int], int]) -> int:
    length = word = 0
    while (length, word) not in words:
        length, word = length + 1, 2 * word + bits.bit()
    return words[length, word]
