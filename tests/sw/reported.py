"""Small networks whose files are accounted for, and what reads the page of one."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw import format as thr
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.report.account import account


def layer(codes, name="ip", codebook=None, convolution=None, bias=None) -> CompressedLayer:
    codes = np.asarray(codes, np.uint8)
    values = int(codes.max()) + 1
    return CompressedLayer(
        name=name,
        codes=codes,
        codebook=np.arange(values) * 3 if codebook is None else np.asarray(codebook),
        weight_fraction=8,
        bias=np.arange(len(codes)) if bias is None else np.asarray(bias),
        shift=4,
        relu=True,
        convolution=convolution,
    )


def sparse(shape, density, values, sources=(1,), **fields) -> CompressedLayer:
    rng = np.random.default_rng(3)
    made = layer(rng.integers(1, values, shape) * (rng.random(shape) < density), **fields)
    return dataclasses.replace(made, sources=sources)


def network(*layers) -> CompressedNetwork:
    return CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, layers)


def accounted(of, coder="packed"):
    return account(thr.to_bytes(of, coder), of)


SMALL = network(sparse((30, 256), 0.1, 8, name="a"), sparse((12, 30), 0.4, 4, name="b"))


def planes(of, rows, codes=1, convolution=None, bias=0, **wiring) -> CompressedLayer:
    """A convolution of every channel by itself, with weights of 1 over their number."""
    where = convolution or Convolution(rows, 4, 4, 1, 1, groups=rows)
    values = [0, round(256 / where.columns), 7]
    made = layer(np.full((rows, where.columns), codes), of, values, where, [bias] * rows)
    return dataclasses.replace(made, **wiring)


def residual() -> CompressedNetwork:
    """Convolutions, a sum, a mean, a concatenation, and a dense layer, in a plain coder's order."""
    first = Convolution(1, 8, 8, 3, 3, stride=2, padding=1)
    grouped = Convolution(4, 4, 4, 3, 3, padding=1, groups=2)
    depthwise = Convolution(4, 4, 4, 3, 3, padding=1, groups=4, pool=3, overlap=1)
    joint = Convolution(8, 4, 4, 1, 1, pool=2, average=True)
    mean = Convolution(3, 2, 2, 2, 2, groups=3)
    layers = (
        sparse((4, 9), 0.6, 5, name="stem", convolution=first),
        sparse((4, 18), 0.6, 5, name="grouped", convolution=grouped),
        planes("add", 4, sources=(2, 1), added=True),
        sparse((3, 8), 0.6, 5, name="joint", convolution=joint, sources=(1, 3)),
        planes("mean", 3, convolution=mean),
        sparse((4, 9), 0.9, 5, name="depthwise", convolution=depthwise, sources=(3,)),
        sparse((5, 7), 0.5, 4, name="fc", sources=(2, 1)),
    )
    return network(*(dataclasses.replace(one, shift=8) for one in layers))  # as the input


def entries(matrix, gap_bits):
    """Codes, and gaps of all but padding, one weight at a time."""
    codes, gaps, zeros = [], [], 0
    for code in matrix.ravel().tolist():
        if code:
            codes.append(code)
            gaps.append(zeros)
            zeros = 0
        elif zeros == 2**gap_bits - 1:
            codes.append(0)
            zeros = 0
        else:
            zeros += 1
    return codes, gaps
