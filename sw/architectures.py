"""Architectures by name: the shape of a network without its weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .convolution import Convolution
from .errors import BadInput
from .network import Layer, Network

__all__ = ["NAMES", "template"]


def template(name: str) -> Network:
    """The network of that name; all its weights and biases are 0.

    Raises
    ------
    BadInput
        If there is none.
    """
    if name not in _ARCHITECTURES:
        raise BadInput(f"architecture {name!r} is unknown; there are {', '.join(_ARCHITECTURES)}")
    return _ARCHITECTURES[name]()


def _dense(name: str, inputs: int, outputs: int, relu: bool = True) -> Layer:
    return Layer(name, np.zeros((outputs, inputs)), np.zeros(outputs), relu)


def _convolution(name: str, rows: int, geometry: Convolution, relu: bool) -> Layer:
    return Layer(name, np.zeros((rows, geometry.columns)), np.zeros(rows), relu, geometry)


def _lenet_300_100() -> Network:
    """LeCun et al. (1998), as pruned by Han et al. (2015)."""
    layers = (
        _dense("ip1", 784, 300),
        _dense("ip2", 300, 100),
        _dense("ip3", 100, 10, relu=False),
    )
    return Network(layers)


def _lenet_5(relu: bool = True) -> Network:
    """Caffe's variant of LeNet-5, the one that the pruning papers use: 431,080 parameters.

    Caffe's has no ReLU after its convolutions; with it, activations are sparse.
    """
    layers = (
        _convolution("conv1", 20, Convolution(1, 28, 28, 5, 5, pool=2), relu),
        _convolution("conv2", 50, Convolution(20, 12, 12, 5, 5, pool=2), relu),
        _dense("ip1", 800, 500),
        _dense("ip2", 500, 10, relu=False),
    )
    return Network(layers)


_ARCHITECTURES: dict[str, Callable[[], Network]] = {
    "lenet300100": _lenet_300_100,
    "lenet5": _lenet_5,
    "lenet5-caffe": lambda: _lenet_5(relu=False),
}
NAMES = tuple(_ARCHITECTURES)
