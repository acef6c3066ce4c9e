"""The range coder under the models: encoder, decoder and a ruler, with one interface."""

from __future__ import annotations

from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

__all__ = ["ONE", "Coder", "Decoder", "Encoder", "Ruler"]

ONE = 1 << 20  # probabilities are multiples of 1 / ONE, which the library takes without rounding
_STATE_BITS = 64
_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)
_CATEGORICAL = constriction.stream.model.Categorical(perfect=False)

Integers = NDArray[np.int64]


class Coder(Protocol):
    """What a model needs: the same calls code, decode and measure.

    The symbols given are those to code; a decoder is given None and all return those coded.
    """

    def bits(self, ones: Integers, bits: Integers | None) -> Integers:
        """Bits (n,), each 1 with probability ``ones / ONE``; ones (n,) from 1 to ONE - 1."""

    def symbols(self, weights: Integers, symbols: Integers | None) -> Integers:
        """Symbols (n,) with probabilities ``weights / ONE``; every row of weights sums to ONE."""


class Encoder:
    """Symbols to bytes."""

    def __init__(self) -> None:
        self._encoder = constriction.stream.queue.RangeEncoder()

    def bits(self, ones: Integers, bits: Integers | None) -> Integers:
        assert bits is not None
        self._encoder.encode(bits.astype(np.int32), _BERNOULLI, ones / ONE)
        return bits

    def symbols(self, weights: Integers, symbols: Integers | None) -> Integers:
        assert symbols is not None
        self._encoder.encode(symbols.astype(np.int32), _CATEGORICAL, weights / ONE)
        return symbols

    def finish(self) -> bytes:
        """The shortest bytes that, with zeros after them, lie in the final interval."""
        sealed = self._encoder.get_compressed()
        words, (lower, width) = self._encoder.pos()
        size = 4 * (words + _STATE_BITS // 32)
        point = int.from_bytes(sealed.astype(">u4").tobytes().ljust(size, b"\0"), "big")
        # `lower` lacks the carry that words held back still await; the sealed point has it.
        low = point - (point - lower) % (1 << _STATE_BITS)
        for drop in range(_STATE_BITS, -1, -8):
            start = -(-low >> drop) << drop
            if start < low + width:
                break
        return int(start).to_bytes(size, "big").rstrip(b"\0")


class Decoder:
    """Bytes to symbols.

    Raises
    ------
    ValueError
        From any call, if the bytes are none that the encoder writes.
    """

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4)
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self._data = data
        self._decoder = constriction.stream.queue.RangeDecoder(words)
        self._again = Encoder()

    def bits(self, ones: Integers, bits: Integers | None) -> Integers:
        return self._again.bits(ones, self._decode(_BERNOULLI, ones))

    def symbols(self, weights: Integers, symbols: Integers | None) -> Integers:
        return self._again.symbols(weights, self._decode(_CATEGORICAL, weights))

    def _decode(self, model: constriction.stream.model.Model, numbers: Integers) -> Integers:
        try:
            decoded: NDArray[np.int32] = self._decoder.decode(model, numbers / ONE)
        except AssertionError as error:
            raise ValueError("the coded data cannot have been written by the encoder") from error
        return decoded.astype(np.int64)

    def finish(self) -> None:
        """Refuse bytes that are not exactly those the decoded symbols are coded as."""
        if self._again.finish() != self._data:
            raise ValueError("the coded data goes on after its last symbol, or ends before it")


class Ruler:
    """Counts the bits that an encoder would need."""

    def __init__(self) -> None:
        self.length = 0.0

    def bits(self, ones: Integers, bits: Integers | None) -> Integers:
        assert bits is not None
        self.length -= float(np.log2(np.where(bits, ones, ONE - ones) / ONE).sum())
        return bits

    def symbols(self, weights: Integers, symbols: Integers | None) -> Integers:
        assert symbols is not None
        chosen = np.maximum(weights[np.arange(len(symbols)), symbols], 1)
        self.length -= float(np.log2(chosen / ONE).sum())
        return symbols
