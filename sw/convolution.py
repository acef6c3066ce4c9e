"""Where a kernel goes: a convolution as the same matrix product at every output position."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Convolution", "at_positions", "per_column", "per_output"]

_BLOCK = 1 << 22  # numbers of patches that exist at once


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Geometry of a convolution and of the max pooling after it.

    Activations are flattened planes, channel first: index ``(c * height + y) * width + x``. Column
    ``(c * kernel_height + v) * kernel_width + u`` of the weights meets input channel c at (v, u) of
    the patch, as in PyTorch and ONNX.

    Attributes
    ----------
    channels, height, width : int
        Of the input.
    kernel_height, kernel_width : int
    stride : int
        Both ways.
    padding : int
        Zeros on all four sides.
    pool : int
        Side and stride of the max pooling window; 1 is none. Rows and columns that fill no window
        are dropped.
    """

    channels: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride: int = 1
    padding: int = 0
    pool: int = 1

    @property
    def inputs(self) -> int:
        """Activations that go in."""
        return self.channels * self.height * self.width

    @property
    def columns(self) -> int:
        """Weights of one output channel."""
        return self.channels * self.kernel_height * self.kernel_width

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of output positions, before pooling."""
        return (
            (self.height + 2 * self.padding - self.kernel_height) // self.stride + 1,
            (self.width + 2 * self.padding - self.kernel_width) // self.stride + 1,
        )

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width of an output channel, after pooling."""
        height, width = self.positions
        return height // self.pool, width // self.pool

    def fault(self) -> str | None:
        """Why there can be no such convolution, or None."""
        for field in dataclasses.fields(self):
            least = 0 if field.name == "padding" else 1
            if (value := getattr(self, field.name)) < least:
                return f"{field.name.replace('_', ' ')} is {value}; it must be {least} or more"
        if self.padding >= min(self.kernel_height, self.kernel_width):
            return f"the padding of {self.padding} is not less than the kernel"
        if min(self.positions) < 1:
            return (
                f"the kernel of {self.kernel_height} × {self.kernel_width} is larger than the "
                f"input of {self.height} × {self.width}"
            )
        if min(self.plane) < 1:
            height, width = self.positions
            return f"the pooling window of {self.pool} is larger than {height} × {width}"
        return None

    def patches(self, x: NDArray[Any]) -> NDArray[Any]:
        """Patches (n, positions, columns) of inputs (n, inputs)."""
        x = x.reshape(-1, self.channels, self.height, self.width)
        edges = (self.padding, self.padding)
        x = np.pad(x, ((0, 0), (0, 0), edges, edges))
        kernel = (self.kernel_height, self.kernel_width)
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride].transpose(0, 2, 3, 1, 4, 5)
        return windows.reshape(len(x), -1, self.columns)

    def pooled(self, y: NDArray[Any]) -> NDArray[Any]:
        """Flattened planes (n, rows * height * width) of outputs (n, positions, rows)."""
        (height, width), pool = self.plane, self.pool
        y = y.reshape(len(y), *self.positions, -1)[:, : height * pool, : width * pool]
        y = y.reshape(len(y), height, pool, width, pool, -1).max(axis=(2, 4))
        return y.transpose(0, 3, 1, 2).reshape(len(y), -1)


def at_positions(
    convolution: Convolution | None,
    x: NDArray[Any],
    product: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    """Outputs (n, outputs) of a layer for inputs (n, inputs).

    Parameters
    ----------
    convolution : Convolution, optional
        Without it `product` is applied to the inputs as they are.
    product : callable
        From (m, columns) to (m, rows). Pooling comes after it, which for what never decreases, as
        ReLU, rounding and clamping, is the same as before it.
    """
    if convolution is None:
        return product(x)
    height, width = convolution.positions
    step = max(1, _BLOCK // (height * width * convolution.columns))
    outputs = []
    for start in range(0, max(1, len(x)), step):
        patches = convolution.patches(x[start : start + step])
        y = product(patches.reshape(-1, convolution.columns))
        outputs.append(convolution.pooled(y.reshape(len(patches), height * width, -1)))
    return np.concatenate(outputs)


def per_column(
    convolution: Convolution | None, low: NDArray[Any], high: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ranges (columns,) of what meets each column of the weights, from those of inputs (inputs,).

    Padding is not in them: its zeros are for the caller to see to.
    """
    if convolution is None:
        return low, high
    kernel = convolution.kernel_height * convolution.kernel_width
    low, high = (values.reshape(convolution.channels, -1) for values in (low, high))
    return np.repeat(low.min(axis=1), kernel), np.repeat(high.max(axis=1), kernel)


def per_output(convolution: Convolution | None, rows: NDArray[Any]) -> NDArray[Any]:
    """Values (outputs,) of what is the same for all outputs of a row, from values (rows,)."""
    if convolution is None:
        return rows
    return np.repeat(rows, int(np.prod(convolution.plane)))
