"""What may be wrong with a device that answers, by what its user can do about it."""

from __future__ import annotations

import dataclasses

from .errors import BadInput

__all__ = [
    "Closed",
    "DeviceError",
    "Difference",
    "Mismatch",
    "NotLoaded",
    "NotRun",
    "OtherConfiguration",
    "RunTimeout",
    "UnknownConfiguration",
    "WrongGateware",
]


class DeviceError(BadInput):
    """The device is not the one that was expected, or did not do what it should."""


class WrongGateware(DeviceError):
    """No accelerator, or another version or configuration: program it, or pack networks for it."""


class OtherConfiguration(WrongGateware):
    """It has another configuration than the one that was named: name its own.

    Attributes
    ----------
    found, expected : int
        `AcceleratorConfig.digest` of the gateware, and of what was named.
    """

    def __init__(self, found: int, expected: int) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"the device was built for configuration {self.found:08x}, the argument config is "
            f"{self.expected:08x}"
        )


class UnknownConfiguration(DeviceError):
    """It has a configuration that no preset has, and none was named: name it.

    Attributes
    ----------
    found : int
        `AcceleratorConfig.digest` of the gateware.
    """

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return (
            f"the device was built for configuration {self.found:08x}, which no preset has; name "
            "it by the argument config"
        )


class NotLoaded(DeviceError):
    """Nothing is loaded, or the device holds another image: load what is to run."""


class NotRun(DeviceError):
    """There are no counters of a run of this program, or not any more: run again."""


class RunTimeout(DeviceError):
    """A run did not end in time, and was aborted: allow it more."""


class Closed(DeviceError):
    """The accelerator was closed before: open it again."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """The first activation of a layer that is not the golden model's; `str` tells it in words.

    Attributes
    ----------
    layer, vector, element : int
        From 0 on.
    found, expected : int
        The activation on the device, and in the golden model.
    name : str
        Of the layer.
    count, total : int
        Activations of the layer that differ, and all, of all vectors together.
    """

    layer: int
    vector: int
    element: int
    found: int
    expected: int
    name: str
    count: int
    total: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer} ({self.name}) differs from the golden model in {self.count} of "
            f"{self.total} activations, the first in vector {self.vector}, element "
            f"{self.element}: {self.found} instead of {self.expected}"
        )


class Mismatch(DeviceError):
    """The device does not compute what the golden model does.

    Attributes
    ----------
    difference : Difference
        Where it first does not.
    """

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference)
        self.difference = difference
