"""Which network of the Deep Compression paper a network is, told by the shapes of its layers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from sw.architectures import template
from sw.published import PublishedNetwork, deep_compression

__all__ = ["recognise"]

Shapes = tuple[tuple[int, ...], ...]  # rows (one for each output or output channel) and columns

# Of Caffe's models, which the paper used. In AlexNet, half of the channels of conv2, conv4 and
# conv5 meet half of their inputs.
_ALEXNET = (
    *((96, 363), (256, 1200), (384, 2304), (384, 1728), (256, 1728)),
    *((4096, 9216), (4096, 4096), (1000, 4096)),
)
_VGG_16 = (
    *((64, 27), (64, 576), (128, 576), (128, 1152)),
    *((256, 1152), (256, 2304), (256, 2304)),
    *((512, 2304), (512, 4608), (512, 4608)),
    *((512, 4608), (512, 4608), (512, 4608)),
    *((4096, 25088), (4096, 4096), (1000, 4096)),
)


@functools.cache
def _known() -> Mapping[Shapes, str]:
    """Names that the paper gives to shapes."""
    lenets = [
        tuple(layer.weights.shape for layer in template(name).layers)
        for name in ("lenet300100", "lenet5")
    ]
    return {
        lenets[0]: "LeNet-300-100",
        lenets[1]: "LeNet-5",
        _ALEXNET: "AlexNet",
        _VGG_16: "VGG-16",
    }


def recognise(shapes: Sequence[tuple[int, int]]) -> PublishedNetwork | None:
    """The paper's network whose layers have these shapes (rows, columns), if there is one."""
    name = _known().get(tuple(shapes))
    return None if name is None else deep_compression()[name]
