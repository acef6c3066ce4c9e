"""How often each activation is likely not to be 0, which is what a multiplier's work depends on.

The packer knows no inputs, so some stand in: random planes as smooth as photographs are and
brighter in the middle, dark for the most part where inputs cannot be negative; random numbers where
the input has no planes. What they say of the layers behind is near what real inputs do
(docs/decisions/0007): whether a channel is often active lies mostly in its bias and the sum of its
weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .compressed import CompressedNetwork
from .graph import gather
from .network import Layer
from .tensors import Shape

__all__ = ["activity"]

Floats = NDArray[np.float64]

_VECTORS = 16
_PRODUCTS = 1 << 30  # that all stand-ins together may cost, before there are fewer of them
_SMOOTH = 0.05  # width of the blur, of the side of the plane
_CENTRED, _HALF_WAY = 2.0, 0.6  # how much brighter the middle is; distance where it is neither
_DARK, _CONTRAST = 0.7, 0.8  # standard deviations below which a pixel is 0; reach of one beyond


def activity(network: CompressedNetwork, shapes: Sequence[Shape]) -> list[Floats]:
    """Share (channels, pixels) of vectors in which each activation of a tensor is not 0.

    Parameters
    ----------
    shapes : of every tensor, as `sw.tensors.shapes` gives them
    """
    cost = sum(layer.codes.size * shapes[n + 1].pixels for n, layer in enumerate(network.layers))
    count = int(np.clip(_PRODUCTS // cost, 2, _VECTORS))
    greatest = (1 << (network.activation_bits - 1)) - 1
    tensors = [_stand_ins(network, shapes[0], count)]
    for layer in network.layers:
        weights = layer.codebook[layer.codes].astype(np.float64)
        of = Layer(
            layer.name, weights, layer.bias.astype(np.float64), layer.relu, layer.convolution
        )
        outputs = np.ldexp(of.run(gather(tensors, layer)), -layer.shift)
        tensors.append(np.clip(outputs, -greatest - 1, greatest))
    shares = [
        np.asarray((tensor != 0).mean(axis=0), np.float64).reshape(shape.channels, shape.pixels)
        for tensor, shape in zip(tensors, shapes, strict=True)
    ]
    if shapes[0].pixels == 1:
        # Nothing tells these inputs apart; what differs in so few vectors is chance.
        shares[0][:] = shares[0].mean()
    return shares


def _stand_ins(network: CompressedNetwork, shape: Shape, count: int) -> Floats:
    """Integer inputs (count, inputs) in the range of the network's."""
    low, high = network.input.low, network.input.high
    noise = np.random.default_rng(0).standard_normal(
        (count, shape.channels, shape.height, shape.width)
    )
    if shape.pixels > 1:
        frequency = np.square(np.fft.fftfreq(shape.height)[:, None] * shape.height)
        frequency = frequency + np.square(np.fft.fftfreq(shape.width) * shape.width)
        blur = np.exp(-2 * np.square(np.pi * _SMOOTH) * frequency)
        noise = np.fft.ifft2(np.fft.fft2(noise) * blur).real
        noise /= noise.std()
        y, x = (np.linspace(-1, 1, side) for side in (shape.height, shape.width))
        noise += _CENTRED * (_HALF_WAY - np.hypot(y[:, None], x))
    if low < 0:
        values = noise * (_CONTRAST / 2) * max(-low, high)
    else:
        values = (noise - _DARK) * _CONTRAST * high
    return np.clip(np.rint(values), low, high).reshape(count, -1)
