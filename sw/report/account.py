"""Where the bits of a compressed network go, counted."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sw import format as thr
from sw.coding import entries
from sw.compressed import CompressedLayer, CompressedNetwork
from sw.published import PublishedLayer, PublishedNetwork

from .kinds import is_structure, learned, parameters
from .known import recognise
from .stored import stored

__all__ = ["FLOAT_BITS", "PARTS", "Account", "LayerAccount", "account"]

FLOAT_BITS = 32  # of what everything is compared with
# Parts of a layer in a file, in the order in which people look for them.
PARTS = ("codes", "gaps", "tables", "codebook", "bias", "header", "filling")
_TITLE_MAX, _TITLE_START = 18, 4  # characters, and those before a cut


@dataclasses.dataclass(frozen=True)
class LayerAccount:
    """Where the bits of a layer go.

    Attributes
    ----------
    layer : CompressedLayer
    stored : Storage
        Its parts in the file, in bits, and its entries at fixed width.
    nonzeros : int
        Weights that are not pruned.
    codebook_runtime : int
        Bits of the codebook in the engine, 0 included.
    code_entropy, gap_entropy : float
        Least bits of the entries' codes, and of the gaps of all entries but padding, for a coder
        that knows how often each occurs and nothing else (zeroth order).
    position_entropy, value_entropy : float
        Least bits of the positions, and of the codes, of the non-zero weights, if each weight is
        drawn alone and alike. A coder that learns from neighbours can go below.
    published : PublishedLayer, optional
        The paper's row for this layer.
    """

    layer: CompressedLayer
    stored: thr.Storage
    nonzeros: int
    codebook_runtime: int
    code_entropy: float
    gap_entropy: float
    position_entropy: float
    value_entropy: float
    published: PublishedLayer | None

    @property
    def title(self) -> str:
        """The layer's name for people, with its middle cut out if it is long."""
        name = self.layer.name
        if len(name) > _TITLE_MAX:
            # The end tells most of names such as /block1/conv1/Conv.
            name = name[:_TITLE_START] + "…" + name[_TITLE_START + 1 - _TITLE_MAX :]
        return name or "(no name)"

    @property
    def structure(self) -> bool:
        """Whether the weights are no parameters of the network."""
        return is_structure(self.layer)

    @property
    def weights(self) -> int:
        return int(self.layer.codes.size)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + len(self.layer.bias)

    @property
    def density(self) -> float:
        return self.nonzeros / self.weights

    @property
    def runtime(self) -> int:
        """Bits of codes and gaps at fixed width, padding included, and of the codebook."""
        return self.stored.fixed_codes + self.stored.fixed_gaps + self.codebook_runtime

    @property
    def rate_pq(self) -> float:
        """`runtime` against 32-bit weights: the paper's P+Q."""
        return self.runtime / (FLOAT_BITS * self.weights)

    @property
    def coded(self) -> int:
        """Bits of the weights in the file: codes, gaps, tables and codebook."""
        parts = self.stored
        return parts.codes + parts.gaps + parts.tables + parts.codebook

    @property
    def rate_pqh(self) -> float:
        """`coded` against 32-bit weights: the paper's P+Q+H."""
        return self.coded / (FLOAT_BITS * self.weights)

    def per_nonzero(self, bits: float) -> float | None:
        """Mean over the non-zero weights; None if there are none."""
        return bits / self.nonzeros if self.nonzeros else None


@dataclasses.dataclass(frozen=True)
class Account:
    """Where the bytes of a file go.

    Weights and parameters are those of layers that are not structure (`sw.report.kinds`), unless
    all are.

    Attributes
    ----------
    network : CompressedNetwork
    bytes : int
        Of the file.
    container : int
        Bytes of the file that belong to no layer.
    exact : bool
        See `sw.report.stored.Stored`.
    layers : tuple of LayerAccount
    published : PublishedNetwork, optional
        The network of the paper that this one is.
    """

    network: CompressedNetwork
    bytes: int
    container: int
    exact: bool
    layers: tuple[LayerAccount, ...]
    published: PublishedNetwork | None

    @property
    def learned(self) -> tuple[LayerAccount, ...]:
        """The layers whose weights count."""
        return tuple(layer for layer in self.layers if not layer.structure) or self.layers

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.learned)

    @property
    def nonzeros(self) -> int:
        return sum(layer.nonzeros for layer in self.learned)

    @property
    def parameters(self) -> int:
        """Weights and biases, pruned ones included."""
        return parameters(self.network)

    @property
    def float32_bytes(self) -> int:
        """Of all weights and biases."""
        return FLOAT_BITS // 8 * self.parameters

    @property
    def ratio(self) -> float:
        """By how much the file is smaller than 32-bit floats."""
        return self.float32_bytes / self.bytes

    @property
    def runtime(self) -> int:
        """Bits in the engine: of all layers' weights, and their biases at the accumulators' width.

        The engine's own layout, such as its column pointers, is not in it.
        """
        biases = sum(len(layer.layer.bias) for layer in self.layers)
        weights = sum(layer.runtime for layer in self.layers)
        return weights + self.network.accumulator_bits * biases

    @property
    def ratio_runtime(self) -> float:
        """By how much that is smaller than 32-bit floats."""
        return 8 * self.float32_bytes / self.runtime

    @property
    def stages(self) -> tuple[tuple[str, float], ...]:
        """Bytes after each step of compression, from 32-bit floats to the file.

        Biases are 32-bit floats up to the relative index, then as stored. Layers that are structure
        have no part but in the last two.
        """
        biases = FLOAT_BITS * (self.parameters - self.weights)
        shared = sum(
            layer.nonzeros * (layer.layer.code_bits + FLOAT_BITS) + layer.codebook_runtime
            for layer in self.learned
        )
        index = sum(layer.runtime for layer in self.learned)
        parts = sum(layer.coded + layer.stored.bias for layer in self.layers)
        return (
            ("dense, 32-bit floats", self.float32_bytes),
            ("pruned: floats and 32-bit positions", (2 * FLOAT_BITS * self.nonzeros + biases) / 8),
            ("shared: codes and 32-bit positions", (shared + biases) / 8),
            ("relative index: codes and gaps", (index + biases) / 8),
            ("coded as in the file, biases too", parts / 8),
            ("the file: headers and checksums too", self.bytes),
        )


def account(data: bytes, network: CompressedNetwork) -> Account:
    """Where the bytes of a .thr file go.

    Parameters
    ----------
    data : bytes
        Contents of a .thr file that `sw.format.from_bytes` accepts.
    network : CompressedNetwork
        What it made of them.
    """
    found = stored(data, network)
    published = recognise([(layer.rows, layer.columns) for layer in learned(network)])
    rows = iter(published.layers if published else ())
    layers = tuple(
        _layer(
            *(layer, parts, network.weight_bits),
            None if is_structure(layer) else next(rows, None),
        )
        for layer, parts in zip(network.layers, found.layers, strict=True)
    )
    return Account(network, len(data), found.container, found.exact, layers, published)


def _layer(
    layer: CompressedLayer, parts: thr.Storage, weight_bits: int, row: PublishedLayer | None
) -> LayerAccount:
    codes, gaps = entries.counts(entries.runs(layer.codes), len(layer.codebook), parts.gap_bits)
    nonzeros = int(codes[1:].sum())
    return LayerAccount(
        layer=layer,
        stored=parts,
        nonzeros=nonzeros,
        codebook_runtime=weight_bits * len(layer.codebook),
        code_entropy=_entropy(codes),
        gap_entropy=_entropy(gaps),
        position_entropy=_entropy(np.array([nonzeros, layer.codes.size - nonzeros])),
        value_entropy=_entropy(codes[1:]),
        published=row,
    )


def _entropy(counts: NDArray[np.int64]) -> float:
    """Bits of as many symbols of each kind (Shannon 1948), all together."""
    some = counts[counts > 0].astype(np.float64)
    return float(some @ np.log2(some.sum() / some)) if len(some) else 0.0
