"""Serial ports, and the board behind one of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from serial.tools import list_ports

from hw.boards import BOARDS
from hw.config import PRESETS

from .asynchronous import Immediate, finish
from .device_errors import DeviceError
from .registers import identify
from .serial_port import open_serial
from .transport import LinkError, PortError
from .uartbone import UartBone

__all__ = ["AUTO", "PORTS_VARIABLE", "boards_of", "candidates", "open_port"]

AUTO = "auto"
PORTS_VARIABLE = "THRESHER_PORTS"
"""Environment variable: ports or URLs, with commas between them, that "auto" tries first."""

_FTDI = 0x0403  # also what a Tang Nano's BL702 says it is
_PROBE_SECONDS = 0.5


def boards_of(config_digest: int) -> tuple[str, ...]:
    """Boards whose own engine has this `AcceleratorConfig.digest`."""
    return tuple(
        name for name, board in BOARDS.items() if PRESETS[board.preset].digest == config_digest
    )


def candidates() -> list[str]:
    """Ports behind which a board may be, the likelier ones first.

    Those of the environment variable, then USB's, whose chips from FTDI most boards have. What is
    no USB port is not bothered.
    """
    named = [port.strip() for port in os.environ.get(PORTS_VARIABLE, "").split(",")]
    found = sorted(
        (info for info in list_ports.comports() if info.vid is not None),
        key=lambda info: (info.vid != _FTDI, info.device),
    )
    return [port for port in named if port] + [info.device for info in found]


def open_port(
    port: str, baud: int | None = None, say: Callable[[str], None] = lambda _line: None
) -> UartBone:
    """Open a serial port, or if it is "auto" the first behind which an accelerator answers.

    Parameters
    ----------
    port : str
        A serial port, a URL that pyserial knows, or "auto".
    baud : int, optional
        Bits per second; those of the boards if not given.
    say : called with a line that tells which port was chosen, if it is "auto"

    Raises
    ------
    PortError
        If the port cannot be opened, or there is no accelerator behind any.
    """
    rates = [baud] if baud is not None else sorted({board.baud for board in BOARDS.values()})
    if not port.strip():
        raise PortError(f"the name of the port is empty; {AUTO} finds the board by itself")
    if port != AUTO:
        return open_serial(port, rates[-1])
    tried = []
    for name in candidates():
        for rate in rates:
            try:
                _probe(name, rate)
                transport = open_serial(name, rate)
            except (LinkError, DeviceError) as error:
                why = str(error).removeprefix(f"{name}: ")
                tried.append(f"{name} ({why.partition(';')[0]})")
            else:
                say(f"found an accelerator at {name}, {rate:,} baud")
                return transport
    raise PortError(
        f"no accelerator answers at any USB serial port: {', '.join(tried) or 'there is none'}; "
        f"name the port, also by the environment variable {PORTS_VARIABLE}"
    )


def _probe(port: str, baud: int) -> None:
    """Raises what the driver would if there is no accelerator behind the port, but sends little."""
    with contextlib.closing(open_serial(port, baud, timeout=_PROBE_SECONDS)) as transport:
        finish(identify(Immediate(transport), attempts=1))
