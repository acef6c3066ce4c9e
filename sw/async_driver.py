"""The accelerator for asynchronous programs: networks in, predictions out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.config import PRESETS, AcceleratorConfig
from sim import golden

from . import format as thr
from .asynchronous import AsyncTransport, Threaded, followed_by, opened
from .compressed import CompressedNetwork
from .device import Device, check_timeout
from .device_errors import (
    Closed,
    Mismatch,
    NotLoaded,
    OtherConfiguration,
    UnknownConfiguration,
)
from .errors import BadInput
from .image import Image
from .pack import pack, pack_file
from .ports import boards_of, open_port
from .progress import shares
from .registers import LayerCounts, Registers
from .selftest import Check, run_checks
from .trace import Trace, compare, prefix
from .vectors import as_vectors, warn_if_clamped

__all__ = ["RUN_SECONDS", "AsyncAccelerator", "Info", "Model", "Progress", "nothing", "tell"]

Model = str | Path | CompressedNetwork | Image
Progress = Callable[[float], None]

RUN_SECONDS = 10.0
"""How long one run on the device may take, if nothing else is said."""


def nothing(_: object) -> None:
    """What is told of progress by default."""


def tell(line: str) -> None:
    """Say it on stderr."""
    print(line, file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class Info:
    """What is at the other end.

    Attributes
    ----------
    port : str or None
        None if the transport was given.
    boards : tuple of str
        Those whose own engine it has; empty if it is of another configuration.
    config : AcceleratorConfig or None
        None if its digest is that of no preset, and none was given.
    image_id : str
        Of the image that it holds, eight hexadecimal digits; zeros if it holds none.
    registers : Registers
    repeated : int
        Exchanges that a bad line spoiled, so far; all were repeated.
    """

    port: str | None
    boards: tuple[str, ...]
    config: AcceleratorConfig | None
    image_id: str
    registers: Registers
    repeated: int


class AsyncAccelerator:
    """An accelerator, for coroutines; for what its methods do, see `sw.driver.Accelerator`.

    Several coroutines may use it: each method has the device for itself until it returns. One that
    is cancelled leaves the device usable. `async with` closes it in the end.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        *,
        config: AcceleratorConfig | None = None,
        port: str | None = None,
    ) -> None:
        self._transport = transport
        self._device = Device(transport)
        self._config = config
        self._digest = 0
        self._network: CompressedNetwork | None = None
        self._turn = asyncio.Lock()
        self._closed = False
        self.port = port

    @classmethod
    async def open(
        cls,
        port: str = "auto",
        *,
        baud: int | None = None,
        config: AcceleratorConfig | None = None,
        say: Callable[[str], None] = tell,
    ) -> AsyncAccelerator:
        """See `sw.driver.Accelerator.open`."""
        bone = await opened(functools.partial(open_port, port, baud, say))
        transport = Threaded(bone)
        accelerator = cls(transport, config=config, port=bone.port)
        try:
            await accelerator.start()
        except BaseException:
            await transport.close()
            raise
        return accelerator

    async def start(self) -> None:
        """Find out what answers; before all else, where the transport was given.

        Raises
        ------
        WrongGateware
            If it is no accelerator, or has another configuration than the one given.
        """
        async with self._alone():
            await self._device.open()
            self._digest = digest = (await self._device.registers()).config_digest
            if self._config is None:
                known = [config for config in PRESETS.values() if config.digest == digest]
                self._config = known[0] if known else None
            elif self._config.digest != digest:
                await self._device.leave()  # as it was
                raise OtherConfiguration(digest, self._config.digest)

    async def close(self) -> None:
        """End: what the device holds stays guarded, and the port is closed, the one given, too.

        Closed again, it does nothing.
        """
        async with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                with contextlib.suppress(BadInput):
                    await self._device.leave()
            finally:
                if isinstance(self._transport, Threaded):
                    await self._transport.close()

    async def __aenter__(self) -> AsyncAccelerator:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.port or 'a transport'}>"

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Have the device for oneself, which is not closed."""
        async with self._turn:
            if self._closed:
                raise Closed("the accelerator was closed; open it again")
            yield

    async def info(self) -> Info:
        """See `sw.driver.Accelerator.info`."""
        async with self._alone():
            registers = await self._device.registers()
            boards = boards_of(registers.config_digest)
            identity = f"{registers.image_id:08x}"
            repeated = self._device.repeated
            return Info(self.port, boards, self._config, identity, registers, repeated)

    @property
    def config_digest(self) -> int:
        """See `sw.driver.Accelerator.config_digest`; 0 before `start`."""
        return self._digest

    async def image_id(self) -> int:
        """See `sw.driver.Accelerator.image_id`."""
        return (await self.info()).registers.image_id

    @property
    def line_seconds(self) -> float:
        """See `sw.driver.Accelerator.line_seconds`."""
        return self._transport.line_seconds

    async def load(
        self, model: Model, progress: Progress | bool = False, *, whole: bool = False
    ) -> int:
        """See `sw.driver.Accelerator.load`."""
        async with self._alone():
            image, network = self._packed(model)
            self._network = None
            with self._reported(progress, "loading") as report:
                words = await self._device.load(image, report, whole=whole)
            self._network = network
        return words

    async def attach(self, model: Model) -> None:
        """See `sw.driver.Accelerator.attach`."""
        async with self._alone():
            image, network = self._packed(model)
            self._network = None
            await self._device.attach(image)
            self._network = network

    async def run(
        self,
        x: NDArray[np.integer],
        timeout: float = RUN_SECONDS,
        progress: Progress | bool = False,
        *,
        batch: int | None = None,
    ) -> NDArray[np.int64]:
        """See `sw.driver.Accelerator.run`."""
        async with self._alone():
            with self._reported(progress, "running") as report:
                return await self._device.run(x, timeout, report, batch=batch)

    async def predict(
        self,
        x: ArrayLike,
        progress: Progress | bool = False,
        *,
        timeout: float = RUN_SECONDS,
        trace_layers: bool = False,
    ) -> NDArray[np.float64]:
        """See `sw.driver.Accelerator.predict`."""
        async with self._alone():
            network = self._require_network()
            vectors = as_vectors(x, network.inputs)
            warn_if_clamped(network, vectors)
            inputs = golden.quantise(network, vectors)
            with self._reported(progress, "running") as report:
                if trace_layers:
                    trace = await self._trace(network, inputs, timeout, report)
                    if trace.difference is not None:
                        raise Mismatch(trace.difference)
                    report = nothing
                # After a trace, too: so that cycles and counters are those of the whole network.
                outputs = await self._device.run(inputs, timeout, report)
        y = golden.dequantise(network, outputs)
        return y[0] if np.ndim(x) == 1 else y

    async def trace(
        self,
        x: NDArray[np.integer],
        timeout: float = RUN_SECONDS,
        progress: Progress | bool = False,
    ) -> Trace:
        """See `sw.driver.Accelerator.trace`."""
        async with self._alone():
            network = self._require_network()
            with self._reported(progress, "tracing") as report:
                return await self._trace(network, x, timeout, report)

    async def _trace(
        self,
        network: CompressedNetwork,
        x: NDArray[np.integer],
        timeout: float,
        progress: Progress,
    ) -> Trace:
        check_timeout(timeout)  # before other networks are loaded
        layers: list[NDArray[np.int64]] = []
        difference = None
        expected = golden.run(network, x)
        async with self._loaded_again() as whole:
            for number, should_be in enumerate(expected):
                await self._device.load(prefix(whole, number + 1))
                layers.append(await self._device.run(x, timeout))
                progress((number + 1) / len(expected))
                difference = compare(network, number, layers[-1], should_be)
                if difference is not None:
                    break
        return Trace(tuple(layers), difference)

    async def selftest(self, note: Callable[[str], None] = nothing) -> list[Check]:
        """See `sw.driver.Accelerator.selftest`."""
        async with self._alone():
            config = self._require_config()
            if self._device.image is None:
                async with followed_by(self._device.forget):
                    return await run_checks(self._device, config, note)
            async with self._loaded_again():
                return await run_checks(self._device, config, note)

    @contextlib.asynccontextmanager
    async def _loaded_again(self) -> AsyncIterator[Image]:
        """The image that is loaded, which is so in the end, too; if not, there is no network."""
        image, network = self._device.image, self._network
        if image is None:
            raise NotLoaded("no image is loaded; call load() first")
        self._network = None

        async def load() -> None:
            await self._device.load(image)
            self._network = network

        async with followed_by(load):
            yield image

    @property
    def batch(self) -> int:
        """See `sw.driver.Accelerator.batch`."""
        image = self._device.image
        return 0 if image is None else image.vectors

    @property
    def cycles(self) -> int:
        """See `sw.driver.Accelerator.cycles`."""
        return self._device.cycles

    @property
    def repeated(self) -> int:
        """See `sw.driver.Accelerator.repeated`."""
        return self._device.repeated

    async def counters(self) -> list[LayerCounts]:
        """See `sw.driver.Accelerator.counters`."""
        async with self._alone():
            return await self._device.counters()

    async def reset(self) -> None:
        """See `sw.driver.Accelerator.reset`."""
        async with self._alone():
            await self._device.reset()

    async def release(self) -> None:
        """See `sw.driver.Accelerator.release`."""
        async with self._alone():
            await self._device.release()

    def _reported(self, progress: Progress | bool, text: str) -> AbstractContextManager[Progress]:
        """What is called with the share that is done."""
        if progress is True:
            return shares(text, repeated=lambda: self.repeated)
        return contextlib.nullcontext(nothing if progress is False else progress)

    def _packed(self, model: Model) -> tuple[Image, CompressedNetwork | None]:
        if isinstance(model, Image):
            return model, None
        if not isinstance(model, str | Path | CompressedNetwork):
            raise BadInput(
                "a model is the path of a .thr file, a CompressedNetwork or an Image, not "
                f"of type {type(model).__name__}"
            )
        config = self._require_config()
        if isinstance(model, CompressedNetwork):
            return pack(model, config), model
        network = thr.read(model)
        return pack_file(Path(model), network, config), network

    def _require_config(self) -> AcceleratorConfig:
        if self._config is None:
            raise UnknownConfiguration(self._digest)
        return self._config

    def _require_network(self) -> CompressedNetwork:
        if self._network is None:
            raise NotLoaded("no network is loaded; call load() with one, or its .thr file, first")
        return self._network
