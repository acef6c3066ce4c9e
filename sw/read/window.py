"""Windows of convolutions and poolings, as model files describe them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sw.errors import BadInput

__all__ = ["Window", "same_pads"]


@dataclasses.dataclass(frozen=True)
class Window:
    """What a convolution or a pooling looks at, as model files say it.

    Attributes
    ----------
    kernel, strides, dilations : (height, width)
    pads : (top, left, bottom, right)
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    pads: tuple[int, ...] = (0, 0, 0, 0)
    dilations: tuple[int, ...] = (1, 1)

    def check(self) -> None:
        """Refuse other than two dimensions."""
        for field in dataclasses.fields(self):
            wanted = 4 if field.name == "pads" else 2
            if len(value := getattr(self, field.name)) != wanted:
                raise BadInput(f"{field.name} is {list(value)}; two dimensions have {wanted}")

    def check_convolution(self) -> None:
        """Refuse what `sw.convolution.Convolution` has no words for.

        Raises
        ------
        BadInput
            Naming the field, its value and what is supported.
        """
        self.check()
        if self.dilations != (1, 1):
            raise BadInput(f"its dilations are {list(self.dilations)}; only [1, 1] is supported")
        if self.strides[0] != self.strides[1]:
            raise BadInput(f"its strides are {list(self.strides)}; they must be equal")
        if len(set(self.pads)) != 1:
            raise BadInput(f"its pads are {list(self.pads)}; all four must be equal")

    def check_max_pooling(self) -> None:
        """Refuse pooling other than by squares that leave nothing out.

        Raises
        ------
        BadInput
            Naming all fields and what is supported.
        """
        side, stride = self._pooling("max")
        if self.kernel[1] != side or not 1 <= stride <= side:
            raise BadInput(
                f"{self._said()}; max pooling must have a square kernel, and strides from 1 to its "
                "side"
            )

    def check_average_pooling(self) -> None:
        """Refuse pooling with strides that differ, or padding.

        Raises
        ------
        BadInput
            Naming all fields and what is supported.
        """
        self._pooling("average")

    def _pooling(self, kind: str) -> tuple[int, int]:
        self.check()
        if any(self.pads) or self.dilations != (1, 1) or self.strides[0] != self.strides[1]:
            raise BadInput(
                f"{self._said()}; {kind} pooling must have equal strides, no padding and no "
                "dilation"
            )
        return self.kernel[0], self.strides[0]

    def _said(self) -> str:
        return (
            f"its kernel is {list(self.kernel)} with strides {list(self.strides)}, pads "
            f"{list(self.pads)} and dilations {list(self.dilations)}"
        )


def same_pads(plane: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> Sequence[int]:
    """Pads (top, left, bottom, right) with which there is a position every stride (SAME_UPPER)."""
    before, after = [], []
    for length, side, stride in zip(plane, kernel, strides, strict=True):
        stride = max(1, stride)  # 0 is refused by `Convolution.fault`
        total = max(0, (-(-length // stride) - 1) * stride + side - length)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]
