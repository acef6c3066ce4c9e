"""The accelerator with one image at a time: load it, run vectors, read counters.

The same code drives a board through a serial port, the cocotb bench through simulated pins, and
the Verilated engine through a pipe: all that differs is the transport. `sw.driver` is the face of
it.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hw.config import AcceleratorConfig
from hw.regmap import CONTROL, COUNTERS, STATUS, Window

from .asynchronous import AsyncTransport
from .bus import VerifiedBus
from .device_errors import DeviceError, NotLoaded, NotRun, RunTimeout, WrongGateware
from .errors import BadInput
from .image import Image, word_address
from .registers import LayerCounts, Registers, identify
from .words import (
    activation_address,
    activation_stride,
    differing_words,
    from_words,
    image_words,
    port_units,
    to_words,
)

__all__ = ["Device", "check_timeout"]

_BUSY = STATUS.field["busy"].mask
_START, _ABORT = (CONTROL.field[name].mask for name in ("start", "abort"))
_RESET_SECONDS = 1.0
# Runs that a stray command may spoil before it is no accident any more.
_RUNS_MAX = 20


class Device:
    """What a coroutine may ask of an accelerator, one at a time; `open` first.

    Whatever a bad line does to commands, words or answers is found and repeated (`sw.bus`): an
    output is right, or there is an error instead of it.

    Parameters
    ----------
    transport : AsyncTransport
        Closed by the caller.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._bus = VerifiedBus(transport)
        self._image: Image | None = None
        # What the memories are known to hold, if the device says that it holds this image.
        self._held: Image | None = None
        self._released = False
        self._last: int | None = None  # number of the last run, among starts and aborts
        self._cycles = 0

    async def open(self) -> None:
        """Find out who answers, and guard its memories.

        What they hold is trusted if they were guarded until now, as the driver leaves them.

        Raises
        ------
        WrongGateware
            If what answers is not a Thresher accelerator of this register map.
        """
        await identify(self._transport)
        self._released = not await self._bus.guard()

    async def registers(self) -> Registers:
        """What the device says of itself."""
        return Registers.of(await self._bus.registers())

    @property
    def repeated(self) -> int:
        """Exchanges with the device that a bad line spoiled, so far; all were repeated."""
        return self._bus.repeated

    @property
    def image(self) -> Image | None:
        """What is loaded, by this program."""
        return self._image

    async def load(
        self,
        image: Image,
        progress: Callable[[float], None] = lambda _share: None,
        *,
        whole: bool = False,
    ) -> int:
        """Write an image into the device, or of it what differs from the image that it holds.

        The latter if this program has loaded or attached that one, or if it is the same. After
        `release` all is written.

        Parameters
        ----------
        progress : called with the share that is written, growing to 1
        whole : write all of it

        Returns
        -------
        int
            Words that were written.

        Raises
        ------
        WrongGateware
            If the device was built for another configuration.
        """
        held = self._held
        self._forget()
        found = await self._check_digest(image.config)
        whole = whole or self._released
        if found.image_id == image.id and not whole:
            self._image = self._held = image
            return 0
        words = everything = image_words(image)
        if held is not None and held.id == found.image_id and not whole:
            words = differing_words(everything, image_words(held))
        # Before all else, since whatever stops the load must not leave the image before its id.
        await self._bus.set("image_id", 0)
        await self.reset()
        repeated = self._bus.repeated
        await self._bus.write(words, progress)
        if words is not everything and self._bus.repeated != repeated:
            # What was spoiled may have gone to words between, which are not written again.
            words = everything
            await self._bus.write(words, progress)
        await self.reset()  # nothing runs that a stray command started
        await self._bus.set("image_id", image.id)
        self._image = self._held = image
        self._released = False
        return sum(len(part) for _, part in words)

    async def forget(self) -> None:
        """What the device holds is no image any more."""
        self._forget()
        await self._bus.set("image_id", 0)

    async def attach(self, image: Image) -> None:
        """Use an image that the device holds already, as memory initialisation or from before.

        Raises
        ------
        WrongGateware
            If the device was built for another configuration.
        NotLoaded
            If the device holds another image, or none.
        """
        self._forget()
        found = await self._check_digest(image.config)
        _check_image(image, found.image_id)
        self._image = self._held = image

    async def reset(self) -> None:
        """Abort whatever runs and wait until the engine is ready; memories stay as they are."""
        await self._bus.set("control", _ABORT)
        if not await self._bus.poll("status", _BUSY, 0, _RESET_SECONDS):
            raise DeviceError(f"the device was not ready {_RESET_SECONDS:g} s after a reset")

    async def release(self) -> None:
        """Leave the device to others as it was after power-up: all its memories may be written."""
        self._released = True
        await self._bus.release()

    async def leave(self) -> None:
        """Before the transport is closed: memories stay guarded if what they hold is verified."""
        if self._released:
            await self._bus.release()

    async def run(
        self,
        x: NDArray[np.integer],
        timeout: float = 10.0,
        progress: Callable[[float], None] = lambda _share: None,
        *,
        batch: int | None = None,
    ) -> NDArray[np.int64]:
        """Integer outputs (n, outputs) for integer inputs (n, inputs).

        Parameters
        ----------
        timeout : seconds that one run on the device may take
        progress : called with the share that has been run, growing to 1
        batch : vectors of one run on the device; as many as it has memory for, if not given

        Raises
        ------
        BadInput
            If the shape or the range of the inputs does not suit the image, or the batch; if the
            time-out is none.
        NotLoaded
            If no image is loaded, or the device lost it.
        RunTimeout
            If it does not finish in time; it is aborted.
        DeviceError
            If another program disturbs every run.
        """
        image = self._require_image()
        check_timeout(timeout)
        x = _checked_inputs(x, image)
        size = _checked_batch(batch, image)
        self._last, self._cycles = None, 0
        outputs = [np.empty((0, len(image.output.slots)), np.int64)]
        for at in range(0, len(x), size):
            outputs.append(await self._run(image, x[at : at + size], timeout))
            progress(min(1.0, (at + size) / len(x)))
        return np.concatenate(outputs)

    async def write_activations(self, group: int, words: NDArray[np.uint32]) -> None:
        """Write the activation memory of a group, from its beginning on; a run writes over it."""
        await self._bus.write([(word_address(Window.ACTIVATIONS, group), words)])

    async def read_activations(self, group: int, count: int) -> NDArray[np.uint32]:
        """Words of the activation memory of a group, from its beginning on."""
        return await self._bus.read(word_address(Window.ACTIVATIONS, group), count)

    @property
    def cycles(self) -> int:
        """Clock cycles of the last `run`, all its vectors together; 0 before it."""
        return self._cycles

    async def counters(self) -> list[LayerCounts]:
        """What every layer counted in the last run on the device, all its instructions together.

        Raises
        ------
        NotLoaded
            If no image is loaded.
        NotRun
            If nothing was run since; if the device has run again meanwhile.
        """
        image = self._require_image()
        if self._last is None:
            raise NotRun("nothing was run since the image was loaded; call run() first")
        sums = np.zeros((len(image.layer_ports), len(COUNTERS)), np.int64)
        for step, layer in enumerate(image.steps):
            address = word_address(Window.COUNTERS, step)
            sums[layer] += await self._bus.read(address, len(COUNTERS))
        registers = await self.registers()
        if not registers.idle_after(self._last):
            raise NotRun("the device has run again since the run whose counters are asked for")
        return [LayerCounts.of(values, image.config.elements) for values in sums]

    async def _run(self, image: Image, x: NDArray[np.int64], timeout: float) -> NDArray[np.int64]:
        for _ in range(_RUNS_MAX):
            number = await self._ready(image, x)
            if number is None or not await self._bus.command("control", _START):
                continue
            if not await self._bus.poll("status", _BUSY, 0, timeout):
                at = (await self.registers()).layer
                layer = image.steps[min(at, len(image.steps) - 1)]
                await self.reset()
                raise RunTimeout(
                    f"the device did not finish a run of {len(x)} vectors within {timeout:g} s; it "
                    f"was executing layer {layer} of 0 to {len(image.layer_ports) - 1}"
                )
            outputs = await self._outputs(image, len(x))
            registers = await self.registers()
            if registers.idle_after(number):  # nothing else ran, nothing was aborted
                self._last = number
                self._cycles += registers.cycles
                return outputs
        raise DeviceError(
            f"the device was disturbed in each of {_RUNS_MAX} runs: does another program use it?"
        )

    async def _ready(self, image: Image, x: NDArray[np.int64]) -> int | None:
        """Everything up to the start: the number that it will have, if all is well.

        It is not if a command that went astray has started or aborted something, for the engine
        may then have written over the inputs, or not taken them; or if it changed a register.
        """
        await self._bus.set("vectors", len(x))
        await self.reset()
        before = await self.registers()
        number = before.commands
        if not before.idle_after(number):
            return None
        units = port_units(image.input, image.config)
        places = [activation_address(image.input, unit, image.config) for unit in units]
        words = to_words(x, image.input, image.config)
        await self._bus.write(list(zip(places, words, strict=True)))
        registers = await self.registers()
        _check_image(image, registers.image_id)
        if registers.vectors != len(x) or not registers.idle_after(number):
            return None
        return (number + 1) % (1 << STATUS.field["commands"].bits)

    async def _outputs(self, image: Image, vectors: int) -> NDArray[np.int64]:
        count = vectors * image.output.words * activation_stride(image.config)
        groups = [
            await self._bus.read(activation_address(image.output, group, image.config), count)
            for group in range(image.config.groups)
        ]
        return from_words(groups, image.output, image.config)

    async def _check_digest(self, config: AcceleratorConfig) -> Registers:
        registers = await self.registers()
        found = registers.config_digest
        if found != config.digest:
            raise WrongGateware(
                f"the device was built for configuration {found:08x}, the image was packed for "
                f"{config.digest:08x}; pack it for the board's configuration"
            )
        return registers

    def _forget(self) -> None:
        self._image = self._held = self._last = None
        self._cycles = 0

    def _require_image(self) -> Image:
        if self._image is None:
            raise NotLoaded("no image is loaded; call load() first")
        return self._image


def check_timeout(timeout: float) -> None:
    """Refuse a time-out of a run in which nothing could be done."""
    if not isinstance(timeout, numbers.Real) or not timeout > 0:  # not a number is refused, too
        raise BadInput(f"timeout is {timeout!r}; it must be more than 0 seconds")


def _check_image(image: Image, found: int) -> None:
    if found != image.id:
        holds = f"image {found:08x}" if found else "no image"
        raise NotLoaded(f"the device holds {holds}, not {image.id:08x}; load it first")


def _checked_batch(batch: int | None, image: Image) -> int:
    if batch is None:
        return image.vectors
    if not 1 <= batch <= image.vectors:
        raise BadInput(f"batch is {batch}; the device has memory for 1 to {image.vectors} vectors")
    return batch


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
