"""The accelerator as its user sees it: load a network, predict, read counters.

This is the blocking face, for scripts and notebooks. Underneath, all is asynchronous
(`sw.async_driver`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hw.config import AcceleratorConfig

from .async_driver import RUN_SECONDS, AsyncAccelerator, Info, Model, Progress, nothing, tell
from .asynchronous import Immediate, finish
from .device_errors import (
    Closed,
    DeviceError,
    Difference,
    Mismatch,
    NotLoaded,
    NotRun,
    OtherConfiguration,
    RunTimeout,
    UnknownConfiguration,
    WrongGateware,
)
from .ports import open_port
from .registers import LayerCounts
from .selftest import Check
from .trace import Trace
from .transport import Transport

__all__ = [
    "Accelerator",
    "Check",
    "Closed",
    "DeviceError",
    "Difference",
    "Info",
    "LayerCounts",
    "Mismatch",
    "NotLoaded",
    "NotRun",
    "OtherConfiguration",
    "RunTimeout",
    "Trace",
    "UnknownConfiguration",
    "WrongGateware",
]

T = TypeVar("T")


class Accelerator:
    """A device with one network at a time, at the other end of a serial port.

    Whatever a bad line does to commands, words or answers is found and repeated (`sw.bus`): an
    output is right, or there is an error instead of it. Several threads may use it: each method has
    the device for itself until it returns.

    Every method raises `sw.transport.LinkError`, or one of its kinds, if the device does not
    answer or its port is lost; after that, it can be opened and loaded again. Once it was closed,
    all that use the device raise `Closed`. `sw.device_errors` has all kinds of `DeviceError`, which
    itself is raised where a method is called by what another calls.

    Parameters
    ----------
    transport : Transport
        Closed by the caller; `open` has the port of a board as one.
    config : AcceleratorConfig, optional
        What the device was built for, if it is no preset.

    Raises
    ------
    WrongGateware
        If what answers is not a Thresher accelerator of this register map; `OtherConfiguration`,
        one of its kinds, if it was not built for `config`.

    Examples
    --------
    >>> with Accelerator.open("auto") as device:
    ...     device.load("net.thr")
    ...     y = device.predict(x)
    """

    def __init__(self, transport: Transport, *, config: AcceleratorConfig | None = None) -> None:
        self._transport = transport
        self._owns_transport = False
        self._turn = threading.RLock()
        self._taken = False  # by a method, which may call back what calls another
        self._async = AsyncAccelerator(Immediate(transport), config=config)
        self._finish(self._async.start())

    @classmethod
    def open(
        cls,
        port: str = "auto",
        *,
        baud: int | None = None,
        config: AcceleratorConfig | None = None,
        say: Callable[[str], None] = tell,
    ) -> Accelerator:
        """The accelerator at a serial port, which `close` closes.

        Parameters
        ----------
        port : str
            Such as /dev/ttyUSB1 or COM4; a URL that pyserial knows; or "auto", the first USB port
            at which an accelerator answers (`sw.ports`).
        baud : int, optional
            Bits per second; that of the boards if not given.
        config : AcceleratorConfig, optional
            As above.
        say : called with a line that tells which port was chosen, if it is "auto"
            It goes to stderr if this is not given.

        Raises
        ------
        LinkError, WrongGateware
            If there is no such port, or no accelerator.
        """
        transport = open_port(port, baud, say)
        try:
            accelerator = cls(transport, config=config)
        except BaseException:
            transport.close()
            raise
        accelerator._owns_transport = True
        accelerator._async.port = transport.port
        return accelerator

    def close(self) -> None:
        """End: what the device holds stays guarded, and the port is closed if `open` opened it.

        Closed again, it does nothing; what other threads have under way is waited for.
        """
        with self._alone():
            try:
                finish(self._async.close())
            finally:
                if self._owns_transport:
                    self._owns_transport = False
                    self._transport.close()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._async).replace(type(self._async).__name__, type(self).__name__, 1)

    @property
    def port(self) -> str | None:
        """The serial port, if it was opened by `open`."""
        return self._async.port

    def info(self) -> Info:
        """Who is at the other end, and what it holds."""
        return self._finish(self._async.info())

    @property
    def config_digest(self) -> int:
        """`AcceleratorConfig.digest` of the gateware."""
        return self._async.config_digest

    @property
    def image_id(self) -> int:
        """`Image.id` of the image that the device holds; 0 if it holds none."""
        return self._finish(self._async.image_id())

    @property
    def repeated(self) -> int:
        """Exchanges with the device that a bad line spoiled, so far; all were repeated."""
        return self._async.repeated

    @property
    def line_seconds(self) -> float:
        """How long all bytes so far take at the baud rate; 0 if the transport is no serial line."""
        return self._async.line_seconds

    def load(self, model: Model, progress: Progress | bool = False, *, whole: bool = False) -> int:
        """Write a network into the device, or only what differs from the one that it holds.

        The latter if this program has loaded that one; nothing, if it is the same. A .thr file is
        decoded and packed here; the device gets memory contents.

        Parameters
        ----------
        model : path of a .thr file, CompressedNetwork or Image
            An `Image` is packed already; without its network, `predict` and `trace` do not work.
        progress : called with the share that is written, growing to 1; True: a bar on stderr
        whole : write all of it

        Returns
        -------
        int
            Words that were written.

        Raises
        ------
        BadInput
            If the network does not fit, the file is damaged, or it is no model at all.
        WrongGateware
            If the device was built for another configuration.
        UnknownConfiguration
            If that is no preset's, and was not given.
        """
        return self._finish(self._async.load(model, progress, whole=whole))

    def attach(self, model: Model) -> None:
        """Use a network that the device holds already, built in or from before.

        Raises
        ------
        WrongGateware
            If the device was built for another configuration.
        NotLoaded
            If the device holds another one, or none.
        """
        self._finish(self._async.attach(model))

    @property
    def batch(self) -> int:
        """Vectors of one run on the device, of what is loaded; 0 if nothing is."""
        return self._async.batch

    def predict(
        self,
        x: ArrayLike,
        progress: Progress | bool = False,
        *,
        timeout: float = RUN_SECONDS,
        trace_layers: bool = False,
    ) -> NDArray[np.float64]:
        """Outputs (n, outputs) for inputs (n, inputs), or (n, …) with as many numbers.

        For one vector (inputs,) they are (outputs,). Inputs are scaled, rounded and clamped to
        integers, as the golden model does; where any is more than a step beyond what they reach,
        `sw.vectors.ClampedInputs` is warned of.

        Parameters
        ----------
        progress : called with the share that has been run, growing to 1; True: a bar on stderr
        timeout : as of `run`
        trace_layers : compare every layer with the golden model; see `trace`. Then the network is
            run once more as a whole, which is what cycles and counters are of.

        Raises
        ------
        BadInput
            If the inputs do not suit the network, or the time-out is none.
        NotLoaded, RunTimeout
            As of `run`.
        Mismatch
            With `trace_layers`, at the first activation that is wrong, which it names.
        """
        return self._finish(
            self._async.predict(x, progress, timeout=timeout, trace_layers=trace_layers)
        )

    def run(
        self,
        x: NDArray[np.integer],
        timeout: float = RUN_SECONDS,
        progress: Progress | bool = False,
        *,
        batch: int | None = None,
    ) -> NDArray[np.int64]:
        """Integer outputs (n, outputs) for integer inputs (n, inputs).

        Parameters
        ----------
        timeout : seconds that one run on the device may take, more than 0
        progress : as of `predict`
        batch : vectors of one run on the device; as many as it has memory for, if not given

        Raises
        ------
        BadInput
            If the shape or the range of the inputs does not suit the network, or the batch; if the
            time-out is none.
        NotLoaded
            If none is loaded, or the device lost it.
        RunTimeout
            If it does not finish in time; it is aborted.
        DeviceError
            If another program disturbs every run.
        """
        return self._finish(self._async.run(x, timeout, progress, batch=batch))

    def trace(
        self,
        x: NDArray[np.integer],
        timeout: float = RUN_SECONDS,
        progress: Progress | bool = False,
    ) -> Trace:
        """Activations of every layer for integer inputs, compared with the golden model.

        The network is run to its first layer, to its second and so on, and each is read back, up
        to the first that differs.

        Parameters
        ----------
        timeout, progress : as of `run`
        """
        return self._finish(self._async.trace(x, timeout, progress))

    def selftest(self, note: Callable[[str], None] = nothing) -> list[Check]:
        """Try the activation memories, and random networks layer by layer.

        What is loaded by this program is loaded again in the end.

        Parameters
        ----------
        note : called with the name of each check before it is made
        """
        return self._finish(self._async.selftest(note))

    @property
    def cycles(self) -> int:
        """Clock cycles of the last `run` or `predict`, all vectors together; 0 before it."""
        return self._async.cycles

    def counters(self) -> list[LayerCounts]:
        """What every layer counted in the last run on the device, all its instructions together.

        Raises
        ------
        NotLoaded
            If nothing is loaded.
        NotRun
            If nothing was run since; if the device has run again meanwhile.
        """
        return self._finish(self._async.counters())

    def reset(self) -> None:
        """Abort whatever runs and wait until the engine is ready; memories stay as they are."""
        self._finish(self._async.reset())

    def release(self) -> None:
        """Leave the device to others as it was after power-up: all its memories may be written."""
        self._finish(self._async.release())

    def _finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with contextlib.closing(coroutine), self._alone():
            return finish(coroutine)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the device for oneself."""
        with self._turn:
            if self._taken:
                raise DeviceError("the accelerator was called by what its own method calls")
            try:
                self._taken = True
                yield
            finally:
                self._taken = False
