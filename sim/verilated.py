"""A design on the internal bus, Verilated: the fast simulation, with no Python in its loop."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import numpy as np
from numpy.typing import NDArray

from sim import toolchain
from sim.verilog import build_folder
from sw.interrupts import uninterrupted
from sw.transport import DeviceSilent

__all__ = ["NOTHING", "Observed", "SimulationCrash", "VerilatedTransport", "build", "simulate"]

_SERVER = Path(__file__).with_name("bus_server.cpp")
_PROGRAM = "server"
_OBJECTS = "objects"

_WRITE, _READ, _POLL, _IDLE, _RESET, _WATCHED, _SHOW = range(1, 8)  # Operation in bus_server.cpp
_FIXED, _FAST = 1, 2  # Writing there
_REQUEST = struct.Struct("<5I")
_REPLY = struct.Struct("<IIQ")

# No request takes more than about a second, so that an interrupt and the end of this process are
# noticed in time.
_WORDS_MAX = 1 << 16
_CYCLES_MAX = 1 << 17
_POLL_SECONDS = 0.1
_POLL_CYCLES_FIRST = 1 << 12
_CLOSE_SECONDS = 10.0

# For a whole engine -O2 and -Os of g++ gain nothing in speed over -O1 and take up to 1.4 times as
# long; code that runs once (OPT_SLOW) is not worth compiling well.
_OPTIONS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint")
_MAKE_OPTIONS = ("OPT_FAST=-O1", "OPT_GLOBAL=-O1", "OPT_SLOW=")
# Half the time for the thousands of cells of a netlist.
_QUICK = ("-fno-dfg", "--output-split", "0")
_MAKE_QUICK = ("OPT_FAST=-O0", "OPT_GLOBAL=-O0", "OPT_SLOW=")
_JOBS = 2
_FST_HEADERS, _FST_PACKAGES = ("lz4.h", "zlib.h"), ("liblz4-dev", "zlib1g-dev")  # of Debian


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is seen of a simulation beside its bus; all of it makes a simulation slower.

    Attributes
    ----------
    waves : Path, optional
        File to write waves to, FST if it ends in .fst, or else VCD.
    watched : sequence of (module, signal, path)
        Signals of Verilog modules that the main loop finds by their paths.
    lanes : int
        How many of the bits of those signals are flags (sim/utilisation.h).
    """

    waves: Path | None = None
    watched: tuple[tuple[str, str, str], ...] = ()
    lanes: int = 0

    @property
    def options(self) -> list[str]:
        """Of Verilator."""
        if self.waves is None:
            return []
        return ["--trace-fst" if self.waves.suffix == ".fst" else "--trace-vcd"]

    @property
    def control(self) -> str:
        """Verilator's control file."""
        lines = {f'public_flat_rd -module "{module}" -var "{v}"' for module, v, _ in self.watched}
        return "\n".join(["`verilator_config", *sorted(lines), ""])

    @property
    def arguments(self) -> list[str]:
        """Of the main loop."""
        waves = "" if self.waves is None else str(self.waves)
        return [waves, str(self.lanes), *(path for _, _, path in self.watched)]


NOTHING = Observed()


class SimulationCrash(RuntimeError):
    """The simulation ended by itself; the message holds the last lines that it printed."""


def build(
    verilog: str,
    top: str,
    *,
    main: Path = _SERVER,
    observed: Observed = NOTHING,
    quick: bool = False,
    begin: Callable[[], None] = lambda: None,
) -> Path:
    """Compile a design and its main loop into a program; at once if that was done before.

    Parameters
    ----------
    verilog : str
        Verilog text with a top module `top`. For the bus server, which is the main loop if no
        other is given, it has ports clk and rst, and the member ``bus: In(BusSignature())``; other
        inputs are left at 0.
    main : Path
        C++ source of the main loop, which includes Vtop.h.
    observed : Observed
        What can be seen of it; the name of the file of waves does not matter here.
    quick : bool
        Compile it quickly rather than well: for what runs a few thousand cycles.
    begin : called if it was not done before

    Returns
    -------
    Path
        The program.

    Raises
    ------
    BadInput
        If a tool is missing, or for FST the headers of a library.
    ToolFailed
        If Verilator or the compiler refuses the design.
    """
    options = [*_OPTIONS, *(_QUICK if quick else ()), *observed.options]
    make_options = _MAKE_QUICK if quick else _MAKE_OPTIONS
    sources = [path.read_text() for path in (main, *sorted(main.parent.glob("*.h")))]
    key = [toolchain.version(), *sources, *options, *make_options, observed.control, top, verilog]
    folder = build_folder("\n".join(key), top if observed == NOTHING else f"{top}-observed")
    texts = {f"{top}.v": verilog, f"{top}.vlt": observed.control}

    def compile_it(scratch: Path) -> None:
        for name, text in texts.items():
            (scratch / name).write_text(text)
        _compile(scratch, [*options, "--top-module", top, *texts, str(main)], make_options)

    if not folder.exists():
        begin()
    toolchain.build_once(folder, compile_it)
    return folder / _PROGRAM


def _compile(scratch: Path, arguments: list[str], make_options: tuple[str, ...]) -> None:
    """In a folder with the sources: messages of the running simulation cite relative names."""
    env = toolchain.require()
    if "--trace-fst" in arguments:
        toolchain.require_headers("waves", _FST_HEADERS, _FST_PACKAGES)
    command = ["verilator", "--cc", "--exe", "--prefix", "Vtop", *arguments]
    command += ["--Mdir", _OBJECTS, "-o", f"../{_PROGRAM}"]
    toolchain.run(command, env, scratch)
    make = ["make", "-C", _OBJECTS, "-f", "Vtop.mk", f"-j{_JOBS}", *make_options]
    toolchain.run(make, env, scratch)
    shutil.rmtree(scratch / _OBJECTS)


def simulate(verilog: str, top: str, observed: Observed = NOTHING) -> VerilatedTransport:
    """A running simulation of a design (see `build`)."""
    return VerilatedTransport(build(verilog, top, observed=observed), observed)


class VerilatedTransport:
    """The bus of a simulated design: a `sw.transport.Transport`, and a context manager.

    The design has been reset when this returns. Time passes for it only within the methods of this
    class.

    Parameters
    ----------
    program : Path
        What `build` returned.
    observed : Observed
        What `program` was built for.

    Raises
    ------
    SimulationCrash
        By every method, if the design stops the simulation, by a failed assertion for instance.
    """

    def __init__(self, program: Path, observed: Observed = NOTHING) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (close does it)
        self._child = subprocess.Popen(
            [str(program), *observed.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,  # a terminal's Ctrl-C is for us, who close it
        )
        self._requests = cast(IO[bytes], self._child.stdin)
        self._replies = cast(IO[bytes], self._child.stdout)
        self._cycles = 0
        self.reset()

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._cycles

    def write(self, address: int, words: NDArray[np.uint32], *, fixed: bool = False) -> None:
        """Write `words` to successive word addresses, or all of them to one address if `fixed`.

        Raises
        ------
        DeviceSilent
            If a transfer is not acknowledged within 100,000 cycles.
        """
        self._write(address, words, _FIXED if fixed else 0)

    def fill(self, address: int, words: NDArray[np.uint32]) -> None:
        """Write `words` to successive word addresses, all but the first round the bus if it goes.

        It goes where a deep memory (`sim.verilog.DEEP`) takes the first word: the others are put
        behind it there in no time, and the host port does not see them. Elsewhere this is `write`.

        Raises
        ------
        DeviceSilent
            As `write`.
        """
        self._write(address, words, _FAST)

    def read(self, address: int, count: int) -> NDArray[np.uint32]:
        """Read `count` words from successive word addresses.

        Raises
        ------
        DeviceSilent
            As `write`.
        """
        words = np.empty(count, np.uint32)
        for start in range(0, count, _WORDS_MAX):
            burst = min(_WORDS_MAX, count - start)
            found = self._call_for_words(_READ, address + start, burst, burst)
            words[start : start + burst] = found
        return words

    def poll(self, address: int, mask: int, value: int, timeout: float) -> bool:
        """Simulate until ``word & mask == value``; False if it is not so within `timeout` seconds.

        The seconds are those of the wall clock. The word is read once at least, and then every 32
        cycles.

        Raises
        ------
        DeviceSilent
            As `write`.
        """
        deadline = time.monotonic() + timeout
        cycles = _POLL_CYCLES_FIRST
        while True:
            before = time.monotonic()
            if self._call(_POLL, address, mask, value, cycles):
                return True
            now = time.monotonic()
            if now >= deadline:
                return False
            if now - before < _POLL_SECONDS / 2:
                cycles *= 2

    def resynchronise(self) -> None:
        """Nothing to do: nothing goes wrong here."""

    def idle(self, cycles: int) -> None:
        """Let `cycles` clock cycles pass."""
        for start in range(0, cycles, _CYCLES_MAX):
            self._call(_IDLE, min(_CYCLES_MAX, cycles - start))

    def reset(self, cycles: int = 2) -> None:
        """Hold the design in reset for `cycles` clock cycles."""
        self._call(_RESET, cycles)

    def show(self, shown: bool) -> None:
        """Whether waves are written from now on; they are at first."""
        self._call(_SHOW, int(shown))

    def watched(self) -> NDArray[np.uint32]:
        """What the main loop found out about the watched signals; nothing if there are none."""
        return self._call_for_words(_WATCHED, 0, 0, None)

    def close(self) -> None:
        """End the simulation; waves are complete when this returns."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._child.wait(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._replies.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, address: int, words: NDArray[np.uint32], writing: int) -> None:
        for start in range(0, len(words), _WORDS_MAX):
            burst = np.asarray(words[start : start + _WORDS_MAX], "<u4")
            first = address if writing == _FIXED else address + start
            self._call(_WRITE, first, len(burst), writing, payload=burst.tobytes())

    def _call(
        self, operation: int, a: int, b: int = 0, c: int = 0, d: int = 0, *, payload: bytes = b""
    ) -> int:
        """One request; the value of its reply."""
        return self._exchange(_REQUEST.pack(operation, a, b, c, d) + payload, 0)[0]

    def _call_for_words(
        self, operation: int, a: int, b: int, words: int | None
    ) -> NDArray[np.uint32]:
        """One request; the words behind its reply."""
        _, data = self._exchange(_REQUEST.pack(operation, a, b, 0, 0), words)
        return np.frombuffer(data, "<u4")

    def _exchange(self, request: bytes, words: int | None) -> tuple[int, bytes]:
        """Value of a reply, and the words behind it: as many as its value if None is given."""
        with uninterrupted():  # for who is interrupted may have more to ask before it gives up
            try:
                self._requests.write(request)
                self._requests.flush()
            except BrokenPipeError:
                raise self._crash() from None
            status, value, self._cycles = _REPLY.unpack(self._receive(_REPLY.size))
            if status:
                raise DeviceSilent(
                    f"simulation: no acknowledge of word 0x{value:08x} within 100,000 clock cycles"
                )
            return int(value), self._receive(4 * (value if words is None else words))

    def _receive(self, size: int) -> bytes:
        data = self._replies.read(size)
        if len(data) < size:
            raise self._crash()
        return data

    def _crash(self) -> SimulationCrash:
        status = self._child.wait()
        self._errors.seek(0)
        tail = self._errors.read()[-4000:].decode(errors="replace").strip()
        self.close()
        return SimulationCrash(
            f"the simulation ended with status {status} after cycle {self._cycles}: {tail}"
        )
