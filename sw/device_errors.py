"""What may be wrong with a device that answers, by what its user can do about it."""

from __future__ import annotations

from .errors import BadInput

__all__ = ["Closed", "DeviceError"]


class DeviceError(BadInput):
    """The device is not the one that was expected, or did not do what it should."""


class Closed(DeviceError):
    """The accelerator was closed before: open it again."""
