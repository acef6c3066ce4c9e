"""The accelerator as its host sees it: load an image, run vectors, read counters.

The same code drives a board through a serial port, the cocotb bench through simulated pins, and
the Verilated engine through a pipe: all that differs is the `Transport`.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw import layouts
from hw.config import AcceleratorConfig
from hw.regmap import COUNTERS, MAGIC, REGISTERS, VERSION, Window, window_items

from .errors import BadInput
from .image import Image, Port, word_address

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ["Accelerator", "DeviceError", "LayerCounts"]

_ADDRESS = {register.name: place for place, register in enumerate(REGISTERS)}
_BUSY = 1
_START, _ABORT = 1, 2


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

    def load(self, image: Image, progress: Callable[[float], None] = lambda _share: None) -> None:
        """Write an image into the device and verify its checksum.

        Parameters
        ----------
        progress : called with the share that is done, 0 to 1

        Raises
        ------
        DeviceError
            If the device was built for another configuration, or if what arrived there is not
            what was sent.
        """
        self._check_digest(image.config)
        self.reset()
        self._set("image_id", 0)
        jobs = [
            (word_address(window, unit), _bus_words(items, window, image.config))
            for window, units in image.contents.items()
            for unit, items in enumerate(units)
        ]
        total = sum(len(words) for _, words in jobs) or 1
        done = 0
        self._set("load_crc", 0)
        crc = 0
        for address, words in jobs:
            crc = self._write_checked(address, words, crc)
            done += len(words)
            progress(done / total)
        self._verify(crc, "the image")
        self._set("image_id", image.id)
        self._image = image

    def attach(self, image: Image) -> None:
        """Use an image that the device holds already, as memory initialisation or from before.

        Raises
        ------
        DeviceError
            If the device holds another image, or none.
        """
        self._check_digest(image.config)
        found = self._get("image_id")
        if found != image.id:
            holds = f"image {found:08x}" if found else "no image"
            raise DeviceError(f"the device holds {holds}, not {image.id:08x}; load it first")
        self._image = image

    def reset(self) -> None:
        """Abort whatever runs and wait until the engine is ready; memories stay as they are."""
        self._set("control", _ABORT)
        self._wait(1.0, "to reset")

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
            If no image is loaded, the device does not finish, or inputs were garbled on the way.
        """
        image = self._require_image()
        x = _checked_inputs(x, image)
        size = image.vectors
        outputs = [self._run(image, x[at : at + size], timeout) for at in range(0, len(x), size)]
        return np.concatenate(outputs) if outputs else np.empty((0, len(image.output.slots)), int)

    @property
    def cycles(self) -> int:
        """Clock cycles of the last run on the device, all its vectors together."""
        return self._get("cycles")

    def counters(self) -> list[LayerCounts]:
        """What every layer counted in the last run on the device."""
        image = self._require_image()
        counts = []
        for layer in range(len(image.layer_ports)):
            values = self._transport.read(word_address(Window.COUNTERS, layer), len(COUNTERS))
            counted = {name: int(v) for name, v in zip(COUNTERS, values, strict=True)}
            slots = counted["cycles"] * image.config.elements
            starved = slots - counted["busy"] - counted["stalled"]
            counts.append(LayerCounts(**counted, starved=starved))
        return counts

    def _run(self, image: Image, x: NDArray[np.int64], timeout: float) -> NDArray[np.int64]:
        config = image.config
        self._set("load_crc", 0)
        crc = 0
        for group, words in enumerate(_input_words(x, image)):
            address = _activation_address(image.input, group, config)
            crc = self._write_checked(address, words, crc)
        self._verify(crc, "the inputs")
        self._set("vectors", len(x))
        self._set("control", _START)
        self._wait(timeout, "to finish a run")
        return self._read_port(image.output, len(x), config)

    def _read_port(self, port: Port, vectors: int, config: AcceleratorConfig) -> NDArray[np.int64]:
        """(vectors, features) at one port."""
        step = layouts.stride(config.lanes * config.activation_bits)
        groups = [
            self._transport.read(
                _activation_address(port, group, config), vectors * port.words * step
            )
            for group in range(config.groups)
        ]
        words = np.stack(groups).reshape(config.groups, vectors, port.words, step)
        values = _unpack_words(words, config)
        # (group, vector, word, lane) -> (vector, slot)
        return values.transpose(1, 2, 0, 3).reshape(vectors, -1)[:, port.slots]

    def _write_checked(self, address: int, words: NDArray[np.uint32], crc: int) -> int:
        """Write to a window; returns the checksum that the device should have afterwards."""
        self._transport.write(address, words)
        pairs = np.empty((len(words), 2), "<u4")
        pairs[:, 0] = address + np.arange(len(words))
        pairs[:, 1] = words
        return zlib.crc32(pairs.tobytes(), crc)

    def _verify(self, expected: int, what: str) -> None:
        found = self._get("load_crc")
        if found != expected:
            raise DeviceError(
                f"{what} did not arrive whole: the device's checksum is {found:08x}, it should be "
                f"{expected:08x}; check the cable and the baud rate"
            )

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

    def _wait(self, timeout: float, what: str) -> None:
        if not self._transport.poll(_ADDRESS["status"], _BUSY, 0, timeout):
            raise DeviceError(f"the device did not manage {what} within {timeout:g} s")

    def _get(self, register: str) -> int:
        return int(self._transport.read(_ADDRESS[register], 1)[0])

    def _set(self, register: str, value: int) -> None:
        self._transport.write(_ADDRESS[register], np.array([value], np.uint32))


def _checked_inputs(x: NDArray[np.integer], image: Image) -> NDArray[np.int64]:
    features = len(image.input.slots)
    if x.ndim != 2 or x.shape[1] != features or not np.issubdtype(x.dtype, np.integer):
        raise BadInput(
            f"inputs are {x.dtype} of shape {x.shape}; integers of shape (n, {features}) are needed"
        )
    high = (1 << (image.config.activation_bits - 1)) - 1
    if x.size and (x.max() > high or x.min() < -high - 1):
        worst = x.max() if x.max() > high else x.min()
        raise BadInput(f"an input is {worst}; activations go from {-high - 1} to {high}")
    return x.astype(np.int64)


def _activation_address(port: Port, group: int, config: AcceleratorConfig) -> int:
    step = layouts.stride(config.lanes * config.activation_bits)
    return word_address(Window.ACTIVATIONS, group, port.base * step)


def _bus_words(
    items: NDArray[np.uint32], window: Window, config: AcceleratorConfig
) -> NDArray[np.uint32]:
    """Items (n, parts) as the words of the window, gaps up to the stride filled with zeros."""
    step = layouts.stride(window_items(window, config)[2])
    words = np.zeros((len(items), step), np.uint32)
    words[:, : items.shape[1]] = items
    return words.ravel()


def _input_words(x: NDArray[np.int64], image: Image) -> list[NDArray[np.uint32]]:
    """Per group, the bus words of all vectors' activation words."""
    config, port = image.config, image.input
    slots = np.zeros((len(x), port.words * config.groups * config.lanes), np.int64)
    slots[:, port.slots] = x
    values = slots.reshape(len(x), port.words, config.groups, config.lanes)
    bits = (values[..., None] >> np.arange(config.activation_bits)) & 1
    step = layouts.stride(config.lanes * config.activation_bits)
    flat = bits.reshape(*values.shape[:3], -1).astype(np.uint8)
    padded = np.zeros((*values.shape[:3], step * layouts.BUS_BITS), np.uint8)
    padded[..., : flat.shape[-1]] = flat
    words = np.packbits(padded, axis=-1, bitorder="little").view("<u4")
    return [words[:, :, group].reshape(-1).astype(np.uint32) for group in range(config.groups)]


def _unpack_words(words: NDArray[np.uint32], config: AcceleratorConfig) -> NDArray[np.int64]:
    """(..., stride) bus words -> (..., lanes) signed activations."""
    width = config.activation_bits
    octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., : config.lanes * width]
    values = bits.reshape(*words.shape[:-1], config.lanes, width).astype(np.int64)
    weights = 1 << np.arange(width, dtype=np.int64)
    weights[-1] = -weights[-1]
    return values @ weights
