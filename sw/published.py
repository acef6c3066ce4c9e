"""What the Deep Compression paper says of its networks (Han, Mao, Dally, ICLR 2016, tables 1-5)."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

__all__ = ["PublishedLayer", "PublishedNetwork", "deep_compression"]


@dataclasses.dataclass(frozen=True)
class PublishedLayer:
    """A row of the paper's tables 2 to 5.

    Attributes
    ----------
    weights : int
        As printed, rounded to thousands or millions.
    density : float
        Share of the weights that pruning leaves.
    code_bits, gap_bits : int
        Of a weight and of a relative index, at fixed width.
    code_bits_huffman, gap_bits_huffman : float
        Means after Huffman coding.
    rate_pq, rate_pqh : float
        Size against 32-bit floats after pruning and sharing, and after Huffman coding too.
    """

    name: str
    weights: int
    density: float
    code_bits: int
    code_bits_huffman: float
    gap_bits: int
    gap_bits_huffman: float
    rate_pq: float
    rate_pqh: float


@dataclasses.dataclass(frozen=True)
class PublishedNetwork:
    """A line of the paper's table 1, and the network's layers.

    Attributes
    ----------
    error_dense, error_compressed : float
        Percent, of the network before and after; top 1.
    kb_dense, kb_compressed, ratio : float
        Thousands of bytes, and by how much the first is more.
    """

    name: str
    error_dense: float
    error_compressed: float
    kb_dense: float
    kb_compressed: float
    ratio: float
    layers: tuple[PublishedLayer, ...]


@functools.cache
def deep_compression() -> Mapping[str, PublishedNetwork]:
    """The paper's four networks by name."""
    file = resources.files("sw").joinpath("data", "deep_compression.json")
    networks = json.loads(file.read_text("utf-8"))["networks"]
    return MappingProxyType(
        {
            name: PublishedNetwork(
                name=name,
                layers=tuple(PublishedLayer(*row) for row in table.pop("layers")),
                **table,
            )
            for name, table in networks.items()
        }
    )
