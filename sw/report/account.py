"""Where the bits of a compressed network go: the figures of `thresher inspect`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sw import format as thr
from sw.coding import entries
from sw.compressed import CompressedLayer, CompressedNetwork
from sw.published import PublishedLayer, PublishedNetwork

from .known import recognise
from .stored import stored

__all__ = ["FLOAT_BITS", "PARTS", "Account", "LayerAccount", "account", "record"]

FLOAT_BITS = 32  # of what everything is compared with
# Parts of a layer in a file, in the order in which people look for them.
PARTS = ("codes", "gaps", "tables", "codebook", "bias", "header", "filling")
_TITLE_MAX = 18  # characters


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
        """The layer's name for people, cut if it is long."""
        name = self.layer.name
        if len(name) > _TITLE_MAX:
            name = name[: _TITLE_MAX - 1] + "…"
        return name or "(no name)"

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
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def nonzeros(self) -> int:
        return sum(layer.nonzeros for layer in self.layers)

    @property
    def float32_bytes(self) -> int:
        """Of all weights and biases."""
        return FLOAT_BITS // 8 * self.network.parameters

    @property
    def ratio(self) -> float:
        """By how much the file is smaller than 32-bit floats."""
        return self.float32_bytes / self.bytes

    @property
    def runtime(self) -> int:
        """Bits in the engine: of all layers' weights, and their biases at the accumulators' width.

        The engine's own layout, such as its column pointers, is not in it.
        """
        biases = self.network.parameters - self.weights
        weights = sum(layer.runtime for layer in self.layers)
        return weights + self.network.accumulator_bits * biases

    @property
    def ratio_runtime(self) -> float:
        """By how much that is smaller than 32-bit floats."""
        return 8 * self.float32_bytes / self.runtime

    @property
    def stages(self) -> tuple[tuple[str, float], ...]:
        """Bytes after each step of compression, from 32-bit floats to the file.

        Biases are 32-bit floats up to the relative index, then as stored.
        """
        biases = FLOAT_BITS * (self.network.parameters - self.weights)
        shared = sum(
            layer.nonzeros * (layer.layer.code_bits + FLOAT_BITS) + layer.codebook_runtime
            for layer in self.layers
        )
        parts = sum(layer.coded + layer.stored.bias for layer in self.layers)
        return (
            ("dense, 32-bit floats", self.float32_bytes),
            ("pruned: floats and 32-bit positions", (2 * FLOAT_BITS * self.nonzeros + biases) / 8),
            ("shared: codes and 32-bit positions", (shared + biases) / 8),
            ("relative index: codes and gaps", (sum(x.runtime for x in self.layers) + biases) / 8),
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
    published = recognise([(layer.rows, layer.columns) for layer in network.layers])
    rows = published.layers if published else (None,) * len(network.layers)
    layers = tuple(
        _layer(layer, parts, network.weight_bits, row)
        for layer, parts, row in zip(network.layers, found.layers, rows, strict=True)
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


def record(of: Account) -> dict[str, Any]:
    """The account as JSON has it; shares and rates are from 0 to 1, means in bits.

    ``bytes``, ``float32_bytes``, ``ratio``
        Of the file, of all weights and biases as 32-bit floats, the second by the first.
    ``ratio_runtime``, ``runtime_bytes``
        With codes and gaps at fixed width, padding, codebooks and biases, and nothing else.
    ``parameters``, ``weights``, ``nonzeros``, ``density``
        Parameters are weights and biases.
    ``container_bytes``, ``exact``
        Bytes that belong to no layer; false if another encoder wrote the file, so that bits of
        parts are estimates.
    ``published``
        Null, or the paper's network: ``name``, ``error_dense`` and ``error_compressed`` in
        percent, ``ratio``.
    ``stages``
        Bytes after each step of compression: ``step``, ``bytes``.
    ``layers``
        ``name``, ``kind`` (dense or convolution), ``rows``, ``columns``, ``weights``,
        ``nonzeros``, ``density``, ``coder``, ``values`` (of the codebook, 0 included), ``bytes``,
        ``entries`` and, of them, ``padding``, and:

        ``bits``
            Those of each part of the file's section, which make 8 times ``bytes``. Where the coder
            is arithmetic, ``codes`` holds the positions too and ``gaps`` is 0.
        ``fixed``
            Width of a code and of a gap, and the bits of all, padding included.
        ``mean``
            Bits a non-zero weight: ``code`` and ``gap`` as stored, null for the arithmetic coder,
            and ``both``, with tables. Null where there is no such weight.
        ``entropy``
            Least bits of the ``codes`` and ``gaps`` of entries (zeroth order), and of ``positions``
            and ``values`` if weights are drawn alone and alike.
        ``rate_pq``, ``rate_pqh``
            Of the weights alone, fixed and stored, codebook and tables included, as in the paper.
        ``published``
            The paper's row, or null.
    """
    paper = of.published
    return {
        "bytes": of.bytes,
        "float32_bytes": of.float32_bytes,
        "ratio": of.ratio,
        "ratio_runtime": of.ratio_runtime,
        "runtime_bytes": of.runtime / 8,
        "parameters": of.network.parameters,
        "weights": of.weights,
        "nonzeros": of.nonzeros,
        "density": of.nonzeros / of.weights,
        "container_bytes": of.container,
        "exact": of.exact,
        "published": paper
        and {
            "name": paper.name,
            "error_dense": paper.error_dense,
            "error_compressed": paper.error_compressed,
            "ratio": paper.ratio,
        },
        "stages": [{"step": step, "bytes": size} for step, size in of.stages],
        "layers": [_layer_record(layer) for layer in of.layers],
    }


def _layer_record(of: LayerAccount) -> dict[str, Any]:
    parts, joint = of.stored, of.stored.coder == "arithmetic"
    both = parts.codes + parts.gaps + parts.tables
    return {
        "name": of.layer.name,
        "kind": "dense" if of.layer.convolution is None else "convolution",
        "rows": of.layer.rows,
        "columns": of.layer.columns,
        "weights": of.weights,
        "nonzeros": of.nonzeros,
        "density": of.density,
        "coder": parts.coder,
        "values": len(of.layer.codebook),
        "bytes": parts.bytes,
        "entries": parts.entries,
        "padding": parts.padding,
        "bits": {part: getattr(parts, part) for part in PARTS},
        "fixed": {
            "code_width": of.layer.code_bits,
            "gap_width": parts.gap_bits,
            "codes": parts.fixed_codes,
            "gaps": parts.fixed_gaps,
        },
        "mean": {
            "code": None if joint else of.per_nonzero(parts.codes),
            "gap": None if joint else of.per_nonzero(parts.gaps),
            "both": of.per_nonzero(both),
        },
        "entropy": {
            "codes": of.code_entropy,
            "gaps": of.gap_entropy,
            "positions": of.position_entropy,
            "values": of.value_entropy,
        },
        "rate_pq": of.rate_pq,
        "rate_pqh": of.rate_pqh,
        "published": of.published and dataclasses.asdict(of.published),
    }
