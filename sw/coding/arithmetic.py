"""Adaptive arithmetic coding of a layer: its matrix of codes and its biases, in one stream.

docs/arithmetic.md specifies it. The coder is the range coder of the library constriction; the
models are those of `sw.coding.contexts`: logistic mixing as in PAQ (Mahoney, "Adaptive weighing of
context models for lossless data compression", Florida Tech. CS-2005-16), of contexts that suit
pruned networks.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .contexts import code_matrix
from .neighbours import Setting
from .range_coder import ONE, Coder, Decoder, Encoder, Ruler

__all__ = ["INTEGER_BITS_MAX", "decode", "encode"]

Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

INTEGER_BITS_MAX = 48  # of the magnitude of an integer
_VALUES_MAX = 256
_SIZE_MAX = 1 << 32
_SIDE_MAX = 1 << 15  # rows or columns of a matrix that is coded as it is
_FOLDED = 1 << 12  # columns at least that others are given
_ROWS_FOLDED = 1 << 16
_STRIDE_BITS, _STRIDE_MIN = 10, 4
_DENSITY_BITS, _LENGTH_BITS = 8, 6
_SAMPLE = 1 << 16  # weights that settings are tried on
_SAMPLE_COLUMNS = 1 << 10
_STRIDES_TRIED = 3
_BATCH_MIN, _BATCH_MAX = 8, 1 << 16  # integers coded at once


def encode(codes: Codes, values: int, integers: Integers) -> bytes:
    """Bytes that hold a matrix of codes, and integers.

    Parameters
    ----------
    codes : (rows, columns) uint8
        0 for a weight that is 0; others are places in an ascending codebook.
    values : int
        Codes that there are, 0 among them; from 1 to 256.
    integers : (m,) int64, magnitudes below 2**48
        Where m is `rows`, one that belongs to a row.

    Raises
    ------
    ValueError
        If a code is not below `values`, or an integer is too large.
    """
    _check(codes.shape, values)
    if codes.size and int(codes.max()) >= values:
        raise ValueError(f"a code is {int(codes.max())}; there are {values} values")
    if integers.size and max(-int(integers.min()), int(integers.max())) >> INTEGER_BITS_MAX:
        raise ValueError(f"an integer has more than {INTEGER_BITS_MAX} bits")
    encoder = Encoder()
    _code(encoder, codes.shape, values, len(integers), (codes, integers))
    return encoder.finish()


def decode(data: bytes, shape: tuple[int, int], values: int, count: int) -> tuple[Codes, Integers]:
    """Codes (rows, columns) uint8 and integers (count,) int64 that `encode` wrote.

    Raises
    ------
    ValueError
        If `data` is not what codes and integers are written as. What it takes of memory and time
        is bounded by `shape` and `count`.
    """
    _check(shape, values)
    decoder = Decoder(data)
    found = _code(decoder, shape, values, count, None)
    decoder.finish()
    return found


def _check(shape: tuple[int, ...], values: int) -> None:
    if not 1 <= values <= _VALUES_MAX:
        raise ValueError(f"a matrix has {values} values; it can have 1 to {_VALUES_MAX}")
    if len(shape) != 2 or shape[0] * shape[1] > _SIZE_MAX:
        raise ValueError(f"a matrix has shape {shape}; it can have {_SIZE_MAX} weights")


def _code(
    coder: Coder,
    shape: tuple[int, int],
    values: int,
    count: int,
    content: tuple[Codes, Integers] | None,
) -> tuple[Codes, Integers]:
    codes, integers = content or (None, None)
    codes = _code_codes(coder, shape, values, codes)
    alive = (codes != 0).any(axis=1) if count == shape[0] else np.zeros(count, np.bool_)
    return codes, _code_integers(coder, alive, integers)


def _code_codes(coder: Coder, shape: tuple[int, int], values: int, codes: Codes | None) -> Codes:
    """All of the matrix, folded if it is longer or wider than any layer."""
    size = shape[0] * shape[1]
    if values == 1 or not size or not _flag(coder, None if codes is None else codes.any()):
        return np.zeros(shape, np.uint8)
    if max(shape) <= _SIDE_MAX:
        return _code_oriented(coder, shape, values, codes)
    width = max(_FOLDED, -(-size // _ROWS_FOLDED))
    folded = -(-size // width), width
    if codes is not None:
        codes = np.pad(codes.ravel(), (0, folded[0] * width - size)).reshape(folded)
    codes = _code_oriented(coder, folded, values, codes)
    if codes.ravel()[size:].any():
        raise ValueError("a weight beyond the last of the matrix is not 0")
    return codes.ravel()[:size].reshape(shape)


def _code_oriented(coder: Coder, shape: tuple[int, int], values: int, codes: Codes | None) -> Codes:
    transposed, setting = (False, None) if codes is None else _choose(codes, values)
    if transposed := _flag(coder, transposed):
        shape, codes = shape[::-1], None if codes is None else np.ascontiguousarray(codes.T)
    setting = _code_setting(coder, shape[0], values, setting)
    codes = _code_rows(coder, shape, values, setting, codes)
    return np.ascontiguousarray(codes.T) if transposed else codes


def _code_rows(
    coder: Coder, shape: tuple[int, int], values: int, setting: Setting, codes: Codes | None
) -> Codes:
    given = (None, None) if codes is None else [(codes != 0).any(axis=axis) for axis in (1, 0)]
    rows = _code_flags(coder, shape[0], setting.stride, given[0])
    columns = _code_flags(coder, shape[1], 0, given[1])
    return code_matrix(coder, setting, (rows, columns), values, codes)


def _code_setting(coder: Coder, rows: int, values: int, setting: Setting | None) -> Setting:
    given = dataclasses.astuple(setting) if setting else (None,) * 3
    stride, density, split = given
    if _flag(coder, None if stride is None else stride > 0):
        stride = _number(coder, _STRIDE_BITS, stride)
        if not _STRIDE_MIN <= stride <= rows // 2:
            raise ValueError(f"a stride of {stride} does not fit {rows} rows")
    else:
        stride = 0
    density = _number(coder, _DENSITY_BITS, density)
    split = 1 + _number(coder, (values - 1).bit_length(), None if split is None else split - 1)
    if split > values:
        raise ValueError(f"the first positive value is {split}, after all {values}")
    return Setting(stride, density, split)


def _number(coder: Coder, width: int, number: int | None) -> int:
    places = np.arange(width)
    bits = None if number is None else number >> places & 1
    return int((coder.bits(np.full(width, ONE // 2), bits) << places).sum())


def _flag(coder: Coder, flag: bool | np.bool_ | None) -> bool:
    return bool(_number(coder, 1, None if flag is None else int(flag)))


def _code_flags(coder: Coder, length: int, stride: int, flags: Flags | None) -> Flags:
    """Which rows or columns are not all 0; a flag's context is the one before and the one above."""
    found = [False] * length
    counts = np.full((4, 2), 2)
    for index in range(length):
        before = index > 0 and found[index - 1]
        above = 0 < stride <= index and found[index - stride]
        context = counts[2 * before + above]
        one = np.array([context[1] * ONE // context.sum()])
        bit = int(coder.bits(one, None if flags is None else flags[index : index + 1] * 1)[0])
        context[bit] += 5
        found[index] = bit > 0
    return np.array(found, np.bool_)


def _code_integers(coder: Coder, alive: Flags, integers: Integers | None) -> Integers:
    """Integers: the bits of each one's magnitude by adaptive frequencies, the others as they are.

    Parameters
    ----------
    alive : (m,) bool
        Context of each.
    """
    if not len(alive):
        return np.zeros(0, np.int64)
    lengths = None
    if integers is not None:
        lengths = np.frexp(np.abs(integers).astype(np.float64))[1].astype(np.int64)
    longest = _number(coder, _LENGTH_BITS, None if lengths is None else int(lengths.max()))
    if longest > INTEGER_BITS_MAX:
        raise ValueError(f"integers have {longest} bits, more than {INTEGER_BITS_MAX}")
    found = np.zeros(len(alive), np.int64)
    counts = np.stack([64 >> np.minimum(np.abs(longest - 1 - np.arange(longest + 1)), 6)] * 2)
    start, size = 0, _BATCH_MIN
    while longest and start < len(alive):
        batch = slice(start, start + size)
        context = alive[batch].astype(np.int64)
        weights = counts[context] * ONE // counts[context].sum(axis=1, keepdims=True)
        weights[:, 0] += ONE - weights.sum(axis=1)
        bits = coder.symbols(weights, None if lengths is None else lengths[batch])
        np.add.at(counts, (context, bits), 64)
        found[batch] = _code_magnitudes(coder, bits, None if integers is None else integers[batch])
        start, size = start + size, min(max(size, start), _BATCH_MAX)
    return found


def _code_magnitudes(coder: Coder, lengths: Integers, integers: Integers | None) -> Integers:
    """Sign, and bits below the leading one, of integers whose magnitudes have `lengths` bits."""
    some = np.flatnonzero(lengths)
    owner = np.repeat(some, lengths[some])
    ends = np.cumsum(lengths[some])
    place = np.arange(len(owner)) - np.repeat(ends - lengths[some], lengths[some])
    # The place of the leading bit, which is known to be 1, is taken by the sign.
    leading = place == lengths[owner] - 1
    bits = None
    if integers is not None:
        bits = np.where(leading, integers[owner] < 0, np.abs(integers[owner]) >> place & 1)
    bits = coder.bits(np.full(len(owner), ONE // 2), bits)
    found = np.zeros(len(lengths), np.int64)
    np.add.at(found, owner, np.where(leading, 1, bits) << place)
    found[owner[leading & (bits > 0)]] *= -1
    return found


def _choose(codes: Codes, values: int) -> tuple[bool, Setting]:
    """Orientation and setting that make a sample of the matrix smallest."""
    sample = _sample(codes)
    mask = (sample != 0).astype(np.uint8)
    start = Setting(0, _density_step(sample))
    # Orientation and stride by the mask alone: it is most of the bytes, and fast.
    _, transposed, stride = min(
        (_cost(oriented, 2, dataclasses.replace(start, stride=stride)), transposed, stride)
        for transposed, oriented in ((False, mask), (True, np.ascontiguousarray(mask.T)))
        for stride in (0, *_strides(oriented))
    )
    sample = np.ascontiguousarray(sample.T) if transposed else sample
    setting = dataclasses.replace(start, stride=stride, split=_balanced(codes, values))
    best = _cost(sample, values, setting)
    for step, last in ((1, values), (-1, 1)):
        while setting.split != last:
            other = dataclasses.replace(setting, split=setting.split + step)
            cost = _cost(sample, values, other)
            if cost >= best:
                break
            best, setting = cost, other
    return transposed, dataclasses.replace(setting, density=_density_step(codes))


def _balanced(codes: Codes, values: int) -> int:
    """The code before which come half of the codes that are not 0, as if half were negative."""
    before = np.cumsum(np.bincount(codes.ravel(), minlength=values)[1:])
    return 2 + int(np.argmin(np.abs(2 * before - before[-1])))


def _cost(codes: Codes, values: int, setting: Setting) -> float:
    ruler = Ruler()
    _code_rows(ruler, codes.shape, values, setting, codes)
    return ruler.length


def _sample(codes: Codes) -> Codes:
    """A part of the matrix that is fast to try settings on; all of it where that is fast."""
    rows, columns = (np.flatnonzero(codes.any(axis=axis)) for axis in (1, 0))
    if len(rows) * len(columns) <= _SAMPLE:
        return codes
    part = codes[rows[0] :, columns[0] :][:, :_SAMPLE_COLUMNS]
    return part[: _SAMPLE // part.shape[1]]


def _density_step(codes: Codes) -> int:
    """Field `density` of a setting: the share of codes that are not 0, of those in use."""
    ones = np.count_nonzero(codes)
    zeros = np.count_nonzero(codes.any(axis=1)) * np.count_nonzero(codes.any(axis=0)) - ones
    return int(np.clip(128 + np.rint(10 * np.log((ones + 0.5) / (zeros + 0.5))), 0, 255))


def _strides(codes: Codes) -> list[int]:
    """Distances at which rows are most alike, beyond what how full they are explains."""
    mask = (codes != 0).astype(np.float64)
    full = mask.sum(axis=1)
    alike, expected = mask @ mask.T, np.outer(full, full) / mask.shape[1]
    reach = range(_STRIDE_MIN, min(len(mask) // 2 + 1, 1 << _STRIDE_BITS))
    scores = [
        (np.trace(alike, stride) - (chance := np.trace(expected, stride))) / np.sqrt(chance + 1)
        for stride in reach
    ]
    order = np.argsort(scores)[::-1][:_STRIDES_TRIED]
    return [reach[index] for index in order if scores[index] > 1]
