"""Canonical Huffman codes of limited length, for the codes and for the gaps of a layer."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from bitarray import bitarray
from bitarray.util import canonical_decode, int2ba
from numpy.typing import NDArray

from hw.layouts import GAP_BITS_MAX

from . import entries
from .bits import unzigzag, zigzag
from .entries import Runs

__all__ = ["LENGTH_MAX", "Sizes", "best", "decode", "encode", "lengths"]

LENGTH_MAX = 15  # bits of a codeword
_STEP_BITS = (2 * LENGTH_MAX + 1).bit_length()  # of the longest step in a table
_CHUNK = 1 << 20  # entries placed at once


class Sizes(NamedTuple):
    """Bits of the parts that `encode` writes, before the last byte is filled.

    Attributes
    ----------
    gap_bits : int
        Width of the gaps that they are for.
    """

    gap_bits: int
    tables: int
    codes: int
    gaps: int


def lengths(counts: NDArray[np.int64], most: int = LENGTH_MAX) -> NDArray[np.int64]:
    """Bits of each symbol's codeword, limited, in an optimal prefix code; 0 if it has none.

    Package-merge (Larmore and Hirschberg, 1990). A symbol that is alone gets one bit.

    Parameters
    ----------
    counts : (n,) int64, n <= 2**most
        How often each symbol occurs; those that never do get no codeword.
    most : int
        Bits of the longest codeword.
    """
    found = np.zeros(len(counts), np.int64)
    symbols = np.flatnonzero(counts)
    symbols = symbols[np.argsort(counts[symbols], kind="stable")]
    if len(symbols) == 1:
        found[symbols] = 1
    leaves, packages = counts[symbols], np.zeros(0, np.int64)
    rows = []  # whether each item is a leaf, lightest first
    for _ in range(most):
        items = np.concatenate([leaves, packages])
        order = np.argsort(items, kind="stable")
        rows.append(order < len(leaves))
        pairs = items[order][: len(items) // 2 * 2]
        packages = pairs[::2] + pairs[1::2]
    taken = max(0, 2 * len(symbols) - 2)
    for row in reversed(rows):
        singles = int(np.count_nonzero(row[:taken]))
        found[symbols[:singles]] += 1
        taken = 2 * (taken - singles)
    return found


def best(of: Runs, values: int) -> Sizes:
    """Sizes for the width of the gaps with which a layer takes fewest bits."""
    return min(
        (_sizes(of, values, gap_bits) for gap_bits in range(GAP_BITS_MAX + 1)),
        key=lambda sizes: sizes.tables + sizes.codes + sizes.gaps,
    )


def _sizes(of: Runs, values: int, gap_bits: int) -> Sizes:
    bits = []
    tables = 0
    for frequencies, width in _alphabets(of, values, gap_bits):
        if width and entries.entry_count(of, gap_bits):
            found = lengths(frequencies)
            tables += len(_table(found.tolist(), width))
            bits.append(int(frequencies @ found))
        else:
            bits.append(0)
    return Sizes(gap_bits, tables, *bits)


def _alphabets(
    of: Runs, values: int, gap_bits: int
) -> tuple[tuple[NDArray[np.int64], int], tuple[NDArray[np.int64], int]]:
    """(counts of symbols, their fixed width) of the codes and of the gaps."""
    codes, gaps = entries.counts(of, _code_symbols(values), gap_bits)
    return (codes, (len(codes) - 1).bit_length()), (gaps, gap_bits)


def _code_symbols(values: int) -> int:
    # Padding needs a codeword even where there is no other code.
    return max(2, values)


def encode(of: Runs, values: int, gap_bits: int) -> bytes:
    """Tables and codewords of a layer's entries.

    The code table, the gap table (unless gaps have no bits), the codewords of all codes, those of
    the gaps of all entries but padding, whose gap is known. Without entries there is nothing.

    Parameters
    ----------
    values : int
        Length of the codebook.
    """
    codes, gaps = entries.encode(of, gap_bits)
    if not len(codes):
        return b""
    tables, words = bitarray(endian="little"), bitarray(endian="little")
    for symbols, (frequencies, width) in zip(
        (codes, gaps[codes != 0]), _alphabets(of, values, gap_bits), strict=True
    ):
        if width:
            found = lengths(frequencies).tolist()
            tables += _table(found, width)
            if len(symbols):
                words.encode(_codewords(found), symbols.tobytes())
    return (tables + words).tobytes()


def _ordered(found: list[int]) -> list[int]:
    """Symbols in canonical order: shorter codewords first, then lower symbols."""
    return sorted((s for s, length in enumerate(found) if length), key=lambda s: (found[s], s))


def _codewords(found: list[int]) -> dict[int, bitarray]:
    words, word, before = {}, 0, 0
    for symbol in _ordered(found):
        word <<= found[symbol] - before
        before = found[symbol]
        words[symbol] = int2ba(word, before)  # the first bit is the highest
        word += 1
    return words


def _table(found: list[int], width: int) -> bitarray:
    """Lengths of codewords as the steps between them, small ones taking few bits.

    The first length is a step from the fixed width. A step is written in zigzag form plus 1 by
    Elias' gamma code: as many zeros as bits follow the highest, then all bits, that one first.
    """
    bits = bitarray(endian="little")
    for before, length in itertools.pairwise([width, *found]):
        number = zigzag(length - before) + 1
        bits.extend(f"{number:0{2 * number.bit_length() - 1}b}")
    return bits


def _read_table(bits: bitarray, place: int, symbols: int, width: int) -> tuple[list[int], int]:
    """Lengths of a table that begins at `place`, and where it ends."""
    found, length = [], width
    for _ in range(symbols):
        one = bits.find(1, place, place + _STEP_BITS)
        end = one + (one - place) + 1
        if one < 0 or end > len(bits):
            raise ValueError("the table of codewords is cut off, or a step in it too large")
        length += unzigzag(int(bits[one:end].to01(), 2) - 1)
        if not 0 <= length <= LENGTH_MAX:
            raise ValueError(f"a codeword has {length} bits, not from 0 to {LENGTH_MAX}")
        found.append(length)
        place = end
    used = [length for length in found if length]
    # Where all entries are padding, no gap has a codeword.
    if (
        used not in ([], [1])
        and sum(1 << LENGTH_MAX - length for length in used) != 1 << LENGTH_MAX
    ):
        raise ValueError("the codewords do not make a complete code")
    return found, place


def _read_symbols(
    bits: bitarray, place: int, count: int, found: list[int]
) -> tuple[NDArray[np.uint8], int]:
    """`count` symbols whose codewords begin at `place`, and where they end."""
    if not count:
        return np.zeros(0, np.uint8), place
    histogram = np.bincount(found, minlength=LENGTH_MAX + 1).tolist()
    histogram[0] = 0
    stream = canonical_decode(bits[place:], histogram, _ordered(found))
    symbols = np.fromiter(itertools.islice(stream, count), np.uint8)
    if len(symbols) < count:
        raise ValueError(f"there are codewords of {len(symbols)} symbols out of {count}")
    occurrences = np.bincount(symbols, minlength=len(found))
    return symbols, place + int(occurrences @ np.array(found))


def decode(
    data: bytes, count: int, values: int, gap_bits: int, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Codes (rows, columns) of `count` entries, as `encode` wrote them.

    Raises
    ------
    ValueError
        If the data are anything else. Nothing is allocated that is large beside them.
    """
    bits = bitarray(endian="little")
    bits.frombytes(data)
    # A codeword takes a bit, so that the bytes bound the entries, and these the matrix.
    if count > len(bits):
        raise ValueError(f"{len(data)} bytes cannot hold {count} entries")
    codes, gaps = _read(bits, count, _code_symbols(values), gap_bits)
    chunks = (
        (codes[start : start + _CHUNK], gaps[start : start + _CHUNK])
        for start in range(0, count, _CHUNK)
    )
    return entries.decode(chunks, count, gap_bits, shape)


def _read(
    bits: bitarray, count: int, symbols: int, gap_bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Codes (count,) and gaps (count,) of all bits of the data."""
    codes, gaps = np.zeros(count, np.uint8), np.full(count, (1 << gap_bits) - 1, np.uint8)
    place = 0
    if count:
        lengths_of_codes, place = _read_table(bits, 0, symbols, (symbols - 1).bit_length())
        if gap_bits:
            lengths_of_gaps, place = _read_table(bits, place, 1 << gap_bits, gap_bits)
        codes, place = _read_symbols(bits, place, count, lengths_of_codes)
        if gap_bits:
            own = codes != 0
            gaps[own], place = _read_symbols(bits, place, int(own.sum()), lengths_of_gaps)
    if len(bits) - place >= 8 or bits[place:].any():
        raise ValueError("something other than the last byte's filling follows the codewords")
    return codes, gaps
