"""What the device says of itself: registers, counters, and whether it is an accelerator at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hw.regmap import COUNTERS, MAGIC, PLACE, STATUS, VERSION

from .asynchronous import AsyncTransport
from .device_errors import WrongGateware
from .transport import LinkError, PortError

__all__ = ["LayerCounts", "Registers", "identify"]

_IDENTIFY_MAX = 4


@dataclasses.dataclass(frozen=True)
class LayerCounts:
    """Counters of one layer in the last run (see `hw.regmap.COUNTERS`), and what follows from them.

    `busy`, `stalled` and `starved` are summed over the processing elements.
    """

    cycles: int
    activations: int
    blocked: int
    busy: int
    stalled: int
    starved: int

    @classmethod
    def of(cls, values: Iterable[int], elements: int) -> LayerCounts:
        """From the words of the counters, in their order, and the number of elements."""
        counted = dict(zip(COUNTERS, map(int, values), strict=True))
        starved = counted["cycles"] * elements - counted["busy"] - counted["stalled"]
        return cls(**counted, starved=starved)


@dataclasses.dataclass(frozen=True)
class Registers:
    """What the device says of itself (see `hw.regmap.REGISTERS`).

    `commands` counts starts and aborts, modulo 65,536.
    """

    version: int
    config_digest: int
    image_id: int
    busy: bool
    layer: int
    commands: int
    vectors: int
    cycles: int

    @classmethod
    def of(cls, values: Mapping[str, int]) -> Registers:
        """From the words of the registers, by name."""
        names = ("version", "config_digest", "image_id", "vectors", "cycles")
        status, field = values["status"], STATUS.field
        return cls(
            **{name: values[name] for name in names},
            busy=bool(field["busy"].of(status)),
            layer=field["layer"].of(status),
            commands=field["commands"].of(status),
        )

    def idle_after(self, number: int) -> bool:
        """Whether that start or abort was the last, and what it did is over."""
        return self.commands == number and not self.busy


async def identify(transport: AsyncTransport, attempts: int = _IDENTIFY_MAX) -> None:
    """Refuse what is no accelerator of this register map, or does not answer.

    It may have no checksum, so it is asked several times instead.

    Raises
    ------
    WrongGateware, LinkError
        In these cases.
    """
    for attempt in range(1, attempts + 1):
        failure, found = None, [0, 0]
        try:
            places = [PLACE["magic"], PLACE["version"]]
            found = [int((await transport.read(place, 1))[0]) for place in places]
        except LinkError as error:
            failure = error
        if found == [MAGIC, VERSION]:
            return
        if attempt == attempts or isinstance(failure, PortError):
            break
        # Somebody may have left it in the middle of a command, or of an answer.
        try:
            await transport.resynchronise()
        except LinkError:
            break
    if failure is not None:
        raise failure
    magic, version = found
    if magic != MAGIC:
        raise WrongGateware(
            f"the device answers {magic:#010x} where a Thresher accelerator has {MAGIC:#010x}; "
            "is the right bitstream loaded?"
        )
    raise WrongGateware(
        f"the device has version {version} of the register map, this driver {VERSION}; "
        "build the bitstream and the driver from the same release"
    )
