"""What papers say: of networks, Deep Compression's tables 1 to 5; of an engine, EIE's II to V.

Han, Mao, Dally, ICLR 2016; Han et al., ISCA 2016.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

__all__ = ["Eie", "EieLayer", "PublishedLayer", "PublishedNetwork", "deep_compression", "eie"]


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


@dataclasses.dataclass(frozen=True)
class EieLayer:
    """A layer of EIE's benchmark, and the time that EIE takes for it.

    Attributes
    ----------
    weight_density, activation_density : float
        Shares that are not zero.
    theoretical_us, actual_us : float
        Microseconds, as printed: if all elements had as much to do, padding included; and in truth.
    """

    name: str
    inputs: int
    outputs: int
    weight_density: float
    activation_density: float
    theoretical_us: float
    actual_us: float

    @property
    def products(self) -> float:
        """Products of a weight and an activation, neither zero, to be expected."""
        return self.inputs * self.outputs * self.weight_density * self.activation_density


@dataclasses.dataclass(frozen=True)
class Eie:
    """EIE's engine, and its layers in the order of table III.

    Attributes
    ----------
    elements : int
        Processing elements.
    clock_mhz : float
    queue_depth : int
        Columns that an element's queue holds.
    entry_bits : int
        Of a code and its relative index together.
    gap_bits : int
        Of the relative index.
    """

    elements: int
    clock_mhz: float
    queue_depth: int
    entry_bits: int
    gap_bits: int
    layers: tuple[EieLayer, ...]

    def cycles(self, layer: EieLayer) -> float:
        """Clock cycles of a layer."""
        return self.clock_mhz * layer.actual_us

    def ratio(self, layer: EieLayer) -> float:
        """Those over the least: a product a cycle on every element."""
        return self.cycles(layer) * self.elements / layer.products


@functools.cache
def eie() -> Eie:
    """EIE as published."""
    table = json.loads(resources.files("sw").joinpath("data", "eie.json").read_text("utf-8"))
    layers = tuple(EieLayer(**dict(zip(table["columns"], r, strict=True))) for r in table["layers"])
    knobs = ("elements", "clock_mhz", "queue_depth", "entry_bits", "gap_bits")
    return Eie(layers=layers, **{name: table[name] for name in knobs})


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
