"""The accelerator as its host sees it: load an image, run vectors, read counters.

The same code drives a board through a serial port, the cocotb bench through simulated pins, and
the Verilated engine through a pipe: all that differs is the `Transport`.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig
from hw.regmap import COUNTERS, MAGIC, REGISTERS, VERSION, Window

from .errors import BadInput
from .image import Image, word_address
from .words import (
    activation_address,
    activation_stride,
    from_words,
    image_words,
    port_units,
    to_words,
)

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ["Accelerator", "DeviceError", "LayerCounts"]

_ADDRESS = {register.name: place for place, register in enumerate(REGISTERS)}
_BUSY = 1
_START, _ABORT = 1, 2
_RESET_SECONDS = 1.0
_BURST = 1 << 10  # words written between two reports of progress


class DeviceError(BadInput):
    """The device is not the one that was expected, or did not do what it should."""


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


class Accelerator:
    """A device with one image at a time.

    What is written is verified before it is used: a word of an image, of inputs or of a command
    that is lost or changed on its way to the device gives a `DeviceError`, never a wrong output.
    What is read comes back unverified: UARTBone has no checksum for it.

    Parameters
    ----------
    transport : Transport
        Closed by the caller.

    Raises
    ------
    DeviceError
        If what answers is not a Thresher accelerator of this register map.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._image: Image | None = None
        self._cycles = 0
        magic = self._get("magic")
        if magic != MAGIC:
            raise DeviceError(
                f"the device answers {magic:#010x} where a Thresher accelerator has {MAGIC:#010x}; "
                "is the right bitstream loaded?"
            )
        version = self._get("version")
        if version != VERSION:
            raise DeviceError(
                f"the device has version {version} of the register map, this driver {VERSION}; "
                "build the bitstream and the driver from the same release"
            )

    @property
    def config_digest(self) -> int:
        """`AcceleratorConfig.digest` of the gateware."""
        return self._get("config_digest")

    @property
    def image_id(self) -> int:
        """`Image.id` of the image that the device holds; 0 if it holds none."""
        return self._get("image_id")

    def load(self, image: Image, progress: Callable[[float], None] = lambda _share: None) -> None:
        """Write an image into the device and verify its checksum.

        Parameters
        ----------
        progress : called with the share that is written, growing to 1

        Raises
        ------
        DeviceError
            If the device was built for another configuration, or if what arrived there is not
            what was sent; the device then holds no image.
        """
        self._image = None
        self._check_digest(image.config)
        try:
            self._load(image, progress)
        except DeviceError:
            self._forget()
            raise
        self._image = image

    def attach(self, image: Image) -> None:
        """Use an image that the device holds already, as memory initialisation or from before.

        Raises
        ------
        DeviceError
            If the device holds another image, or none.
        """
        self._image = None
        self._check_digest(image.config)
        found = self.image_id
        if found != image.id:
            holds = f"image {found:08x}" if found else "no image"
            raise DeviceError(f"the device holds {holds}, not {image.id:08x}; load it first")
        self._image = image

    def reset(self) -> None:
        """Abort whatever runs and wait until the engine is ready; memories stay as they are."""
        self._set("control", _ABORT)
        if not self._idle_within(_RESET_SECONDS):
            raise DeviceError(f"the device was not ready {_RESET_SECONDS:g} s after a reset")

    def run(self, x: NDArray[np.integer], timeout: float = 10.0) -> NDArray[np.int64]:
        """Integer outputs (n, outputs) for integer inputs (n, inputs).

        Parameters
        ----------
        timeout : seconds that one run on the device (`Image.vectors` vectors at most) may take

        Raises
        ------
        BadInput
            If the shape or the range of the inputs does not suit the image.
        DeviceError
            If no image is loaded; if the device does not finish in time (it is aborted); or if a
            word was garbled: the image must then be loaded again, for it may have gone anywhere.
        """
        image = self._require_image()
        x = _checked_inputs(x, image)
        size = image.vectors
        outputs = [self._run(image, x[at : at + size], timeout) for at in range(0, len(x), size)]
        empty = np.empty((0, len(image.output.slots)), np.int64)
        return np.concatenate([empty, *outputs])

    @property
    def cycles(self) -> int:
        """Clock cycles of the last run on the device, all its vectors together; 0 before it."""
        return self._cycles

    def counters(self) -> list[LayerCounts]:
        """What every layer counted in the last run on the device, all its instructions together."""
        image = self._require_image()
        sums = np.zeros((len(image.layer_ports), len(COUNTERS)), np.int64)
        for step, layer in enumerate(image.steps):
            sums[layer] += self._transport.read(word_address(Window.COUNTERS, step), len(COUNTERS))
        counts = []
        for values in sums:
            counted = {name: int(v) for name, v in zip(COUNTERS, values, strict=True)}
            slots = counted["cycles"] * image.config.elements
            starved = slots - counted["busy"] - counted["stalled"]
            counts.append(LayerCounts(**counted, starved=starved))
        return counts

    def _load(self, image: Image, progress: Callable[[float], None]) -> None:
        self._set("load_crc", 0)
        self.reset()
        self._set("image_id", 0)
        # Verified now, since whatever stops the load must not leave the image before under its id.
        self._verify("the reset", {"image_id": 0})
        bursts = image_words(image, _BURST)
        total = sum(len(words) for _, words in bursts)
        done = crc = 0
        for address, words in bursts:
            crc = self._write_checked(address, words, crc)
            done += len(words)
            progress(done / total)
        self._verify("the image", {"load_crc": crc})
        self._set("image_id", image.id)
        self._verify("the image", {"load_crc": crc, "image_id": image.id})

    def _run(self, image: Image, x: NDArray[np.int64], timeout: float) -> NDArray[np.int64]:
        try:
            self._write_inputs(image, x)
        except BadInput:
            # Whatever went wrong, a word may have reached another memory.
            self._forget()
            raise
        self._set("control", _START)
        if not self._idle_within(timeout):
            layer = image.steps[min(self._get("status") >> 8, len(image.steps) - 1)]
            self.reset()
            raise DeviceError(
                f"the device did not finish a run of {len(x)} vectors within {timeout:g} s; it was "
                f"executing layer {layer} of 0 to {len(image.layer_ports) - 1}"
            )
        self._cycles = self._get("cycles")
        if not self._cycles:
            self._forget()
            raise DeviceError("the device did not start; check the cable and load the image again")
        step = activation_stride(image.config)
        groups = [
            self._transport.read(
                activation_address(image.output, group, image.config),
                len(x) * image.output.words * step,
            )
            for group in range(image.config.groups)
        ]
        return from_words(groups, image.output, image.config)

    def _write_inputs(self, image: Image, x: NDArray[np.int64]) -> None:
        """Everything up to the start of a run, verified."""
        # The checksum comes first: from here on it tells of a word that strays into a memory. The
        # reset brings the count of cycles to 0, which tells whether the engine started, and when.
        self._set("load_crc", 0)
        self.reset()
        self._set("vectors", len(x))
        crc = 0
        units = port_units(image.input, image.config)
        for unit, words in zip(units, to_words(x, image.input, image.config), strict=True):
            address = activation_address(image.input, unit, image.config)
            crc = self._write_checked(address, words, crc)
        expected = {"load_crc": crc, "vectors": len(x), "cycles": 0, "image_id": image.id}
        self._verify("the inputs", expected)

    def _write_checked(self, address: int, words: NDArray[np.uint32], crc: int) -> int:
        """Write to a window; returns the checksum that the device should have afterwards."""
        self._transport.write(address, words)
        pairs = np.empty((len(words), 2), "<u4")
        pairs[:, 0] = address + np.arange(len(words))
        pairs[:, 1] = words
        return zlib.crc32(pairs.tobytes(), crc)

    def _verify(self, what: str, expected: Mapping[str, int]) -> None:
        """Compare registers, all read at once, with what they should hold."""
        values = self._transport.read(0, len(REGISTERS))
        for name, value in expected.items():
            found = int(values[_ADDRESS[name]])
            if found != value:
                where = "checksum" if name == "load_crc" else f"register {name}"
                raise DeviceError(
                    f"{what} did not arrive whole: the device's {where} is {found:08x}, it should "
                    f"be {value:08x}; check the cable and the baud rate, then load the image again"
                )

    def _forget(self) -> None:
        """Neither side takes what is in the memories for an image any more."""
        self._image = None
        self._set("image_id", 0)

    def _check_digest(self, config: AcceleratorConfig) -> None:
        found = self.config_digest
        if found != config.digest:
            raise DeviceError(
                f"the device was built for configuration {found:08x}, the image was packed for "
                f"{config.digest:08x}; pack it for the board's configuration"
            )

    def _require_image(self) -> Image:
        if self._image is None:
            raise DeviceError("no image is loaded; call load() first")
        return self._image

    def _idle_within(self, timeout: float) -> bool:
        return self._transport.poll(_ADDRESS["status"], _BUSY, 0, timeout)

    def _get(self, register: str) -> int:
        return int(self._transport.read(_ADDRESS[register], 1)[0])

    def _set(self, register: str, value: int) -> None:
        self._transport.write(_ADDRESS[register], np.array([value], np.uint32))


def _checked_inputs(x: NDArray[np.integer], image: Image) -> NDArray[np.int64]:
    x = np.asarray(x)
    features = len(image.input.slots)
    if x.ndim != 2 or x.shape[1] != features or not np.issubdtype(x.dtype, np.integer):
        raise BadInput(
            f"inputs are {x.dtype} of shape {x.shape}; integers of shape (n, {features}) are needed"
        )
    low, high = image.input_low, image.input_high
    if x.size and (x.max() > high or x.min() < low):
        worst = x.max() if x.max() > high else x.min()
        raise BadInput(f"an input is {worst}; the network was proved for {low} to {high}")
    return x.astype(np.int64)
