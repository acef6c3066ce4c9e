"""Architectures by name: the shape of a network without its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from .convolution import Convolution
from .errors import BadInput
from .network import Layer, Network

__all__ = ["NAMES", "template"]


def template(name: str) -> Network:
    """The network of that name; all weights and biases are 0 but those that are fixed.

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


class _Tensors:
    """Layers that name what they take, which may be anything before them.

    Attributes
    ----------
    layers : list of Layer
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._places: dict[str, int] = {}

    def add(self, layer: Layer, sources: Sequence[str], added: bool = False) -> str:
        """A further layer that takes the outputs of those named, "" being the network's input."""
        place = len(self.layers) + 1
        distances = tuple(place - self._places[name] if name else place for name in sources)
        self.layers.append(dataclasses.replace(layer, sources=distances, added=added))
        self._places[layer.name] = place
        return layer.name

    def convolution(
        self, name: str, rows: int, geometry: Convolution, sources: Sequence[str], relu: bool = True
    ) -> str:
        """A convolution of what is concatenated."""
        return self.add(_convolution(name, rows, geometry, relu), sources)

    def add_up(self, name: str, geometry: Convolution, sources: Sequence[str]) -> str:
        """The ReLU of a sum, and after it the pooling of its geometry."""
        ones = np.ones((geometry.channels, 1))
        layer = Layer(name, ones, np.zeros(len(ones)), True, geometry, fixed=True)
        return self.add(layer, sources, added=True)


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


def _squeezenet() -> Network:
    """SqueezeNet 1.0 for ImageNet (Iandola et al. 2016), layer by layer as its Caffe model has it.

    Images are 3 × 227 × 227, blue plane first, less the mean. Class scores come without softmax.
    """
    tensors = _Tensors()
    conv1 = Convolution(3, 227, 227, 7, 7, stride=2, pool=3, overlap=1)
    before = [tensors.convolution("conv1", 96, conv1, [""])]
    channels, side = 96, 55
    for number in range(2, 10):
        squeezed, expanded = 16 * (number // 2), 64 * (number // 2)
        pool, overlap = (3, 1) if number in (4, 8) else (1, 0)
        fire = f"fire{number}"
        squeeze = Convolution(channels, side, side, 1, 1)
        one = Convolution(squeezed, side, side, 1, 1, pool=pool, overlap=overlap)
        three = dataclasses.replace(one, kernel_height=3, kernel_width=3, padding=1)
        taken = [tensors.convolution(f"{fire}/squeeze1x1", squeezed, squeeze, before)]
        before = [
            tensors.convolution(f"{fire}/expand1x1", expanded, one, taken),
            tensors.convolution(f"{fire}/expand3x3", expanded, three, taken),
        ]
        channels, side = 2 * expanded, one.plane[0]
    # The padding of a 1 × 1 kernel is that of the model: its border gives the bias alone.
    conv10 = Convolution(channels, side, side, 1, 1, padding=1)
    last = tensors.convolution("conv10", 1000, conv10, before)
    side = conv10.plane[0]
    mean = Convolution(1000, side, side, side, side, groups=1000)
    weights = np.full((1000, side**2), 1 / side**2)
    tensors.add(Layer("pool10", weights, np.zeros(1000), False, mean, fixed=True), [last])
    return Network(tuple(tensors.layers))


def _resnet_8() -> Network:
    """The network of MLPerf Tiny for CIFAR-10 (Banbury et al. 2021), batch normalisation folded in.

    Strided convolutions have their zeros on all four sides, as in PyTorch; in TensorFlow's model
    there are none above and to the left.
    """
    tensors = _Tensors()
    before = tensors.convolution("conv", 16, Convolution(3, 32, 32, 3, 3, padding=1), [""])
    channels, side = 16, 32
    for stage, rows in enumerate((16, 32, 64), start=1):
        stack, stride = f"stack{stage}", 1 if stage == 1 else 2
        first = Convolution(channels, side, side, 3, 3, stride=stride, padding=1)
        side //= stride
        second = Convolution(rows, side, side, 3, 3, padding=1)
        inner = tensors.convolution(f"{stack}/conv1", rows, first, [before])
        outer = tensors.convolution(f"{stack}/conv2", rows, second, [inner], relu=False)
        if stride > 1:
            short = dataclasses.replace(first, kernel_height=1, kernel_width=1, padding=0)
            before = tensors.convolution(f"{stack}/shortcut", rows, short, [before], relu=False)
        joint = Convolution(rows, side, side, 1, 1, groups=rows)
        if stage == 3:
            joint = dataclasses.replace(joint, pool=side, average=True)
        before = tensors.add_up(f"{stack}/add", joint, [outer, before])
        channels = rows
    tensors.add(_dense("dense", channels, 10, relu=False), [before])
    return Network(tuple(tensors.layers))


_ARCHITECTURES: dict[str, Callable[[], Network]] = {
    "lenet300100": _lenet_300_100,
    "lenet5": _lenet_5,
    "lenet5-caffe": lambda: _lenet_5(relu=False),
    "squeezenet-v1.0": _squeezenet,
    "resnet8": _resnet_8,
}
NAMES = tuple(_ARCHITECTURES)
