"""Where a kernel goes: a convolution as the same matrix product at every output position."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Convolution", "at_positions", "multiply", "per_column", "per_output"]

_BLOCK = 1 << 22  # numbers of patches that exist at once


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Geometry of a convolution and of the pooling after it.

    Activations are flattened planes, channel first: index ``(c * height + y) * width + x``. Column
    ``(c * kernel_height + v) * kernel_width + u`` of the weights meets input channel c at (v, u) of
    the patch, as in PyTorch and ONNX. With `groups`, channels and rows are split into as many equal
    parts, and c counts the channels of the row's own part; a depthwise convolution has as many
    groups as channels.

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
        Side of the pooling window; 1 is none. Rows and columns that fill no window are dropped.
    groups : int
    overlap : int
        Rows and columns that neighbouring pooling windows share: they are `pool` - `overlap` apart.
    average : bool
        Pooling takes the mean of the window, not its maximum. Of integers, the mean is rounded to
        the nearest, halves up; windows are powers of two, so that this is a shift.
    """

    channels: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride: int = 1
    padding: int = 0
    pool: int = 1
    groups: int = 1
    overlap: int = 0
    average: bool = False

    @property
    def inputs(self) -> int:
        """Activations that go in."""
        return self.channels * self.height * self.width

    @property
    def columns(self) -> int:
        """Weights of one output channel."""
        return self.channels // self.groups * self.kernel_height * self.kernel_width

    @property
    def pool_stride(self) -> int:
        """From one pooling window to the next."""
        return self.pool - self.overlap

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
        height, width = ((n - self.pool) // self.pool_stride + 1 for n in self.positions)
        return height, width

    def fault(self) -> str | None:
        """Why there can be no such convolution, or None."""
        for field in dataclasses.fields(self):
            least = 0 if field.name in ("padding", "overlap", "average") else 1
            if (value := getattr(self, field.name)) < least:
                return f"{field.name.replace('_', ' ')} is {value}; it must be {least} or more"
        if self.channels % self.groups:
            return f"its {self.channels} input channels do not split into {self.groups} groups"
        if self.padding > min(self.kernel_height, self.kernel_width):
            return f"the padding of {self.padding} is more than the kernel"
        if min(self.positions) < 1:
            return (
                f"the kernel of {self.kernel_height} × {self.kernel_width} is larger than the "
                f"input of {self.height} × {self.width}"
            )
        return self._pooling_fault()

    def _pooling_fault(self) -> str | None:
        if self.pool > min(self.positions):
            height, width = self.positions
            return f"the pooling window of {self.pool} is larger than {height} × {width}"
        if self.overlap >= self.pool:
            return f"pooling windows of {self.pool} cannot overlap by {self.overlap}"
        if self.average and self.pool & (self.pool - 1):
            return f"a mean over {self.pool} × {self.pool} is no shift; sides are powers of two"
        return None

    def patches(self, x: NDArray[Any]) -> NDArray[Any]:
        """Patches (n, positions, channels * kernel) of inputs (n, inputs)."""
        x = x.reshape(-1, self.channels, self.height, self.width)
        edges = (self.padding, self.padding)
        x = np.pad(x, ((0, 0), (0, 0), edges, edges))
        kernel = (self.kernel_height, self.kernel_width)
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride].transpose(0, 2, 3, 1, 4, 5)
        return windows.reshape(len(x), int(np.prod(self.positions)), -1)

    def pooled(self, y: NDArray[Any]) -> NDArray[Any]:
        """Flattened planes (n, rows * height * width) of outputs (n, positions, rows)."""
        (height, width), step = self.plane, self.pool_stride
        y = y.reshape(len(y), *self.positions, -1)
        combine = np.add if self.average else np.maximum
        # First down, then across: both are sums or maxima of what the other gives.
        rows = [y[:, v : v + (height - 1) * step + 1 : step] for v in range(self.pool)]
        down = functools.reduce(combine, rows)
        columns = [down[:, :, u : u + (width - 1) * step + 1 : step] for u in range(self.pool)]
        total = functools.reduce(combine, columns)
        if self.average:
            total = _mean(total, self.pool**2)
        return total.transpose(0, 3, 1, 2).reshape(len(y), -1)


def _mean(total: NDArray[Any], count: int) -> NDArray[Any]:
    whole = np.issubdtype(total.dtype, np.integer)
    mean: NDArray[Any]
    mean = (total + count // 2) >> (count.bit_length() - 1) if whole else total / count
    return mean


def multiply(x: NDArray[Any], weights: NDArray[Any], groups: int = 1) -> NDArray[Any]:
    """Products (m, rows) of x (m, columns) with weights (rows, columns / groups).

    With groups, columns and rows are split into as many equal parts, and each part of the rows
    meets its own part of the columns.
    """
    products: NDArray[Any]
    if groups == 1:
        products = x @ weights.T
        return products
    x = x.reshape(len(x), groups, -1).transpose(1, 2, 0)
    products = weights.reshape(groups, -1, weights.shape[1]) @ x
    return products.transpose(2, 0, 1).reshape(x.shape[2], -1)


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
        From (m, channels * kernel) to (m, rows). Pooling comes after it, which for a maximum and
        what never decreases, as ReLU, rounding and clamping, is the same as before it.
    """
    if convolution is None:
        return product(x)
    height, width = convolution.positions
    size = convolution.columns * convolution.groups
    step = max(1, _BLOCK // (height * width * size))
    outputs = []
    for start in range(0, max(1, len(x)), step):
        patches = convolution.patches(x[start : start + step])
        y = product(patches.reshape(-1, size))
        outputs.append(convolution.pooled(y.reshape(len(patches), height * width, -1)))
    return np.concatenate(outputs)


def per_column(
    convolution: Convolution | None, low: NDArray[Any], high: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ranges (channels * kernel,) of a patch, from those of inputs (inputs,).

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
