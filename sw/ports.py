"""Serial ports, and the board behind one of them."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Mapping

from serial.tools import list_ports

from hw.boards import BOARDS
from hw.config import PRESETS

from .asynchronous import Immediate, finish
from .device_errors import DeviceError
from .registers import identify
from .serial_port import open_serial
from .transport import LinkError, PortError
from .uartbone import UartBone

__all__ = ["AUTO", "PORTS_VARIABLE", "boards_of", "open_port"]

AUTO = "auto"
PORTS_VARIABLE = "THRESHER_PORTS"
"""Environment variable: ports or URLs, with commas between them, that "auto" tries first."""

_LISTED = f"at the ports that {PORTS_VARIABLE} lists"
_USB = "at any USB serial port"
_FTDI = 0x0403  # also what a Tang Nano's BL702 says it is
_PROBE_SECONDS = 0.5


def boards_of(config_digest: int) -> tuple[str, ...]:
    """Boards whose own engine has this `AcceleratorConfig.digest`."""
    return tuple(
        name for name, board in BOARDS.items() if PRESETS[board.preset].digest == config_digest
    )


def _listed() -> list[str]:
    """Ports of the environment variable."""
    ports = (port.strip() for port in os.environ.get(PORTS_VARIABLE, "").split(","))
    return [port for port in ports if port]


def _usb() -> list[str]:
    """USB's ports, those with chips from FTDI first, which most boards have.

    What is no USB port is not bothered.
    """
    found = sorted(
        (info for info in list_ports.comports() if info.vid is not None),
        key=lambda info: (info.vid != _FTDI, info.device),
    )
    return [info.device for info in found]


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
    tried: dict[str, list[str]] = {}
    for where, names in {_LISTED: _listed(), _USB: _usb()}.items():
        for name, rate in itertools.product(names, rates):
            try:
                _probe(name, rate)
                transport = open_serial(name, rate)
            except (LinkError, DeviceError) as error:
                why = str(error).removeprefix(f"{name}: ")
                tried.setdefault(where, []).append(f"{name} ({why.partition(';')[0]})")
            else:
                say(f"found an accelerator at {name}, {rate:,} baud")
                return transport
    raise PortError(_nowhere(tried))


def _nowhere(tried: Mapping[str, list[str]]) -> str:
    """What was tried, in words, and what to do.

    Parameters
    ----------
    tried : where -> ports, each with what happened there
    """
    todo = f"name the port, also by the environment variable {PORTS_VARIABLE}"
    if not tried:
        return f"there is no USB serial port; {todo}"
    said = "; nor ".join(f"{where}: {', '.join(ports)}" for where, ports in tried.items())
    if _LISTED in tried:
        todo = f"correct {PORTS_VARIABLE}, or name the port"
        said += "" if _USB in tried else "; and there is no USB serial port"
    return f"no accelerator answers {said}; {todo}"


def _probe(port: str, baud: int) -> None:
    """Raises what the driver would if there is no accelerator behind the port, but sends little."""
    with contextlib.closing(open_serial(port, baud, timeout=_PROBE_SECONDS)) as transport:
        finish(identify(Immediate(transport), attempts=1))
